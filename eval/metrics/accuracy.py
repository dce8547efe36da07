"""Accuracy with its uncertainty, overall and by category, and the table that commands print."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.table import Table

from core.records import Row
from eval.metrics.significance import too_few
from eval.options import gold
from eval.predictions import LetterMass

Z95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution


def wilson(correct: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion: E. B. Wilson (1927), JASA 22(158), 209-212.

    Unlike the normal approximation it stays within 0 to 1 and holds near both ends. `n` of 0 gives
    (0, 1): nothing is known.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Accuracy:
    """How many of n answers are right."""

    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1; `n` must not be 0."""
        return self.correct / self.n

    def as_dict(self) -> dict[str, float | int | list[float]]:
        """For JSON: counts, accuracy and the ends of its 95 % interval."""
        interval = [round(end, 6) for end in wilson(self.correct, self.n)]
        return {
            "correct": self.correct,
            "n": self.n,
            "accuracy": round(self.accuracy, 6),
            "wilson95": interval,
        }


def tally(rows: Sequence[Row], choices: Mapping[str, int | None]) -> Accuracy:
    """Count right choices (record id → published index; None is wrong) over the answered rows."""
    answered = [row for row in rows if row.answer is not None]
    return Accuracy(sum(choices[row.record] == gold(row) for row in answered), len(answered))


def by_category(rows: Sequence[Row], choices: Mapping[str, int | None]) -> dict[str, Accuracy]:
    """The tally of each category that has answers, categories in order of first appearance."""
    names = dict.fromkeys(row.category or "-" for row in rows if row.answer is not None)
    return {
        name: tally([row for row in rows if (row.category or "-") == name], choices)
        for name in names
    }


def chance(rows: Sequence[Row]) -> float:
    """Expected accuracy of guessing blindly over the rows that have an answer."""
    shares = [1 / len(row.labels) for row in rows if row.answer is not None and row.labels]
    return math.fsum(shares) / len(shares)


@dataclass(frozen=True)
class Accuracies:
    """What one model's predictions score; `failures` are rows without an answer of the model's."""

    name: str
    all: Accuracy
    categories: dict[str, Accuracy]
    letter_mass: LetterMass | None
    failures: int

    @classmethod
    def of(
        cls,
        name: str,
        rows: Sequence[Row],
        choices: Mapping[str, int | None],
        mass: LetterMass | None,
    ) -> Self:
        """Count the right choices (record id → published index) over the rows with an answer."""
        failures = sum(row.answer is not None and choices[row.record] is None for row in rows)
        return cls(name, tally(rows, choices), by_category(rows, choices), mass, failures)


def show(results: Sequence[Accuracies], rows: Sequence[Row]) -> None:
    """Print the table; under it what blind guessing would score, and where groups are too few."""
    table = Table()
    table.add_column("predictions")
    names = list(results[0].categories)
    failed = any(one.failures for one in results)
    columns = ("right", "accuracy", "95 % interval", *names, "letter mass")
    for column in (*columns, *["no answer"] * failed):
        table.add_column(column, justify="right")
    for one in results:
        low, high = wilson(one.all.correct, one.all.n)
        table.add_row(
            one.name,
            f"{one.all.correct}/{one.all.n}",
            f"{one.all.accuracy:.1%}",
            f"{low:.1%}–{high:.1%}",
            *(f"{one.categories[name].accuracy:.1%}" for name in names),
            f"{one.letter_mass.mean:.3f}" if one.letter_mass else "",
            *[str(one.failures)] * failed,
        )
    # A pipe has no width to fit: print every column in full there.
    console = Console() if sys.stdout.isatty() else Console(width=80 + 20 * (len(names) + 1))
    console.print(table)
    console.print(f"chance level {chance(rows):.1%} (blind guessing over {results[0].all.n} rows)")
    if few := too_few([row.group for row in rows if row.answer is not None]):
        console.print(f"{few}; the interval in the table takes items as independent")
