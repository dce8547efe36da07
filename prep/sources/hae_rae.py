"""Reader for HAE-RAE Bench, in the two forms it was published in.

1.1 has query (all that is asked, with its own list of the options), options (a Python list as text)
and answer, as "(A)"; 1.0 has question, a to e, and answer.
"""

import re
from collections.abc import Iterator
from typing import Any

from prep.jsonl import validated
from prep.records import LABELS, Question, Removed
from prep.sources.literal import literal
from prep.sources.reader import Place, Published

LISTED = re.compile(r"\n[^\n]*\(A\).*", re.DOTALL)  # from the line of the first option to the end
TITLE = re.compile(r"\n#[^\n:]*:\s*$")  # the heading over them


class _Query(Published):
    query: str
    options: str | list[str]
    answer: str


class _Columns(Published):
    question: str
    a: str
    b: str
    c: str
    d: str
    e: str | None = None
    answer: str


class _List(Published):
    options: list[str]


def row(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """One question; its category is the subset, which no column names."""
    if "query" in record:
        given = validated(record, _Query, place.where)
        options = _options(given.options, place.where)
        asked, answer = TITLE.sub("", LISTED.sub("", given.query)), given.answer
    else:
        columns = validated(record, _Columns, place.where)
        options = [columns.a, columns.b, columns.c, columns.d]
        options += [columns.e] if columns.e else []
        asked, answer = columns.question, columns.answer
    letter = answer.strip().strip("()").upper()
    yield place.question(
        None,
        category=place.subset or "HAE-RAE Bench",
        question=asked,
        options=options,
        answer=LABELS.index(letter) if letter in LABELS else -1,
    )


def _options(value: str | list[str], where: str) -> list[str]:
    """A list of options; as text it is a Python list, or parts between bars."""
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return text.split("|")
        value = literal(text, f"{where}, field options")
    return validated({"options": value}, _List, where).options
