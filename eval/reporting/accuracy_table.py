"""The table of accuracies that scoring and reporting print; needs no more than scoring has."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.table import Table

from core.records import Row
from eval.metrics.accuracy import Tally, by_category, chance, tally, wilson
from eval.metrics.significance import too_few
from eval.predictions import LetterMass


@dataclass(frozen=True)
class Result:
    """What one model's predictions score; `failures` are rows without an answer of the model's."""

    name: str
    all: Tally
    categories: dict[str, Tally]
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


def show(results: Sequence[Result], rows: Sequence[Row]) -> None:
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
