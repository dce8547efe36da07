"""Readers of chat sets: alpaca pairs, messages or conversations (ShareGPT, Magpie), corrections."""

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, Field

from prep.jsonl import validated
from prep.records import Chat, Removed
from prep.sources.reader import Id, Place, Published, Text
from prep.text import context

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
