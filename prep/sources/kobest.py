"""Reader for KoBEST: five tasks, recognised by their columns; each becomes a question.

The hub has JSONL and labels that count from 0. The repository has tab-separated files with columns
of its own, and ids that number each file; there COPA counts from 1, and yes and no are words.
"""

from collections.abc import Iterator, Set
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from core.errors import UserError
from core.jsonl import validated
from core.records import Question, Removed
from core.text import nfc, present
from prep.sources.reader import Id, Number, Place, Published

NO_YES = ["아니요", "예"]
BECAUSE = {"원인": "이 일의 원인으로 알맞은 것은?", "결과": "이 일의 결과로 알맞은 것은?"}
# the columns that identify a task, on the hub or in the repository, in the order of looking
TASKS = {
    "BoolQ": ({"paragraph"}, {"Text", "Question"}),
    "COPA": ({"premise"}, {"sentence", "1", "2"}),
    "WiC": ({"word"}, {"Target"}),
    "HellaSwag": ({"ending_1"}, {"choice1"}),
    "SentiNeg": ({"sentence"}, {"Text", "Label"}),
}


def _truth(value: Any) -> Any:
    """1 for true and 0 for false, which the repository's files write as words."""
    words = {"true": 1, "false": 0}
    return words.get(nfc(value).lower(), value) if isinstance(value, str) else value


def _either(hub: str, own: str) -> Any:
    return Field(validation_alias=AliasChoices(hub, own))


Truth = Annotated[Number, BeforeValidator(_truth)]


class _BoolQ(Published):
    paragraph: str = _either("paragraph", "Text")
    question: str = _either("question", "Question")
    label: Truth = _either("label", "Answer")


class _COPA(Published):
    premise: str = _either("premise", "sentence")
    question: str
    alternative_1: str = _either("alternative_1", "1")
    alternative_2: str = _either("alternative_2", "2")
    label: Number = _either("label", "Answer")


class _WiC(Published):
    word: str = _either("word", "Target")
    context_1: str = _either("context_1", "SENTENCE1")
    context_2: str = _either("context_2", "SENTENCE2")
    label: Truth = _either("label", "ANSWER")


class _HellaSwag(Published):
    context: str
    ending_1: str = _either("ending_1", "choice1")
    ending_2: str = _either("ending_2", "choice2")
    ending_3: str = _either("ending_3", "choice3")
    ending_4: str = _either("ending_4", "choice4")
    label: Number


class _SentiNeg(Published):
    sentence: str = _either("sentence", "Text")
    label: Number = _either("label", "Label")


class _Numbered(Published):
    id: Id = Field(None, alias="ID")


def _task(columns: Set[str]) -> str | None:
    return next((name for name, own in TASKS.items() if any(columns >= one for one in own)), None)


def row(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """One question; its category is the task, and its id the task with the repository's number."""
    where = place.where
    # of the tasks in one table, a record leaves the columns of all others empty
    filled = {name for name, value in record.items() if present(value) is not None}
    task = _task(filled) or _task(record.keys())
    number = validated(record, _Numbered, where).id
    own = number and f"{task}-{number}"
    if task == "BoolQ":
        boolq = validated(record, _BoolQ, where)
        yield place.question(
            own, task, boolq.question, NO_YES, place.index(boolq.label, 2, 0), boolq.paragraph
        )
    elif task == "COPA":
        copa = validated(record, _COPA, where)
        if nfc(copa.question) not in BECAUSE:
            raise UserError(f"{where}: field question: neither 원인 nor 결과; correct the record")
        options = [copa.alternative_1, copa.alternative_2]
        asked = BECAUSE[nfc(copa.question)]
        label = place.index(copa.label, 2, first=0 if "label" in record else 1)
        yield place.question(own, task, asked, options, label, copa.premise)
    elif task == "WiC":
        wic = validated(record, _WiC, where)
        yield place.question(
            own,
            task,
            f"두 문장에서 '{wic.word.strip()}'의 뜻이 서로 같은가?",
            NO_YES,
            place.index(wic.label, 2, first=0),
            f"{wic.context_1.strip()}\n{wic.context_2.strip()}",
        )
    elif task == "HellaSwag":
        swag = validated(record, _HellaSwag, where)
        endings = [swag.ending_1, swag.ending_2, swag.ending_3, swag.ending_4]
        asked = "이어질 내용으로 가장 알맞은 것은?"
        label = place.index(swag.label, 4, first=0)
        yield place.question(own, task, asked, endings, label, swag.context)
    elif task == "SentiNeg":
        senti = validated(record, _SentiNeg, where)
        asked = "이 문장은 긍정인가, 부정인가?"
        options = ["부정", "긍정"]
        label = place.index(senti.label, 2, first=0)
        yield place.question(own, task, asked, options, label, senti.sentence)
    else:
        raise UserError(f"{where}: columns of no task of KoBEST; choose another source")
