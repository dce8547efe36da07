"""Readers for KMMLU and the Korean part of MMMLU: a question without a passage, options A to D.

Tables in their form may have a fifth option, E.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from prep.jsonl import validated
from prep.records import LABELS, Question, Removed
from prep.sources.reader import Answer, Option, Place, Published, Text
from prep.text import nfc


class _Options(Published):
    A: Option
    B: Option
    C: Option
    D: Option
    E: Option = None

    @property
    def options(self) -> list[Option]:
        return [self.A, self.B, self.C, self.D, *([] if self.E is None else [self.E])]


class _KMMLU(_Options):
    question: Text
    answer: Answer


def kmmlu(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """KMMLU counts answers from 1."""
    row = validated(record, _KMMLU, place.where)
    answer = place.index(row.answer, len(row.options), first=1)
    category = place.category(record, "KMMLU")
    yield place.question(None, category, row.question, row.options, answer)


class _MMMLU(_Options):
    question: Text = Field(alias="Question")
    answer: str = Field(alias="Answer")


def mmmlu(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """MMMLU names answers by letter."""
    row = validated(record, _MMMLU, place.where)
    letter = nfc(row.answer)
    answer = LABELS.index(letter) if letter in LABELS else -1
    category = place.category(record, "MMMLU")
    yield place.question(None, category, row.question, row.options, answer)
