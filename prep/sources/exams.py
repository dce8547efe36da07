"""Readers of exam sets: the CSAT-style exam, CLIcK, HAE-RAE Bench (in two forms), KMMLU, MMMLU."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from core.errors import UserError
from core.jsonl import validated
from core.records import LABELS, Changed, Question, Removed
from core.text import context, nfc, one_line
from prep.sources.cells import literal
from prep.sources.reader import Answer, Id, Option, Place, Published, Text

NOTE_HEADING = re.compile(r"(?:^|(?<=\s))[<＜〈《\[【]\s*보\s*기\s*[>＞〉》\]】](?=[\s:]|$):?")


class _Row(Published):
    id: Id = None
    paragraph: Text
    problems: str | dict[str, Any]
    question_plus: Text = ""


class _Problem(Published):
    question: Text
    choices: list[Option]
    answer: Answer = None
    question_plus: Text = ""


def csat(record: dict[str, Any], place: Place) -> Iterator[Question | Removed | Changed]:
    """One question of the CSAT-style exam: the columns id, paragraph, problems and question_plus.

    `problems` is a Python literal: question, choices (4 or 5) and answer, counted from 1 and empty
    in the test file. `question_plus` is the 보기. It may stand inside `problems` instead, or, under
    a heading, at the end of the paragraph: it becomes the question's note, which is reported.
    """
    given = validated(record, _Row, place.where)
    inside = f"{place.where}, field problems"
    problems = given.problems
    parsed = literal(problems, inside) if isinstance(problems, str) else problems
    problem = validated(parsed, _Problem, inside)
    both = (given.question_plus, problem.question_plus)
    notes = {same: note for note in both if (same := context(note))}
    if len(notes) > 1:
        raise UserError(f"{inside}: question_plus differs from the column of that name; leave one")
    passage, note = given.paragraph, next(iter(notes.values()), None)
    if note is None and (parts := split_note(passage)):
        passage, note = parts
        yield Changed(
            id=place.named(given.id),
            source=place.source,
            split=place.split,
            field="paragraph",
            before=given.paragraph,
            after=passage,
            reason="note-split",
        )
    yield place.question(
        given.id,
        category=place.category(record, "수능형"),
        question=problem.question,
        options=problem.choices,
        answer=place.index(problem.answer, len(problem.choices), first=1),
        passage=passage,
        note=note,
    )


def split_note(paragraph: str) -> tuple[str, str] | None:
    """Passage and 보기 of a paragraph that ends with one, or None where it does not.

    A heading is 보기 in brackets with a space before and behind it, so that no mention of the 보기
    in a sentence is one; with two headings it is not clear what belongs to the passage.
    """
    parts = [part.strip() for part in NOTE_HEADING.split(paragraph)]
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


class _Click(Published):
    id: Id = None
    paragraph: Text = ""
    question: Text
    choices: list[Option]
    answer: Option


def click(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """One question; its category is what the id holds besides numbers: exam and subject."""
    choices = record.get("choices")
    if isinstance(choices, str):
        record = {**record, "choices": literal(choices, f"{place.where}, field choices")}
    given = validated(record, _Click, place.where)
    options = [one_line(str(choice)) for choice in given.choices]
    answer = one_line(str(given.answer))
    yield place.question(
        given.id,
        category=place.category(record, re.sub(r"[\d_]+$", "", given.id or "") or "CLIcK"),
        question=given.question,
        options=given.choices,
        answer=options.index(answer) if answer in options else -1,
        passage=given.paragraph,
    )


PASSAGE = {"지문", "참고"}
DROPPED = {"선택지", "정답"}  # the query's own list of the options, and the place of the answer
PART_HEADING = re.compile(r"(?:^|(?<=\s))#{2,4}[ \t]*(지문|참고|질문|문제|선택지|정답)[ \t]*:")


class _Query(Published):
    query: Text
    options: str | list[Option]
    answer: str


class _Columns(Published):
    question: Text
    a: Option
    b: Option
    c: Option
    d: Option
    e: Option = None
    answer: str


class _List(Published):
    options: list[Option]


def hae_rae(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """One question; its category is the subset, which no column of 1.1 names."""
    if "query" in record:
        given = validated(record, _Query, place.where)
        options = _listed(given.options, place.where)
        asked, answer = given.query, given.answer
    else:
        lowered = {name.lower() if name in LABELS else name: v for name, v in record.items()}
        columns = validated(lowered, _Columns, place.where)
        options = [columns.a, columns.b, columns.c, columns.d]
        options += [] if columns.e is None else [columns.e]
        asked, answer = columns.question, columns.answer
    question, passage = split_passage(place.text(None, "question", asked), options)
    yield place.question(
        None,
        category=place.category(record, place.subset or "HAE-RAE Bench"),
        question=question,
        options=options,
        answer=_answer(answer, options),
        passage=passage,
    )


def split_passage(text: str, options: list[Option]) -> tuple[str, str]:
    """The question and the passage of a text that asks; its own list of the options is dropped.

    What is under a heading ends at the next one. Without headings the list is what follows "(A)"
    and the first option, so that a passage may have an "(A)" of its own.
    """
    marks = [*PART_HEADING.finditer(text)]
    ends = [*(mark.start() for mark in marks), len(text)]
    question, passage = [text[: ends[0]]], []
    for mark, end in zip(marks, ends[1:], strict=True):
        if mark[1] in PASSAGE:
            passage.append(text[mark.end() : end].strip())
        elif mark[1] not in DROPPED:
            question.append(text[mark.start() : end])
    asked = "".join(question)
    if options and DROPPED.isdisjoint(mark[1] for mark in marks):
        start = rf"\(A\)\s*{re.escape(one_line(str(options[0])))}(?=\s)"
        if listed := [*re.finditer(start, asked)]:
            asked = asked[: listed[-1].start()]
    return asked.strip(), "\n\n".join(passage)


def _answer(text: str, options: list[Option]) -> int:
    """The index of the option that a letter names, in brackets or not, or its own text; else -1.

    A letter may have its option behind it, "(C) 바다"; a number does not say what it counts from.
    """
    said = one_line(unicodedata.normalize("NFKC", text))
    shown = [one_line(unicodedata.normalize("NFKC", str(option))) for option in options]
    if shown.count(said) == 1:
        return shown.index(said)
    letter, _, option = said.strip("(").partition(")")
    index = LABELS.index(letter.strip().upper()) if letter.strip().upper() in LABELS else -1
    named = 0 <= index < len(shown) and option.strip() in ("", shown[index])
    return index if named else -1


def _listed(value: str | list[Option], where: str) -> list[Option]:
    """A list of options; as text it is a Python list, or parts between bars."""
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return [*text.split("|")]
        value = literal(text, f"{where}, field options")
    return validated({"options": value}, _List, where).options


class _FourOptions(Published):
    A: Option
    B: Option
    C: Option
    D: Option
    E: Option = None

    @property
    def options(self) -> list[Option]:
        return [self.A, self.B, self.C, self.D, *([] if self.E is None else [self.E])]


class _KMMLU(_FourOptions):
    question: Text
    answer: Answer


def kmmlu(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """KMMLU counts answers from 1."""
    row = validated(record, _KMMLU, place.where)
    answer = place.index(row.answer, len(row.options), first=1)
    category = place.category(record, "KMMLU")
    yield place.question(None, category, row.question, row.options, answer)


class _MMMLU(_FourOptions):
    question: Text = Field(alias="Question")
    answer: str = Field(alias="Answer")


def mmmlu(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """MMMLU names answers by letter."""
    row = validated(record, _MMMLU, place.where)
    letter = nfc(row.answer)
    answer = LABELS.index(letter) if letter in LABELS else -1
    category = place.category(record, "MMMLU")
    yield place.question(None, category, row.question, row.options, answer)
