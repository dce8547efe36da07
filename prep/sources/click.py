"""Reader for CLIcK: the answer is the text of one of the choices; the paragraph may be empty.

In a table the choices are a list written as text.
"""

import re
from collections.abc import Iterator
from typing import Any

from prep.jsonl import validated
from prep.records import Question, Removed
from prep.sources.literal import literal
from prep.sources.reader import Id, Option, Place, Published, Text
from prep.text import one_line


class _Row(Published):
    id: Id = None
    paragraph: Text = ""
    question: Text
    choices: list[Option]
    answer: Option


def row(record: dict[str, Any], place: Place) -> Iterator[Question | Removed]:
    """One question; its category is what the id tells besides numbers: exam and subject."""
    choices = record.get("choices")
    if isinstance(choices, str):
        record = {**record, "choices": literal(choices, f"{place.where}, field choices")}
    given = validated(record, _Row, place.where)
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
