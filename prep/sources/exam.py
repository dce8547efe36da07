"""Reader for the CSAT-style exam set: a CSV of id, paragraph, problems and question_plus.

`problems` is a Python literal: question, choices (4 or 5) and answer, counted from 1 and empty in
the test file. `question_plus` is the 보기. It may stand inside `problems` instead, or, under a
heading, at the end of the paragraph.
"""

import re
from collections.abc import Iterator
from typing import Any

from core.errors import UserError
from core.jsonl import validated
from core.records import Changed, Question, Removed
from core.text import context
from prep.sources.literal import literal
from prep.sources.reader import Answer, Id, Option, Place, Published, Text

HEADING = re.compile(r"(?:^|(?<=\s))[<＜〈《\[【]\s*보\s*기\s*[>＞〉》\]】](?=[\s:]|$):?")


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


def row(record: dict[str, Any], place: Place) -> Iterator[Question | Removed | Changed]:
    """One exam question; a 보기 glued to the paragraph becomes its note, which is reported."""
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
    parts = [part.strip() for part in HEADING.split(paragraph)]
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None
