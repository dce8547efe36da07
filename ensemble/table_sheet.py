"""A test file that is a table of one's own: its submission is the same table, answers filled in.

The form is the test file's own, and so is the order; answers are written as the mapping reads them,
into its column, which comes last where the test file has none.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from core.errors import UserError
from core.files import read_bytes
from core.text import nfc
from ensemble.sheet import Sheet, other_ids, without_mark
from prep.sources import forms
from prep.sources.cells import option_of, written
from prep.sources.mapping import TABLE, TableMapping, has, value_at
from prep.sources.source import Source, read
from prep.sources.spreadsheet import delimiter_of

ANEW = "write it anew"


class TableSheet(Sheet):
    """A table whose columns a mapping names."""

    def __init__(self, path: Path, mapping: TableMapping) -> None:
        """Raises `UserError` where the table cannot be read by the mapping, or not be written."""
        if path.suffix.lower() not in forms.SUFFIXES:
            raise UserError(
                f"{path}: is none of {', '.join(forms.SUFFIXES)}; unpack or convert the test file"
            )
        if mapping.columns is None or mapping.columns.answer is None:
            raise UserError(
                f"{path}: its mapping names no column of answers; add `answer: …` to its columns"
            )
        self.path, self.mapping, self.column = path, mapping, mapping.columns.answer
        got = read(Source(source=TABLE, **mapping.blind.stated), path, "test")
        self.texts = [question.options for question in got.questions]
        self.ids = [question.id for question in got.questions]
        self.options = [len(question.options) for question in got.questions]
        self.categories = [question.category for question in got.questions]
        self.groups = [question.group for question in got.questions]
        self._content = read_bytes(path)
        self._records = _records(self._content, path)

    def content(self, choices: Mapping[str, int]) -> bytes:
        """The table with the answers of choices (id → 0-based option)."""
        keys, notation = self.mapping.fixed.keys, self.mapping.answers
        answers = [
            keys[choices[id_]] if keys else written(choices[id_], notation, texts)
            for id_, texts in zip(self.ids, self.texts, strict=True)
        ]
        suffix = self.path.suffix.lower()
        if suffix == ".parquet":
            return _parquet(self._content, self.column, answers)
        if suffix == ".xlsx":
            return _workbook(self._content, self.column, answers)
        filled = [
            _with(record, self.column, answer)
            for record, answer in zip(self._records, answers, strict=True)
        ]
        if suffix in (".csv", ".tsv"):
            return _delimited(self._content, filled)
        return _json(self._content, filled)

    def validate(self, content: bytes, path: Path) -> None:
        """The same records in the same order, each with an answer that names an option."""
        if path.suffix.lower() not in (".parquet", ".xlsx"):
            without_mark(content, path)
        given = _records(content, path)
        column = self.mapping.columns.id if self.mapping.columns else None
        ids, expected = (
            [nfc(str(value_at(one, column))) if column else str(n) for n, one in enumerate(some, 1)]
            for some in (given, self._records)
        )
        if ids != expected:
            raise other_ids(path, ids, expected)
        rows = zip(self.ids, given, self._records, self.texts, strict=True)
        for id_, one, record, texts in rows:
            if _but(one, self.column) != _but(record, self.column):
                raise UserError(f"{path}, record {id_}: differs from the test file; {ANEW}")
            answer = value_at(one, self.column)
            place = option_of(answer, self.mapping.answers, texts, self.mapping.fixed.keys)
            if place is None or not 0 <= place < len(texts):
                raise UserError(f"{path}, record {id_}: answer {answer!r} is no option; {ANEW}")


def _records(content: bytes, path: Path) -> list[dict[str, Any]]:
    return [record for _, _, record in forms.read(io.BytesIO(content), str(path))]


def _with(record: Mapping[str, Any], column: str, answer: Any) -> dict[str, Any]:
    """A record with its answer; one within an object is put there."""
    if column in record or not has(record, column):
        return {**record, column: answer}
    name, _, rest = column.partition(".")
    return {**record, name: _with(record[name], rest, answer)}


def _but(record: Mapping[str, Any], column: str) -> str:
    """A record but for its answer, as text, in which 1, 1.0 and true differ."""
    return json.dumps(_with(record, column, None), ensure_ascii=False, default=str)


def _delimited(content: bytes, records: Sequence[Mapping[str, Any]]) -> bytes:
    """A table as cells; quotes stand where cells need them, or nowhere if they are text."""
    delimiter = delimiter_of(content.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0])
    rows = [[*records[0]], *([str(cell) for cell in one.values()] for one in records)]
    if delimiter == "\t" and not any({"\t", "\n", "\r"} & {*cell} for row in rows for cell in row):
        return "".join(delimiter.join(row) + "\n" for row in rows).encode()
    lines = io.StringIO(newline="")
    csv.writer(lines, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return lines.getvalue().encode()


def _json(content: bytes, records: list[dict[str, Any]]) -> bytes:
    """Records on lines or in a list, as the test file has them; a list may stand under "data"."""
    try:
        document = json.loads(content)
    except json.JSONDecodeError:
        document = None
    listed = isinstance(document, dict) and isinstance(document.get("data"), list)
    if isinstance(document, list) or listed:
        value = {**document, "data": records} if isinstance(document, dict) else records
        return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records).encode()


def _parquet(content: bytes, column: str, answers: Sequence[Any]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    made = pa.array(answers)
    if column in table.column_names:
        place = table.column_names.index(column)
        table = table.set_column(place, column, _cast(made, table.schema.field(column).type))
    else:
        table = table.append_column(column, made)
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _cast(answers: Any, kind: Any) -> Any:
    """Answers in their column's own type where that can hold them: one without values may not."""
    import pyarrow as pa

    try:
        given = answers.cast(kind)
        return given if given.cast(answers.type).equals(answers) else answers
    except pa.ArrowException:
        return answers


def _workbook(content: bytes, column: str, answers: Sequence[Any]) -> bytes:
    from openpyxl import load_workbook
    from openpyxl.writer.excel import ExcelWriter

    book = load_workbook(io.BytesIO(content))
    [sheet] = [one for one in book if any(cell.value is not None for row in one for cell in row)]
    rows = [row for row in sheet if any(cell.value is not None for cell in row)]
    names = [nfc(str(cell.value)) if cell.value is not None else "" for cell in rows[0]]
    width = max(
        place for row in rows for place, cell in enumerate(row, 1) if cell.value is not None
    )
    place = names.index(column) + 1 if column in names else width + 1
    for merged in [*sheet.merged_cells.ranges]:  # but the first of them holds no value
        if merged.min_col <= place <= merged.max_col:
            sheet.unmerge_cells(merged.coord)
    for row, value in zip(rows, [column, *answers], strict=True):
        sheet.cell(row[0].row, place).value = value
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED, allowZip64=True) as archive:
        ExcelWriter(book, archive).save()  # book.save notes the time
    return _undated(file)


def _undated(file: io.BytesIO) -> bytes:
    """The bytes of a zip file whose members have no time, so that they are the same again."""
    undated = io.BytesIO()
    with ZipFile(file) as dated, ZipFile(undated, "w", ZIP_DEFLATED) as copy:
        for member in dated.infolist():
            copy.writestr(ZipInfo(member.filename), dated.read(member), ZIP_DEFLATED)
    return undated.getvalue()
