"""Reader for KoBEST: five tasks, told apart by their columns; each becomes a question."""

from collections.abc import Iterator
from typing import Any

from prep.errors import UserError
from prep.jsonl import validated
from prep.records import Question, Removed
from prep.sources.reader import Place, Published

NO_YES = ["아니요", "예"]
BECAUSE = {"원인": "이 일의 원인으로 알맞은 것은?", "결과": "이 일의 결과로 알맞은 것은?"}


class _BoolQ(Published):
    paragraph: str
    question: str
    label: int


class _COPA(Published):
    premise: str
    question: str
    alternative_1: str
    alternative_2: str
    label: int


class _WiC(Published):
    word: str
    context_1: str
    context_2: str
    label: int


class _HellaSwag(Published):
    context: str
    ending_1: str
    ending_2: str
    ending_3: str
    ending_4: str
    label: int


class _SentiNeg(Published):
    sentence: str
    label: int


def row(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """One question; its category is the task, and labels count from 0."""
    where = place.where
    if "paragraph" in record:
        boolq = validated(record, _BoolQ, where)
        yield place.question(
            None, "BoolQ", boolq.question, NO_YES, boolq.label, passage=boolq.paragraph
        )
    elif "premise" in record:
        copa = validated(record, _COPA, where)
        if copa.question.strip() not in BECAUSE:
            raise UserError(f"{where}: field question: neither 원인 nor 결과; mend the record")
        options = [copa.alternative_1, copa.alternative_2]
        asked = BECAUSE[copa.question.strip()]
        yield place.question(None, "COPA", asked, options, copa.label, passage=copa.premise)
    elif "word" in record:
        wic = validated(record, _WiC, where)
        yield place.question(
            None,
            "WiC",
            f"두 문장에서 '{wic.word.strip()}'의 뜻이 서로 같은가?",
            NO_YES,
            wic.label,
            passage=f"{wic.context_1.strip()}\n{wic.context_2.strip()}",
        )
    elif "ending_1" in record:
        swag = validated(record, _HellaSwag, where)
        endings = [swag.ending_1, swag.ending_2, swag.ending_3, swag.ending_4]
        asked = "이어질 내용으로 가장 알맞은 것은?"
        yield place.question(None, "HellaSwag", asked, endings, swag.label, passage=swag.context)
    elif "sentence" in record:
        senti = validated(record, _SentiNeg, where)
        asked = "이 문장은 긍정인가, 부정인가?"
        options = ["부정", "긍정"]
        yield place.question(None, "SentiNeg", asked, options, senti.label, passage=senti.sentence)
    else:
        raise UserError(f"{where}: columns of no task of KoBEST; choose another source")
