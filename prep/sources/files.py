"""The records of a downloaded set: JSON, JSONL, CSV or Parquet, zipped or not, or from the hub.

Whatever is wrong with a file ends as one `UserError`; no data is executed or unpickled, and what is
read at a time is bounded.
"""

import csv
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from prep.errors import UserError

RECORD = 16 * 2**20  # bytes of one line, or of one CSV field
FILE = 4 * 2**30  # bytes of one zipped member, or of the rows of a Parquet file, unpacked
DOCUMENT = 2**30  # bytes of one JSON document, which is parsed as a whole
Found = tuple[int, str, dict[str, Any]]  # number from 1, where it stands, the record
# what reading and unpacking raise; EOFError and NotImplementedError come from zipfile
BROKEN = (OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


def records(path: Path, member: str | None = None) -> Iterator[Found]:
    """The records of a file, or of a zip file's member, each with its number and place.

    The number is the line in JSONL and CSV (of its first line, the header being line 1), else it
    counts the records. Raises `UserError` naming file, line and remedy.
    """
    readers = {".json": _json, ".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    with ExitStack() as stack:
        try:
            file, name = _opened(path, member, stack)
            suffix = Path(name).suffix.lower()
            if suffix not in readers:
                known = ", ".join([*readers, ".zip"])
                raise UserError(f"{name}: is none of {known}; convert it or rename it")
            yield from readers[suffix](file, name)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; check the path") from None
        except IsADirectoryError:
            raise UserError(f"{path}: is a folder; name a file in it") from None
        except BROKEN as error:
            cause = str(error) or type(error).__name__
            raise UserError(f"{path}: cannot be read ({cause}); download it again") from None


def hub_records(name: str, revision: str, subset: str | None, split: str) -> Iterator[Found]:
    """The rows of one split of a hub data set; no code of the data set is ever run."""
    from datasets import load_dataset  # slow to import, and a local set does not need it

    try:
        rows = load_dataset(name, subset, revision=revision, split=split)
        for number, row in enumerate(rows, start=1):
            yield number, f"{name}, row {number}", row
    except Exception as error:  # the hub's client raises errors of three libraries
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{name}@{revision}: cannot be loaded from the hub ({cause}); check name, revision and "
            "network, or download the set and give its `path`"
        ) from None


def _opened(path: Path, member: str | None, stack: ExitStack) -> tuple[IO[bytes], str]:
    """The bytes of a file or of a member, and the name by which errors call it."""
    if path.suffix.lower() != ".zip":
        return stack.enter_context(path.open("rb")), str(path)
    archive = stack.enter_context(zipfile.ZipFile(path))
    info = _member(archive, path, member)
    name = f"{path}!{info.filename}"
    if info.flag_bits & 1:
        raise UserError(f"{name}: is encrypted; unpack it and give its own path")
    return stack.enter_context(archive.open(info)), name


def _member(archive: zipfile.ZipFile, path: Path, member: str | None) -> zipfile.ZipInfo:
    """The member asked for, or the only one there is."""
    infos = [
        info
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    named = [info for info in infos if member in (None, info.filename)]
    if len(named) != 1:
        first = ", ".join(info.filename for info in infos[:5]) or "none"
        raise UserError(
            f"{path}: {len(named)} members to read{f' named {member}' if member else ''}; "
            f"give one as `member` (there are {len(infos)}: {first})"
        )
    if named[0].file_size > FILE:  # zipfile unpacks no more than the size that is declared
        raise UserError(
            f"{path}!{named[0].filename}: {named[0].file_size} bytes unpacked, more than the "
            f"{FILE} that are read; unpack and split it"
        )
    return named[0]


def _decoded(data: bytes, where: str) -> str:
    """UTF-8 text, with or without its mark; raises `UserError` naming the encoding it may be in."""
    try:
        text = data.decode("utf-8-sig")
        if "\0" not in text[:4]:  # Latin text in UTF-16 is UTF-8 too, with NULs
            return text
        place = 0
    except UnicodeDecodeError as error:
        place = error.start
    likely = "UTF-16" if b"\0" in data or data[:2] in (b"\xff\xfe", b"\xfe\xff") else "CP949"
    raise UserError(
        f"{where}: not UTF-8 at byte {place}, maybe {likely}; save the file as UTF-8 "
        f"(iconv -f {likely} -t UTF-8)"
    ) from None


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
            "mend or download the file again"
        ) from None
    except RecursionError:
        raise UserError(f"{where}: nested too deeply; mend or delete the record") from None
    except ValueError:  # an integer of more than 4,300 digits
        raise UserError(f"{where}: holds a number too long to read; mend the record") from None


def _json(file: IO[bytes], name: str) -> Iterator[Found]:
    data = file.read(DOCUMENT + 1)
    if len(data) > DOCUMENT:
        raise UserError(
            f"{name}: more than {DOCUMENT} bytes in one JSON document; convert it to JSONL"
        )
    values = _parsed(_decoded(data, name), name)
    if not isinstance(values, list):
        raise UserError(f"{name}: a {type(values).__name__}, not a list of records; mend it")
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise UserError(
                f"{name}, item number {number}: a {type(value).__name__}, not an object; "
                "mend or delete it"
            )
        yield number, f"{name}, item {_called(value, number)}", value


def _called(record: dict[str, Any], number: int) -> str:
    """How a record of a JSON list is told from others: by its id, if it has a short one."""
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


def _csv(file: IO[bytes], name: str) -> Iterator[Found]:
    """Rows by column name; a cell is always text, and an empty one is ""."""
    csv.field_size_limit(RECORD)
    rows = csv.reader(_lines(file, name), strict=True)
    header: list[str] | None = None
    number = 1
    try:
        for row in rows:
            where = f"{name}, line {number}"
            if header is None:
                header = row
                if len(set(header)) < len(header):
                    raise UserError(f"{where}: two columns of one name; rename one")
            elif row:
                if len(row) != len(header):
                    raise UserError(
                        f"{where}: {len(row)} cells, but {len(header)} columns; mend the quotes"
                    )
                yield number, where, dict(zip(header, row, strict=True))
            number = rows.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name}, line {number}: malformed CSV ({error}); mend it") from None


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
