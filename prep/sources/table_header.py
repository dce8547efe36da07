"""The first line of a table: what parts its cells, and what its columns are called."""

from collections.abc import Sequence
from typing import Any

from core.errors import UserError
from core.text import nfc


def delimiter_of(header: bytes) -> str:
    """What parts the cells of a table, by its first line."""
    line = header.partition(b"\r")[0]
    return next((mark for mark in "\t,;" if mark.encode() in line), ",")


def names(row: Sequence[Any], where: str) -> list[str]:
    """The names of a table's columns; raises `UserError` where they are no names."""
    columns = ["" if cell is None else nfc(str(cell)) for cell in row]
    if columns.count("") > 1:
        raise UserError(
            f"{where}: {columns.count('')} of {len(columns)} columns have no name, as where a "
            "title or merged cells stand above them; leave one header line that names each column"
        )
    if len(set(columns)) < len(columns):
        raise UserError(f"{where}: two columns of one name; rename one")
    return columns
