"""What spreadsheets save: the header line of a table, and the rows of a workbook of Excel."""

from collections.abc import Sequence
from typing import IO, Any

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


def workbook_rows(file: IO[bytes], name: str) -> list[tuple[int, list[Any]]]:
    """The filled rows of the one filled sheet, each with its number from 1; an empty cell is "".

    Of a formula the value is read that was saved with it; of merged cells the first holds it.
    """
    from openpyxl import load_workbook  # seconds to import, and wanted for workbooks alone

    try:
        book = load_workbook(file, read_only=True, data_only=True)
        sheets = [[[*row] for row in sheet.iter_rows(values_only=True)] for sheet in book]
    except Exception as error:  # of zipfile, of XML and of openpyxl, as the file is broken
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{name}: no workbook that can be read ({cause}); save it anew") from None
    filled = [sheet for sheet in sheets if any(cell is not None for row in sheet for cell in row)]
    if len(filled) != 1:
        raise UserError(
            f"{name}: {len(filled)} sheets are not empty; save the one that is meant alone, or as "
            "CSV UTF-8"
        )
    [sheet] = filled
    width = max(place for row in sheet for place, cell in enumerate(row, 1) if cell is not None)
    return [
        (number, ["" if cell is None else cell for cell in [*row, *[None] * width][:width]])
        for number, row in enumerate(sheet, start=1)
        if any(cell is not None for cell in row)
    ]
