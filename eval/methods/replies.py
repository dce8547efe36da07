"""Reading an answer out of what a model wrote: strictly, and never an answer by default."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from eval.methods.base import Reason
from prep.records import Strict

# How the engines' grammar writes JSON: as json.dumps does, so that no space is left to chance.
GUIDANCE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Reasoned(Strict):
    """The reply that a prompt for reasoning asks for."""

    reasoning: str
    answer: str


def schema(labels: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of a reply: reasoning first, then one of the row's own labels."""
    return {
        "type": "object",
        "properties": {"reasoning": {"type": "string"}, "answer": {"enum": list(labels)}},
        "required": ["reasoning", "answer"],
        "additionalProperties": False,
        "x-guidance": GUIDANCE,
    }


def read_text(text: str, labels: Sequence[str], options: Sequence[str] | None) -> int | Reason:
    """The place of the label that a text answers with, or why it answers with none.

    An answer is a letter alone or "A. text", as trained. The text may name other letters only
    where it is the option's own.
    """
    found = re.fullmatch(r"([A-Z])(?:[.)](.*))?", text.strip(), re.DOTALL)
    if found is None:
        named = set(_letters(text)) & set(labels)
        return "several-letters" if len(named) > 1 else "no-letter"
    label, rest = found[1], (found[2] or "").strip()
    if label not in labels:
        return "not-a-label"
    place = labels.index(label)
    if options is not None and rest == options[place].strip():
        return place
    return "several-letters" if set(_letters(rest)) & set(labels) - {label} else place


def read_json(text: str, labels: Sequence[str]) -> int | Reason:
    """The place of the label that a JSON reply answers with, or why it answers with none."""
    try:
        reply = Reasoned.model_validate(json.loads(text, object_pairs_hook=_once))
    except ValidationError:
        return "wrong-fields"
    except (ValueError, RecursionError):
        return "invalid-json"
    return labels.index(reply.answer) if reply.answer in labels else "not-a-label"


def _letters(text: str) -> list[str]:
    """Capital letters that stand alone, without a Latin letter or a digit beside them."""
    return re.findall(r"(?<![0-9A-Za-z])[A-Z](?![0-9A-Za-z])", text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)
