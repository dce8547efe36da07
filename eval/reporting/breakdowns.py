"""What accuracies are broken down by: category, references, length, position and the like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.records import Question, Row
from eval.metrics.accuracy import Accuracy
from eval.options import gold


@dataclass(frozen=True)
class Breakdown:
    """A way to part the rows: `values` has one for each row, `order` those there are."""

    name: str
    title: str
    caption: str
    values: list[str]
    order: list[str]

    def tallies(self, right: Sequence[bool]) -> dict[str, Accuracy]:
        """How many of each value's rows are right."""
        parts: dict[str, list[bool]] = {value: [] for value in self.order}
        for value, one in zip(self.values, right, strict=True):
            parts[value].append(one)
        return {value: Accuracy(sum(part), len(part)) for value, part in parts.items()}


def breakdowns(rows: Sequence[Row], questions: Mapping[str, Question]) -> list[Breakdown]:
    """Categories, and every other property in which the rows differ; all rows have an answer.

    References need the questions: they are shown only where every row has one.
    """
    found = [
        _breakdown(
            "categories",
            "Category",
            "What is asked for: the inference type, or the subject.",
            [row.category or "-" for row in rows],
        ),
        _breakdown(
            "references",
            "Reference utterances",
            "How many utterances of the dialogue the question refers to.",
            [len(questions[row.record].focus) for row in rows if row.record in questions],
        ),
        lengths(rows),
        _breakdown(
            "positions",
            "Position of the right answer",
            "The letter that showed the right option: each letter's recall.",
            [row.answer or "" for row in rows],
        ),
        _breakdown(
            "published",
            "Published place of the right answer",
            "Where the right option stands in the published order, from 1.",
            [(gold(row) or 0) + 1 for row in rows],
        ),
        _breakdown(
            "options",
            "Number of options",
            "How many options the question has; the more, the lower the chance level.",
            [len(row.labels or []) for row in rows],
        ),
        _breakdown("splits", "Split", "The corpus's own parts.", [row.split for row in rows]),
        _breakdown("sources", "Source", "Where the rows come from.", [row.source for row in rows]),
    ]
    return [
        one
        for one in found
        if len(one.values) == len(rows)
        and (len(one.order) > 1 or one.name == "categories")
        and (one.name != "published" or reordered(rows))
    ]


def reordered(rows: Sequence[Row]) -> bool:
    """Whether a row shows its options in another order than the published one."""
    return any(row.order != sorted(row.order or []) for row in rows)


def _breakdown(name: str, title: str, caption: str, values: Sequence[str | int]) -> Breakdown:
    """Numbers in ascending order; names as they first appear, but letters by the alphabet."""
    distinct = list(dict.fromkeys(values))
    if name != "categories":
        distinct.sort()
    return Breakdown(name, title, caption, [str(value) for value in values], [*map(str, distinct)])


def lengths(rows: Sequence[Row]) -> Breakdown:
    """Quartiles of the characters of the prompts, named by their least and their greatest."""
    sizes = [
        sum(len(one.content) for one in row.messages if one.role != "assistant") for row in rows
    ]
    borders = np.quantile(sizes, [0.25, 0.5, 0.75])
    places = np.searchsorted(borders, sizes)  # a border belongs to the quartile below it
    names = {}
    for place in sorted(set(places)):
        part = [size for size, at in zip(sizes, places, strict=True) if at == place]
        names[place] = f"{min(part):,}–{max(part):,}"
    caption = "Quartiles of the characters of the prompt."
    values = [names[place] for place in places]
    return Breakdown("lengths", "Length", caption, values, list(names.values()))
