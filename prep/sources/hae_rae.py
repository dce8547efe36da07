"""Reader for HAE-RAE Bench, in the forms it was published in.

1.1 has query (all that is asked, with its own list of the options), options (a Python list as text)
and answer, as "(A)"; 1.0 has question, a to e, and answer, and its loader A to E. In both a passage
stands in the text that asks, under the heading 지문 or 참고.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from prep.jsonl import validated
from prep.records import LABELS, Question, Removed
from prep.sources.literal import literal
from prep.sources.reader import Option, Place, Published, Text
from prep.text import one_line

PASSAGE = {"지문", "참고"}
DROPPED = {"선택지", "정답"}  # the query's own list of the options, and where the answer goes
HEADING = re.compile(r"(?:^|(?<=\s))#{2,4}[ \t]*(지문|참고|질문|문제|선택지|정답)[ \t]*:")


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


def row(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """One question; its category is the subset, which no column of 1.1 names."""
    if "query" in record:
        given = validated(record, _Query, place.where)
        options = _options(given.options, place.where)
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
    """The question and the passage of a text that asks; its own list of the options goes.

    What is under a heading ends at the next one. Without headings the list is what follows "(A)"
    and the first option, so that a passage may have an "(A)" of its own.
    """
    marks = [*HEADING.finditer(text)]
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


def _options(value: str | list[Option], where: str) -> list[Option]:
    """A list of options; as text it is a Python list, or parts between bars."""
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return [*text.split("|")]
        value = literal(text, f"{where}, field options")
    return validated({"options": value}, _List, where).options
