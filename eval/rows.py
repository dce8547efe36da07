"""The rows of a data file, each of another question."""

from collections.abc import Iterable
from pathlib import Path

from core.errors import UserError
from core.jsonl import read_records
from core.records import Row


def read_rows(path: Path) -> list[Row]:
    """All rows of a file; raises `UserError` where there is none or a question stands twice.

    docs/scoring.md has the fields that rows of one's own need.
    """
    rows = read_records(path, Row)
    if not rows:
        raise UserError(f"{path}: holds no row; build it with prep/build.py")
    require_once(rows, path)
    return rows


def require_once(rows: Iterable[Row], path: Path) -> None:
    """Raise `UserError` where two rows of a file have one record id, by which predictions join."""
    seen: dict[str, Row] = {}
    for row in rows:
        other = seen.setdefault(row.record, row)
        if other is row:
            continue
        one, two = (f"{each.source}/{each.split}" for each in (other, row))
        if one != two:
            raise UserError(
                f"{path}: holds two questions with id {row.record}, of {one} and of {two}; keep "
                "each in a file of its own"
            )
        if other.id == row.id:
            raise UserError(f"{path}: id {row.id} stands there twice; build the file again")
        raise UserError(
            f"{path}: shows {row.record} in several orders; use the file of one order, and score "
            "it with --permutations"
        )
