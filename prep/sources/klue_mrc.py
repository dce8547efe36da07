"""Reader for KLUE-MRC: a span of the context answers the question.

It is published as articles, whose paragraphs hold their questions, and by the hub as one row a
question. There are no options to choose from, so that its records are chats, not questions.
(The exam set holds questions on KLUE-MRC's contexts with options of its own: those are `exam`.)
"""

from collections.abc import Iterable, Iterator
from typing import Any

from prep.jsonl import validated
from prep.records import Chat, Removed
from prep.sources.forms import Found
from prep.sources.reader import Id, Place, Published, Text


class _Answer(Published):
    text: str


class _Answers(Published):
    text: list[str]


class _Row(Published):
    """A question on a context; `answers` is a list of objects, or the hub's object of lists."""

    guid: Id = None
    context: Text
    question: Text
    is_impossible: bool
    answers: _Answers | list[_Answer]


class _Paragraph(Published):
    context: str
    qas: list[dict[str, Any]]


class _Article(Published):
    paragraphs: list[_Paragraph]


def questions(found: Iterable[Found]) -> Iterator[Found]:
    """The questions of articles, each with its context; other records as they are."""
    number = 0
    for place, where, record in found:
        if "paragraphs" not in record:
            yield place, where, record
            continue
        for paragraph in validated(record, _Article, where).paragraphs:
            for asked in paragraph.qas:
                number += 1
                yield number, f"{where}, question {number}", {**asked, "context": paragraph.context}


def row(record: dict[str, Any], place: Place) -> Iterator[Chat | Removed]:
    """Context and question as the user's text, the first answer's; no answer where impossible."""
    given = validated(record, _Row, place.where)
    context, question = given.context.strip(), given.question.strip()
    answers = given.answers
    texts = answers.text if isinstance(answers, _Answers) else [one.text for one in answers]
    texts = [] if given.is_impossible else [text for text in texts if text.strip()]
    if not context or not question:
        yield place.removed(given.guid, "empty")
    elif not texts:
        yield place.removed(given.guid, "no-answer")
    else:
        user = f"{context}\n\n질문: {question}"
        yield place.chat(given.guid, [("user", user), ("assistant", texts[0])])
