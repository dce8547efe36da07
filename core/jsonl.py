"""JSONL and JSON as every chapter reads and writes them: UTF-8, NFC, strict."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import UserError
from core.files import atomic_file, read_text
from core.text import short

Record = TypeVar("Record", bound=BaseModel)


def read_json(path: Path) -> Any:
    """Parse one JSON document; raises `UserError` naming line and column where it is malformed."""
    text = read_text(path)
    try:
        return loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: malformed JSON at line {error.lineno}, column {error.colno} ({error.msg}); "
            "correct the file or download it again"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct the file or download it again") from None


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
            raise UserError(
                f"{path}, line {number}: {error}; correct or delete the record"
            ) from None
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
        if "\\ud" in text or "\\uD" in text:  # surrogates: a character only in pairs
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
        place = short(".".join(map(str, first["loc"])))
        field = f"field {place}: " if place else ""  # without one it is about all of them
        message = first["msg"].removeprefix("Value error, ")
        lost = [".".join(map(str, e["loc"])) for e in error.errors() if e["type"] == "missing"]
        if first["type"] == "missing" and len(lost) > 1:
            message += f", as are {', '.join(map(short, lost[1:]))}"
        raise UserError(f"{where}: {field}{message}") from None


def dump(record: BaseModel | dict[str, Any]) -> str:
    """One record as one line of JSON: keys in their declared order, Korean unescaped."""
    value = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    return json.dumps(value, ensure_ascii=False)


def write_records(path: Path, records: Iterable[BaseModel | dict[str, Any]]) -> int:
    """Write records as JSONL, all or nothing; returns how many lines were written."""
    count = 0
    with atomic_file(path) as file:
        for record in records:
            file.write(dump(record) + "\n")
            count += 1
    return count


def write_json(path: Path, value: Any) -> None:
    """Write one indented JSON document, all or nothing."""
    with atomic_file(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
