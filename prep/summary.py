"""The figures of a build as one table: what came into each file, what went, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from core.records import Reason, Removed

WHY: dict[Reason, str] = {
    "exact-duplicate": "equal to a record that stays",
    "near-duplicate": "nearly equal to a record that stays",
    "contradiction": "the same question has another answer elsewhere",
    "near-scored": "equal or near to a dev or test question, or quotes one",
    "holds-scored-id": "names a dev or test question",
    "empty": "a text it needs is empty",
    "bad-options": "options that cannot be asked with: empty, alike, fewer than 2 or more than 5",
    "bad-roles": "user and assistant do not take turns, the assistant last",
    "malformed": "has another form than its set",
    "doubled-id": "has the id of a record that stays",
    "no-answer": "has no answer to train on or to compare with",
    "too-long": "longer than the run allows",
    "not-sampled": "left out by the weight of its source",
    "refused": "the teacher did not take the request",
    "cut-off": "the teacher's text did not come to its end",
    "disagrees": "the teacher's answer is not the right one",
    "names-answer": "a hint that says which option is right",
    "letters-missing": "the teacher gave no probability of some letter",
    "unsupported": "its evidence does not stand in the document",
    "unanswerable": "the teacher did not find the answer with the document",
    "needs-no-document": "the teacher found the answer without the document",
    "length": "shorter or longer than an instruction may be",
    "language": "not written in Korean",
    "repetitive": "says the same again and again",
}


def counted(removed: Iterable[Removed]) -> str:
    """How many records were removed for which reason, the most frequent first."""
    reasons = Counter(record.reason for record in removed)
    return ", ".join(f"{count} {reason} ({WHY[reason]})" for reason, count in reasons.most_common())


# why records are removed, in the columns that a reader looks for; other reasons get their own
COLUMNS = {
    "exact-duplicate": "duplicate",
    "near-duplicate": "duplicate",
    "near-scored": "contaminated",
    "holds-scored-id": "contaminated",
    "too-long": "too long",
}
ALWAYS = ("duplicate", "contaminated", "too long")


def lines(report: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(file, source, counts) of the scored sets and of every stage's sources, in that order."""
    source_of = {
        split: name for name, _, split in (key.rpartition("/") for key in report["inputs"])
    }
    for split, counts in report["scored"].items():
        yield split, source_of[split], counts
    for stage, part in report["stages"].items():
        for source, counts in part["sources"].items():
            yield stage, source, counts


def removed(counts: dict[str, Any]) -> dict[str, int]:
    """How many records were removed, by column: those always shown, then what else there is."""
    found = dict.fromkeys(ALWAYS, 0)
    for reason, count in sorted(counts["removed"].items()):
        column = COLUMNS.get(reason, reason.replace("-", " "))
        found[column] = found.get(column, 0) + count
    return found


def rows(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table's headings and its lines as text; every line's read is its removed and its kept.

    `cleaned` counts the records that reading or cleaning altered, "–" where a report does not say.
    """
    found = [(file, source, counts, removed(counts)) for file, source, counts in lines(report)]
    columns = list(dict.fromkeys(column for *_, gone in found for column in gone)) or list(ALWAYS)
    body = []
    for file, source, counts, gone in found:
        figures = (
            counts["read"],
            counts.get("cleaned"),
            *(gone.get(column, 0) for column in columns),
            counts["kept"],
            counts["rows"],
        )
        body.append([file, source, *("–" if n is None else f"{n:,}" for n in figures)])
    return ["file", "source", "read", "cleaned", *columns, "kept", "rows"], body


def table(report: dict[str, Any]) -> Table:
    """A build's report as a table for the terminal."""
    headings, body = rows(report)
    grid = Table(title=f"{report['run']}: records read, altered, removed and kept; rows written")
    for place, heading in enumerate(headings):
        grid.add_column(heading, justify="left" if place < 2 else "right")
    for line in body:
        grid.add_row(*map(Text, line))
    return grid
