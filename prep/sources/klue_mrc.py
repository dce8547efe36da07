"""Reader for KLUE-MRC: a span of the context answers the question.

There are no options to choose from, so that its records are chats, not questions. (The exam set
holds questions on KLUE-MRC's contexts whose options were written for it: those are `exam`.)
"""

from collections.abc import Iterator
from typing import Any

from prep.jsonl import validated
from prep.records import Chat, Removed
from prep.sources.reader import Id, Place, Published


class _Answers(Published):
    text: list[str]


class _Row(Published):
    """A row of the hub's `mrc` subset, where `answers` is an object of lists."""

    guid: Id = None
    context: str
    question: str
    is_impossible: bool
    answers: _Answers


def row(record: dict[str, Any], place: Place) -> Iterator[Chat | Removed]:
    """Context and question as the user's text, the first answer's; no answer where impossible."""
    given = validated(record, _Row, place.where)
    context, question = given.context.strip(), given.question.strip()
    answers = [] if given.is_impossible else [text for text in given.answers.text if text.strip()]
    if not context or not question:
        yield place.removed(given.guid, "empty")
    elif not answers:
        yield place.removed(given.guid, "no-answer")
    else:
        user = f"{context}\n\n질문: {question}"
        yield place.chat(given.guid, [("user", user), ("assistant", answers[0])])
