"""Accuracy with its uncertainty, overall and by category; no model, no file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.records import Row
from eval.options import gold

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
class Tally:
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


def tally(rows: Sequence[Row], choices: Mapping[str, int | None]) -> Tally:
    """Count right choices (record id → published index; None is wrong) over the answered rows."""
    answered = [row for row in rows if row.answer is not None]
    return Tally(sum(choices[row.record] == gold(row) for row in answered), len(answered))


def by_category(rows: Sequence[Row], choices: Mapping[str, int | None]) -> dict[str, Tally]:
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
