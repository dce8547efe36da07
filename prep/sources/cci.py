"""Reader for the institute's dialogue-inference questions (대화 맥락 추론, NIKL 2024).

The file is a JSON list of items: id, input (conversation, reference_id, category, inference_1..3)
and output. A run of whitespace becomes one space, so that an utterance stays on its line of the
prompt.
"""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.errors import UserError
from core.jsonl import validated
from core.records import CATEGORIES, Changed, Question, Split, Turn
from core.text import nfc, present, short
from prep.sources.downloads import records
from prep.sources.reader import Place, collect

SOURCE = "cci-2024"
OPTIONS = ("inference_1", "inference_2", "inference_3")
REQUEST = "request 인공지능 말평 2024 대화 맥락 추론 at kli.korean.go.kr"


class _Published(BaseModel):
    """Unknown fields are refused: a file that has them is not the one this reader was made for."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Utterance(_Published):
    speaker: Literal[1, 2, "1", "2"]
    utterance: str | int | float
    utterance_id: str | list[str]


class _Input(_Published):
    conversation: list[_Utterance] = Field(min_length=1)
    reference_id: str | list[str]
    category: str
    inference_1: str
    inference_2: str
    inference_3: str

    @field_validator("category")
    @classmethod
    def _known(cls, value: str) -> str:
        if nfc(value) not in CATEGORIES:
            raise ValueError(
                f"unknown category {short(value)!r}; give one of {', '.join(CATEGORIES)}"
            )
        return value


class _Item(_Published):
    id: str
    input: _Input
    output: str = ""

    @field_validator("output", mode="before")
    @classmethod
    def _one_answer(cls, value: Any) -> Any:
        if isinstance(value, list):
            raise ValueError(f"{len(value)} answers; give one of {', '.join(OPTIONS)} or none")
        value = "" if present(value) is None else nfc(value) if isinstance(value, str) else value
        if value not in ("", *OPTIONS):
            raise ValueError(
                f"{short(value)!r} names no option; give one of {', '.join(OPTIONS)} or none"
            )
        return value


def read(path: Path, split: Split, source: str = SOURCE) -> tuple[list[Question], list[Changed]]:
    """The questions of one file in its order, and what was altered in them.

    `source` names the file's corpus where it is another one of the same form. Raises `UserError`
    naming file, item and remedy.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; {REQUEST} and name the file in params.yaml")
    got = collect(question, records(path), source, split)
    return got.questions, got.changed


def question(record: dict[str, Any], place: Place) -> Iterator[Question | Changed]:
    """One published item as a Question, and what was altered in it.

    An `output` that is empty or absent gives `answer` None. `group` is the dialogue: the stem that
    its utterance ids share before the last dot.
    """
    item, where = validated(record, _Item, place.where), place.where
    own = unicodedata.normalize("NFC", item.id)  # no more than that: a submission has it too
    turns: list[Turn] = []
    names: dict[str, str] = {}  # every utterance id, also of merged ones, to its turn's id
    for number, said in enumerate(item.input.conversation):
        if not isinstance(said.utterance, str):
            yield Changed(
                id=own,
                source=place.source,
                split=place.split,
                field=f"input.conversation.{number}.utterance",
                before=said.utterance,
                after=str(said.utterance),
                reason="not-a-string",
            )
        ids = [nfc(name) for name in _listed(said.utterance_id)]
        if not ids:
            raise UserError(f"{where}: utterance {number + 1} has no utterance_id; give it one")
        for name in ids:
            if name in names:
                raise UserError(
                    f"{where}: utterance_id {short(name)} is there twice; give each its own"
                )
            names[name] = ids[0]
        text = place.text(own, f"turns.{ids[0]}", str(said.utterance), lines=False)
        turns.append(Turn(speaker=f"화자{said.speaker}", text=text, id=ids[0]))
    stems = {name.rpartition(".")[0] for name in names}
    if len(stems) > 1 or "" in stems:
        raise UserError(
            f"{where}: the utterance ids must share what stands before their last dot "
            f"(the dialogue), but there are {len(stems)} stems; correct the ids"
        )
    value = {
        "id": own,
        "source": place.source,
        "split": place.split,
        "group": stems.pop(),
        "turns": turns,
        "focus": _focus(item.input, names, where),
        "category": place.text(own, "category", item.input.category),
        "options": _options(item.input, place, own),
        "answer": OPTIONS.index(item.output) if item.output else None,
    }
    yield validated(value, Question, where)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _focus(given: _Input, names: dict[str, str], where: str) -> list[str]:
    """The ids of the reference turns, each once, in the order given."""
    references = [nfc(name) for name in _listed(given.reference_id)]
    if not references:
        raise UserError(f"{where}: reference_id names no utterance; give one to three")
    for name in references:
        if name not in names:
            raise UserError(
                f"{where}: reference {short(name)} is no utterance of the conversation; "
                "correct reference_id"
            )
    return list(dict.fromkeys(names[name] for name in references))


def _options(given: _Input, place: Place, own: str) -> list[str]:
    """The three options, none empty and no two alike."""
    seen: dict[str, str] = {}
    for number, field in enumerate(OPTIONS):
        text = place.text(own, f"options.{number}", getattr(given, field), lines=False)
        if not text:
            raise UserError(f"{place.where}: {field} is empty; give every option a text")
        if text in seen:
            raise UserError(
                f"{place.where}: {seen[text]} and {field} are identical, so that two answers would "
                "be right; correct or delete the item"
            )
        seen[text] = field
    return list(seen)
