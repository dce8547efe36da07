"""JSONL and JSON as every chapter reads and writes them: UTF-8, all or nothing.

Text is written as it is. Readers compose it as it enters a record (prep/sources/reader.py): to
compose what is escaped already would join the n of "\\n" with a mark behind it.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from prep.errors import UserError, full_disk
from prep.text import short

Record = TypeVar("Record", bound=BaseModel)


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` only when it is complete.

    A killed run leaves either the old file or the new one, never half of one.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    require_room(path)
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def require_room(path: Path) -> None:
    """Make the folder of a file to write; raises `UserError` where no such file can be there."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if full_disk(error):
            raise
        raise UserError(
            f"{path}: its folder cannot be made ({error.strerror}); name another place"
        ) from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"{path}: its folder cannot be written to; name another place")


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


def read_json(path: Path) -> Any:
    """Parse one JSON document; raises `UserError` naming line and column where it is malformed."""
    text = read_text(path)
    try:
        return loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: malformed JSON at line {error.lineno}, column {error.colno} ({error.msg}); "
            "mend or download the file again"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; mend or download the file again") from None


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSONL file; blank lines are skipped."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number}: malformed JSON ({error.msg}); a line must hold one object"
            ) from None
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}; mend or delete the record") from None
        if not isinstance(value, dict):
            raise UserError(
                f"{path}, line {number}: a {type(value).__name__}, not an object; "
                "each line must hold one object"
            )
        yield number, value


def loads(text: str) -> Any:
    """A JSON value; raises `ValueError`, in words, for one that cannot be read, or not in one way.

    Of a key that stands twice in an object one reader keeps the first and another the last.
    """
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            twice.append(Counter(key for key, _ in pairs).most_common(1)[0][0])
        return value

    try:
        value = json.loads(text, object_pairs_hook=once)
        if "\\ud" in text or "\\uD" in text:  # halves of characters: whole only in pairs
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except UnicodeEncodeError:
        raise ValueError("holds half a character (a surrogate alone)") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        raise ValueError("holds a number too long to read") from None
    if twice:
        raise ValueError(f"key {short(twice[0])} stands twice in an object")
    return value


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
    """One record as one line of JSON: keys in their declared order, Korean unescaped."""
    value = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    return json.dumps(value, ensure_ascii=False)


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
        file.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_place(out: Path | None, *others: Path | None) -> None:
    """Raise `UserError` where `out` cannot be written or is one of `others`; None is no file.

    Commands ask before they begin, so that no file that is read is lost under what is written.
    """
    if out is None:
        return
    require_room(out)
    if out.resolve() in {other.resolve() for other in others if other is not None}:
        raise UserError(f"{out}: is named twice, so it would be written over; name another file")
