"""Print how often predictions are right: accuracy with 95 % Wilson intervals, by category.

Run as: python eval/report.py predictions/*.jsonl --data data/dev.jsonl
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from eval.accuracy import Tally, by_category, chance, tally, wilson
from eval.predictions import LetterMass, join, read
from prep.errors import UserError, entry
from prep.jsonl import read_records, sha256, write_json
from prep.records import Row


@dataclass(frozen=True)
class Result:
    """What one model's predictions score."""

    name: str
    all: Tally
    categories: dict[str, Tally]
    letter_mass: LetterMass | None

    @classmethod
    def of(
        cls, name: str, rows: Sequence[Row], choices: dict[str, int], mass: LetterMass | None
    ) -> Self:
        """Count the right choices (id → published index) over the rows that have an answer."""
        return cls(name, tally(rows, choices), by_category(rows, choices), mass)


def as_json(results: Sequence[Result], rows: Sequence[Row]) -> dict[str, Any]:
    """The table's figures, for programs and for DVC's metrics."""
    return {
        "chance": round(chance(rows), 6),
        "results": {
            one.name: one.all.as_dict()
            | {"letter_mass": one.letter_mass and one.letter_mass.mean}
            | {"categories": {name: part.as_dict() for name, part in one.categories.items()}}
            for one in results
        },
    }


def show(results: Sequence[Result], rows: Sequence[Row]) -> None:
    """Print the table and, under it, what blind guessing would score."""
    table = Table()
    table.add_column("predictions")
    names = list(results[0].categories)
    for column in ("right", "accuracy", "95 % interval", *names, "letter mass"):
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
        )
    # A pipe has no width to fit: print every column in full there.
    console = Console() if sys.stdout.isatty() else Console(width=60 + 20 * (len(names) + 1))
    console.print(table)
    console.print(f"chance level {chance(rows):.1%} (blind guessing over {results[0].all.n} rows)")


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, print the table and write its figures where asked."""
    parser = argparse.ArgumentParser(
        description="Print how often predictions are right, with 95 % Wilson intervals.",
        epilog="example:\n  python eval/report.py predictions/*.jsonl --data data/dev.jsonl",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("predictions", nargs="+", type=Path, help="files that score.py wrote")
    parser.add_argument("--data", required=True, type=Path, help="the scored rows, with answers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)

    rows = read_records(args.data, Row)
    if not any(row.answer for row in rows):
        raise UserError(f"{args.data}: no row has an answer; report on a file with answers")
    results = []
    for path in args.predictions:
        predictions, meta = read(path)
        choices = join(path, predictions, rows, args.data)
        if meta.data.sha256 != sha256(args.data):
            raise UserError(f"{path}: made from an earlier {args.data}; score that file again")
        results.append(Result.of(path.stem, rows, choices, meta.letter_mass))
    if args.json:
        write_json(args.json, as_json(results, rows))
    show(results, rows)


if __name__ == "__main__":
    entry(main)
