"""The records of one open file: JSON, JSONL, CSV, tab-separated text, XLSX or Parquet.

What a file holds decides how it is read, where its name says otherwise: JSONL is often called
.json, and tab-separated text .csv. No data is executed or unpickled, and what is read at a time is
bounded.
"""

import csv
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from core.errors import UserError
from core.text import short
from prep.sources.spreadsheet import delimiter_of, names, workbook_rows

RECORD = 16 * 2**20  # bytes of one line, or of one CSV field
FILE = 4 * 2**30  # bytes of a zipped or gzipped file, or of the rows of a Parquet file, unpacked
DOCUMENT = 2**30  # bytes of one JSON document, which is parsed in one piece
SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".xlsx")
Found = tuple[int, str, dict[str, Any]]  # number from 1, where it stands, the record

_LINE_END = re.compile(r"(?<=\r)(?!\n)")  # of old Macs: a carriage return alone
_PAGE = re.compile(rb"\s*<(!doctype\s+html|html|head)\b", re.IGNORECASE)


def read(file: IO[bytes], name: str) -> Iterator[Found]:
    """The records of an open file that can be read twice, each with its number and place.

    The number is the line in JSONL and tables (of its first line, the header being line 1), else it
    counts the records. Raises `UserError` naming file, line and remedy.
    """
    head = refuse_others(file, name)
    suffix = next((one for one in SUFFIXES if name.lower().endswith(one)), None)
    if suffix is None:
        known = ", ".join([*SUFFIXES, ".zip"])
        raise UserError(f"{name}: is none of {known}, also with .gz; convert it or rename it")
    if suffix == ".xlsx":
        yield from _xlsx(file, name)
        return
    if head.startswith(b"PK\3\4"):
        raise UserError(f"{name}: is a zip file under another name; rename it to .zip or unpack it")
    if head.startswith(b"PAR1") or suffix == ".parquet":
        yield from _parquet(file, name)
    elif suffix in (".csv", ".tsv"):
        yield from _table(file, name)
    else:
        yield from (_jsonl if _in_lines(file, suffix) else _json)(file, name)


def refuse_others(file: IO[bytes], name: str) -> bytes:
    """The head of an open file, which is left at its start, whatever form its name promises.

    Raises `UserError` where nothing was downloaded: nothing at all, a pointer or a web page.
    """
    head = file.read(512)
    file.seek(0)
    if not head:
        raise UserError(f"{name}: is empty; download it again or name another file")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(
            f"{name}: is a Git LFS pointer, not the file it stands for; run `git lfs pull` in its "
            "repository, or download the file itself"
        )
    if _PAGE.match(head):
        raise UserError(
            f"{name}: is a web page, not data; log in or agree to the terms where it is offered, "
            "then download the file again"
        )
    return head


def _decoded(data: bytes, where: str) -> str:
    """UTF-8 text, with or without its mark; raises `UserError` naming the encoding it is in."""
    try:
        text = data.decode("utf-8-sig")
        if "\0" not in text[:4]:  # Latin text in UTF-16 is UTF-8 too, with NULs
            return text
        place = 0
    except UnicodeDecodeError as error:
        place = error.start
    encoding = _encoding(data)
    if encoding is None:
        raise UserError(
            f"{where}: not UTF-8 at byte {place}, and no Korean encoding either; it is damaged, "
            "download it again"
        )
    raise UserError(
        f"{where}: not UTF-8 at byte {place}, maybe {encoding}; save the file as UTF-8 "
        f"(iconv -f {encoding} -t UTF-8)"
    )


def _encoding(data: bytes) -> str | None:
    """What else than UTF-8 a text may be in, as iconv calls it."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    if b"\0" in data:  # ASCII in two bytes, of which the first or the second is nothing
        return "UTF-16LE" if data[1::2].count(0) >= data[::2].count(0) else "UTF-16BE"
    try:
        data.decode("cp949")
    except UnicodeDecodeError as error:
        # a cell cut in its middle may end with half a character
        return "CP949" if error.end == len(data) else None
    return "CP949"


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    """The lines of a text file with their ends, none longer than RECORD."""
    number = 0
    while line := file.readline(RECORD + 1):
        number += 1
        if len(line) > RECORD:
            raise UserError(
                f"{name}, line {number}: more than {RECORD} bytes; shorten or delete the record"
            )
        yield _decoded(line, f"{name}, line {number}")


def _parsed(text: str, where: str) -> Any:
    """One JSON value; raises `UserError` saying where it is malformed."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise UserError(
            f"{where}: malformed JSON at {line}column {error.colno} ({error.msg}); "
            "correct the file or download it again"
        ) from None
    except RecursionError:
        raise UserError(f"{where}: nested too deeply; correct or delete the record") from None
    except ValueError:  # an integer of more than 4,300 digits
        raise UserError(f"{where}: holds a number too long to read; correct the record") from None


def _in_lines(file: IO[bytes], suffix: str) -> bool:
    """Whether a JSON file has a record on each line, by its first one; leaves it at its start."""
    lines = iter(lambda: file.readline(RECORD + 1), b"")
    texts = (line.decode("utf-8-sig", "replace").strip() for line in lines)
    filled = (text for text in texts if text)
    text, second = next(filled, ""), next(filled, "")
    file.seek(0)
    if text.startswith("[") or text == "{":
        return False
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return suffix == ".jsonl"
    if second:
        return suffix == ".jsonl" or isinstance(record, dict)
    listed = isinstance(record, dict) and isinstance(record.get("data"), list)
    return suffix == ".jsonl" and not listed


def _json(file: IO[bytes], name: str) -> Iterator[Found]:
    """The objects of a JSON list, which may be all that stands under "data"."""
    data = file.read(DOCUMENT + 1)
    if len(data) > DOCUMENT:
        raise UserError(
            f"{name}: more than {DOCUMENT} bytes in one JSON document; convert it to JSONL"
        )
    values = _parsed(_decoded(data, name), name)
    if isinstance(values, dict) and isinstance(values.get("data"), list):
        values = values["data"]
    if not isinstance(values, list):
        keys = f" (its keys: {short(', '.join(values))})" if isinstance(values, dict) else ""
        raise UserError(
            f"{name}: a {type(values).__name__}, not a list of records{keys}; save the list alone, "
            'or as {"data": [...]}'
        )
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise UserError(
                f"{name}, item number {number}: a {type(value).__name__}, not an object; "
                "correct or delete it"
            )
        yield number, f"{name}, item {_called(value, number)}", value


def _called(record: dict[str, Any], number: int) -> str:
    """What identifies a record of a JSON list: its id, if it has a short one."""
    name = record.get("id")
    readable = isinstance(name, str) and name.isprintable() and 0 < len(name) <= 80
    return str(name) if readable else f"number {number}"


def _jsonl(file: IO[bytes], name: str) -> Iterator[Found]:
    for number, line in enumerate(_lines(file, name), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        value = _parsed(line, where)
        if not isinstance(value, dict):
            raise UserError(
                f"{where}: a {type(value).__name__}, not an object; each line must hold one object"
            )
        yield number, where, value


def _table(file: IO[bytes], name: str) -> Iterator[Found]:
    """Rows by column name; a cell is always text, and an empty one is ""."""
    csv.field_size_limit(RECORD)
    delimiter = delimiter_of(file.readline(RECORD + 1))
    file.seek(0)
    quoting = csv.QUOTE_MINIMAL
    if delimiter == "\t":
        quoting = csv.QUOTE_MINIMAL if _quoted(_rows_of_text(file, name)) else csv.QUOTE_NONE
        file.seek(0)
    lines = _rows_of_text(file, name)
    rows = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    columns: list[str] | None = None
    number = 1
    try:
        for row in rows:
            where = f"{name}, line {number}"
            if columns is None:
                columns = names(row, where)
            elif row:
                if len(row) != len(columns):
                    raise UserError(
                        f"{where}: {len(row)} cells, but {len(columns)} columns; correct the quotes"
                    )
                yield number, where, dict(zip(columns, row, strict=True))
            number = rows.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name}, line {number}: malformed CSV ({error}); correct it") from None


def _rows_of_text(file: IO[bytes], name: str) -> Iterator[str]:
    """The lines of a table, also those that end with a carriage return alone."""
    for line in _lines(file, name):
        yield from (part for part in _LINE_END.split(line) if part)


def _quoted(lines: Iterator[str]) -> bool:
    """Whether quotation marks enclose the cells of tab-separated text, as they do in CSV.

    They do where all rows read so, and where no cell has them that needs none, unless all have:
    else they are a part of the text, as in a sentence that begins with a title.
    """
    read: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            read.append(line)
            yield line

    width = 0
    try:
        for row in csv.reader(remembered(), delimiter="\t", strict=True):
            cells = "".join(read).rstrip("\r\n").split("\t")
            read.clear()
            width = width or len(row)
            closed = [cell for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == '"']
            needless = any(not set(cell[1:-1]) & set('",\t\r\n') for cell in closed)
            if len(row) != width or (needless and len(closed) < len(cells)):
                return False
    except csv.Error:
        return False
    return True


def _xlsx(file: IO[bytes], name: str) -> Iterator[Found]:
    """Rows by column name; an empty cell is "", and a number stays one."""
    (first, cells), *rest = workbook_rows(file, name)
    columns = names(cells, f"{name}, line {first}")
    for number, row in rest:
        yield number, f"{name}, line {number}", dict(zip(columns, row, strict=True))


def _parquet(file: IO[bytes], name: str) -> Iterator[Found]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
        groups = (table.metadata.row_group(i) for i in range(table.metadata.num_row_groups))
        if sum(group.total_byte_size for group in groups) > FILE:
            raise UserError(f"{name}: more than {FILE} bytes unpacked; split it")
        number = 0
        for batch in table.iter_batches(batch_size=1000):
            for record in batch.to_pylist():
                number += 1
                yield number, f"{name}, row {number}", record
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        cause = str(error).partition("\n")[0]
        raise UserError(f"{name}: malformed Parquet ({cause}); download it again") from None
