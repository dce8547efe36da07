"""Readers of chat sets: alpaca pairs, messages or conversations (ShareGPT, Magpie), corrections."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import AliasChoices, Field

from core.jsonl import validated
from core.records import Chat, Removed
from core.text import context
from prep.sources.forms import Found
from prep.sources.reader import Id, Place, Published, Text

ROLES = {"human": "user", "gpt": "assistant"}  # ShareGPT's names
CORRECT = "다음 글에서 틀린 곳을 바르게 고쳐 쓰세요."
Made = Iterator[Chat | Removed]


class _Alpaca(Published):
    id: Id = None
    instruction: Text
    input: Text = ""
    output: Text


def alpaca(record: dict[str, Any], place: Place) -> Made:
    """instruction and input, a blank line between, as the user's text; output as the answer."""
    given = validated(record, _Alpaca, place.where)
    asked = [given.instruction.strip(), context(given.input)]
    user = "\n\n".join(text for text in asked if text)
    yield place.chat(given.id, [("user", user), ("assistant", given.output)])


class _Turn(Published):
    role: str = Field(validation_alias=AliasChoices("role", "from"))
    content: Text = Field(validation_alias=AliasChoices("content", "value"))


class _Messages(Published):
    id: Id = Field(None, validation_alias=AliasChoices("id", "uuid"))
    messages: list[_Turn] = Field(validation_alias=AliasChoices("messages", "conversations"))


def messages(record: dict[str, Any], place: Place) -> Made:
    """A list of {role, content} or {from, value}: an optional system text, then turns in turn."""
    given = validated(record, _Messages, place.where)
    roles = [ROLES.get(turn.role, turn.role) for turn in given.messages]
    system = roles[:1] == ["system"]
    if not roles:
        yield place.removed(given.id, "empty")
    elif roles != ["system"] * system + ["user", "assistant"] * max(1, (len(roles) - system) // 2):
        yield place.removed(given.id, "bad-roles")
    else:
        texts = [turn.content for turn in given.messages]
        yield place.chat(given.id, list(zip(roles, texts, strict=True)))


class _Correction(Published):
    id: Id = None
    original: Text = Field(description="a text with mistakes")
    revised: Text = Field(description="the same text without them")
    comment: Text = Field("", description="why, in a sentence or two")


def proofreading(record: dict[str, Any], place: Place) -> Made:
    """A correction (첨삭): the original asks, the revised text answers, the comment below it."""
    given = validated(record, _Correction, place.where)
    original = given.original.strip()
    answer = "\n\n".join(text for text in (given.revised.strip(), context(given.comment)) if text)
    if not original or not given.revised.strip():
        yield place.removed(given.id, "empty")
    else:
        yield place.chat(given.id, [("user", f"{CORRECT}\n\n{original}"), ("assistant", answer)])


# It is published as articles, whose paragraphs hold their questions, and by the hub as one row a
# question. There are no options to choose from, so that its records are chats, not questions. (The
# exam set holds questions on KLUE-MRC's contexts with options of its own: those are `exam`.)
class _Answer(Published):
    text: str


class _Spans(Published):
    text: list[str]


class _KlueMrc(Published):
    """A question on a context; `answers` is a list of objects, or the hub's object of lists."""

    guid: Id = None
    context: Text
    question: Text
    is_impossible: bool
    answers: _Spans | list[_Answer]


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


def klue_mrc(record: dict[str, Any], place: Place) -> Iterator[Chat | Removed]:
    """Context and question as the user's text, the first answer's; no answer where impossible."""
    given = validated(record, _KlueMrc, place.where)
    context, question = given.context.strip(), given.question.strip()
    answers = given.answers
    texts = answers.text if isinstance(answers, _Spans) else [one.text for one in answers]
    texts = [] if given.is_impossible else [text for text in texts if text.strip()]
    if not context or not question:
        yield place.removed(given.guid, "empty")
    elif not texts:
        yield place.removed(given.guid, "no-answer")
    else:
        user = f"{context}\n\n질문: {question}"
        yield place.chat(given.guid, [("user", user), ("assistant", texts[0])])
