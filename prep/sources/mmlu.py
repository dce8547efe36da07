"""Readers for KMMLU and the Korean part of MMMLU: a question without a passage, options A to D."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from prep.jsonl import validated
from prep.records import LABELS, Question, Removed
from prep.sources.reader import Place, Published


def _number(value: Any) -> Any:
    """A number that CSV gives as text."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


class _Options(Published):
    A: str
    B: str
    C: str
    D: str

    @property
    def options(self) -> list[str]:
        return [self.A, self.B, self.C, self.D]


class _KMMLU(_Options):
    question: str
    answer: Annotated[int, BeforeValidator(_number)]
    category: str = Field(alias="Category")


def kmmlu(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """KMMLU counts answers from 1."""
    row = validated(record, _KMMLU, place.where)
    yield place.question(None, row.category, row.question, row.options, row.answer - 1)


class _MMMLU(_Options):
    question: str = Field(alias="Question")
    answer: str = Field(alias="Answer")
    subject: str = Field(alias="Subject")


def mmmlu(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """MMMLU names answers by letter."""
    row = validated(record, _MMMLU, place.where)
    letter = row.answer.strip()
    answer = LABELS.index(letter) if letter in LABELS else -1
    yield place.question(None, row.subject, row.question, row.options, answer)
