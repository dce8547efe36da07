"""How many tokens the rows of a file have, as a recipe trains on them, and how many are too long.

Run as: python prep/lengths.py --rows data/cci/stage2.jsonl --recipe recipes/stage2.yml
"""

import argparse
import json
from dataclasses import fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.errors import UserError, entry
from core.jsonl import read_objects, validated
from core.records import Preference, Row
from prep.guards.token_lengths import Lengths, report, ruler


def read(path: Path) -> list[Row | Preference]:
    """The rows or preferences of a file; raises `UserError` naming line and field."""
    rows = [
        validated(value, Preference if "chosen" in value else Row, f"{path}, line {number}")
        for number, value in read_objects(path)
    ]
    if not rows:
        raise UserError(f"{path}: no rows; run python prep/build.py again")
    return rows


def table(parts: dict[str, list[Lengths]], limit: int) -> Table:
    """The figures, one line a source of each file."""
    grid = Table(title=f"tokens a row; sequence_len {limit}")
    grid.add_column("file")
    for field in fields(Lengths):
        grid.add_column(field.name, justify="left" if field.name == "source" else "right")
    for file, lines in parts.items():
        for line in lines:
            style = "red" if line.over else None
            grid.add_row(file, *map(str, line.figures().values()), style=style)
    return grid


def main() -> int:
    """Print the report; exit code 1 where a row is too long for the recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/lengths.py --rows data/demo/*.jsonl "
        "--recipe recipes/tiny/stage1.yml --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="files of rows")
    parser.add_argument("--recipe", type=Path, required=True, help="the recipe that trains on them")
    parser.add_argument("--tokenizer", help="a model or folder whose tokenizer the base will have")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()

    rows = {str(path): read(path) for path in args.rows}
    by = ruler(args.recipe, args.tokenizer)
    parts = {name: report(some, by) for name, some in rows.items()}
    if args.json:
        files = {name: [line.figures() for line in lines] for name, lines in parts.items()}
        print(json.dumps({"sequence_len": by.limit, "files": files}, ensure_ascii=False, indent=2))
    else:
        Console().print(table(parts, by.limit))
    return int(any(lines[-1].over for lines in parts.values()))


if __name__ == "__main__":
    entry(main)
