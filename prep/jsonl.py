"""JSONL and JSON as every chapter reads and writes them: UTF-8, NFC, all or nothing."""

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from prep.errors import UserError, full_disk
from prep.text import short

Record = TypeVar("Record", bound=BaseModel)
MEND = "mend or download the file again"


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` only when it is complete.

    A killed run leaves either the old file or the new one, never half of one. Raises `UserError`
    where the place cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("w", encoding="utf-8", newline="\n")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _told(path):
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one sentence why a file cannot be put in its place; a full disk has its own."""
    try:
        yield
    except OSError as error:
        if full_disk(error):
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); name another place"
        ) from None


def require_place(out: Path | None, *others: Path | None) -> None:
    """Raise `UserError` where `out` is a folder, lies under a file, or is one of `others`.

    Commands ask before they begin, so that a run of hours does not end in a name, and no file
    that is read is lost under what is written. None stands for what was not asked for.
    """
    if out is None:
        return
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file in it")
    if out.resolve() in {other.resolve() for other in others if other is not None}:
        raise UserError(f"{out}: is named twice, so it would be written over; name another file")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UserError(f"{out}: {above} is a file, not a folder; name another place")


def read_text(path: Path) -> str:
    """The whole of a UTF-8 file; raises `UserError` where it is missing, a folder or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a file in it") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its rights") from None


def read_json(path: Path, once: bool = False) -> Any:
    """One JSON document; raises `UserError` as `read_text` and `parsed` do."""
    return parsed(read_text(path), str(path), once=once)


def parsed(text: str, where: str, mend: str = MEND, once: bool = False) -> Any:
    """The value of a JSON text; raises `UserError` that says where it is malformed.

    With `once` also where a key stands twice in an object, of which Python would keep the last.
    """
    try:
        return json.loads(text, object_pairs_hook=_once if once else None)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise UserError(
            f"{where}: malformed JSON at {line}column {error.colno} ({error.msg}); {mend}"
        ) from None
    except _Twice as error:
        raise UserError(f"{where}: key {short(error)} stands twice in an object; {mend}") from None
    except RecursionError:
        raise UserError(f"{where}: nested too deeply; {mend}") from None
    except ValueError:  # an integer of more than 4,300 digits
        raise UserError(f"{where}: holds a number too long to read; {mend}") from None


class _Twice(Exception):
    """A key that stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSONL file; blank lines are skipped."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        value = parsed(line, f"{path}, line {number}", "a line must hold one object")
        if not isinstance(value, dict):
            raise UserError(
                f"{path}, line {number}: a {type(value).__name__}, not an object; "
                "each line must hold one object"
            )
        yield number, value


def read_records(path: Path, model: type[Record]) -> list[Record]:
    """All lines of a JSONL file as validated records; raises `UserError` naming line and field."""
    return [validated(value, model, f"{path}, line {n}") for n, value in read_objects(path)]


def validated(value: Any, model: type[Record], where: str) -> Record:
    """`value` as a record of `model`; raises `UserError` that says where, which field and why."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = short(".".join(map(str, first["loc"]))) or "record"
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{where}: field {field}: {message}") from None


def dump(record: BaseModel | dict[str, Any]) -> str:
    """One record as one line of JSON: keys in their declared order, NFC, Korean unescaped."""
    value = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    return unicodedata.normalize("NFC", json.dumps(value, ensure_ascii=False))


def write_records(path: Path, records: Iterable[BaseModel | dict[str, Any]]) -> int:
    """Write records as JSONL, all or nothing; returns how many lines were written."""
    count = 0
    with replacing(path) as file:
        for record in records:
            file.write(dump(record) + "\n")
            count += 1
    return count


def write_json(path: Path, value: Any) -> None:
    """Write one indented JSON document, all or nothing."""
    with replacing(path) as file:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        file.write(unicodedata.normalize("NFC", text) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
