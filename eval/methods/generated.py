"""`greedy`, `cot` and `self-consistency`: the model writes, and its answer is read from the text.

An answer is read strictly, and never given by default.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from core.errors import UserError
from core.records import Row, Strict, draw
from eval.answer_tokens import Tokenizer, answered
from eval.engines.interface import Decoding, Engine
from eval.methods.base import Answer, Asked, Failure, Reason
from eval.options import share_logprobs

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

    An answer is a label alone or "A. text", as trained; labels may be letters, digits or Korean.
    The text may name other labels only where it is the option's own.
    """
    names = "|".join(map(re.escape, labels))
    found = re.fullmatch(rf"({names}|[A-Z])(?:[.)](.*))?", text.strip(), re.DOTALL)
    if found is None:
        named = set(_named(text, labels))
        return "several-letters" if len(named) > 1 else "no-letter"
    label, rest = found[1], (found[2] or "").strip()
    if label not in labels:
        return "not-a-label"
    place = labels.index(label)
    if options is not None and rest == options[place].strip():
        return place
    return "several-letters" if set(_named(rest, labels)) - {label} else place


def read_json(text: str, labels: Sequence[str]) -> int | Reason:
    """The place of the label that a JSON reply answers with, or why it answers with none."""
    try:
        reply = Reasoned.model_validate(json.loads(text, object_pairs_hook=_once))
    except ValidationError:
        return "wrong-fields"
    except (ValueError, RecursionError):
        return "invalid-json"
    return labels.index(reply.answer) if reply.answer in labels else "not-a-label"


def _named(text: str, labels: Sequence[str]) -> list[str]:
    """The labels that stand alone in a text: of Latin letters or digits without such next to them,
    as in "A가" and "3번", and one of Korean without any letter next to it."""
    return [
        label
        for label in labels
        for next_to in ["[0-9A-Za-z]" if label.isascii() else r"\w"]
        if re.search(rf"(?<!{next_to}){re.escape(label)}(?!{next_to})", text)
    ]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


Form = Literal["text", "json"]
TOKENS: dict[Form, int] = {"text": 128, "json": 1024}  # of a reply, where --max-tokens says nothing


def asked_for_text(
    tokenizer: Tokenizer, row: Row, prompt: list[int], after: set[int], max_tokens: int
) -> Asked:
    """A prompt, and the tokens that end a reply: EOS, and of those behind an answer the special."""
    stops = after & set(tokenizer.added_tokens_decoder) | {tokenizer.eos_token_id}
    return Asked(row, [prompt], [[]], len(prompt) + max_tokens, frozenset(stops - {None}))


def decoding(
    asked: Sequence[Asked], max_tokens: int, temperature: float, samples: int = 1
) -> Decoding:
    """How replies to prompts are drawn; each ends at what ends any of them."""
    stops = tuple(sorted(frozenset().union(*(one.stops for one in asked))))
    return Decoding(max_tokens=max_tokens, stops=stops, temperature=temperature, samples=samples)


def majority(parsed: Sequence[int | None], options: int) -> list[float] | None:
    """Log of each option's smoothed share of the answers read, or None where none was read.

    The greatest is the majority's; of a tie, the option published first, as everywhere here.
    """
    votes = [place for place in parsed if place is not None]
    return share_logprobs(votes, options) if votes else None


@dataclass(frozen=True)
class Generated:
    """Replies of at most `max_tokens` tokens, as text or JSON; drawn where `samples` is given."""

    name: str
    form: Form
    max_tokens: int
    samples: int | None = None
    temperature: float = 0.0
    seed: int = 42
    reads = True

    @property
    def structured(self) -> bool:
        """Whether replies are held to the schema."""
        return self.form == "json"

    def ask(self, tokenizer: Tokenizer, row: Row) -> Asked:
        """The prompt, and the tokens that end a reply: EOS, and what training put after answers.

        Raises `UserError` where the tokenizer cannot write JSON, where a grammar gets stuck.
        """
        prompt, tails = answered(tokenizer, row, row.labels or [])
        if self.form == "json":
            _require_json(tokenizer, row)
        after = {token for tail in tails for token in tail[1:2]}
        return asked_for_text(tokenizer, row, prompt, after, self.max_tokens)

    def answers(self, engine: Engine, tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Answer]:
        """What is read from the replies; a row's samples depend on the seed and its id alone."""
        replies = engine.generate(
            [one.prompts[0] for one in asked],
            decoding(asked, self.max_tokens, self.temperature, self.samples or 1),
            seeds=[draw(self.seed, "sample", one.row.id) % 2**31 for one in asked],
            schemas=[schema(one.row.labels or []) for one in asked] if self.structured else None,
        )
        return [
            self.read(
                one.row, [(tokenizer.decode(ids, skip_special_tokens=True), end) for ids, end in of]
            )
            for one, of in zip(asked, replies, strict=True)
        ]

    def read(self, row: Row, replies: Sequence[tuple[str, bool]]) -> Answer:
        """The answer of a row's replies, each a text and whether the model ended it itself."""
        labels, options = row.labels or [], row.options
        parsed: list[int | None] = []
        failures = []
        for sample, (raw, ended) in enumerate(replies):
            text = unicodedata.normalize("NFC", raw)
            found: int | Reason = "cut-off"
            if ended:
                found = (
                    read_json(text, labels)
                    if self.form == "json"
                    else read_text(text, labels, options)
                )
            if isinstance(found, str):
                failures.append(Failure(id=row.id, sample=sample, reason=found, text=text))
            parsed.append(None if isinstance(found, str) else found)
        if self.samples is None:
            return Answer(choice=parsed[0], failures=failures)
        return Answer(scores=majority(parsed, len(labels)), failures=failures)

    def meta(self) -> dict[str, Any]:
        """The method and how replies are drawn."""
        drawn = {"samples": self.samples, "temperature": self.temperature, "seed": self.seed}
        return {
            "method": self.name,
            "reply": self.form,
            "max_tokens": self.max_tokens,
            **(drawn if self.samples is not None else {}),
        }

    def found(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """How many rows asked got no answer, and how many replies are unread, by reason."""
        reasons = Counter(one.reason for answer in answers for one in answer.failures)
        unanswered = sum(answer.scores is None and answer.choice is None for answer in answers)
        return {"failures": {"unanswered": unanswered, "replies": dict(sorted(reasons.items()))}}


def _require_json(tokenizer: Tokenizer, row: Row) -> None:
    reply = json.dumps({"reasoning": "가", "answer": (row.labels or [""])[0]}, ensure_ascii=False)
    ids = tokenizer.encode(reply, add_special_tokens=False)
    if tokenizer.decode(ids, skip_special_tokens=True).strip() != reply:
        raise UserError(
            f"row {row.id}: this tokenizer cannot write JSON, for some of its signs are special "
            "tokens or none at all; use --method greedy, or --reply text"
        )
