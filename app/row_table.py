"""The rows of a file as columns, which 100,000 of them fill in a second; filters over them."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from core.bilingual import Both
from core.errors import UserError
from core.text import short

PAGE = 25  # rows
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("id", "record", "source", "split", "category", "prompt"), pa.string()),
        "messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "labels": pa.list_(pa.string()),
        "order": pa.list_(pa.int8()),
        "answer": pa.string(),
    }
)


@dataclass(frozen=True)
class Filter:
    """Which rows are shown; what is empty or None leaves none out. Lengths are in characters."""

    source: str = ""
    split: str = ""
    category: str = ""
    shortest: int | None = None
    longest: int | None = None
    text: str = ""


@dataclass(frozen=True)
class RowTable:
    """The rows of a file, with the columns `text`, of all messages, and `length` of the same."""

    table: pa.Table

    def values(self, column: str) -> list[str]:
        """The values of a column that occur, in order."""
        return sorted(value for value in pc.unique(self.table[column]).to_pylist() if value)

    def matching(self, wanted: Filter) -> pa.Table:
        """The rows that a filter leaves."""
        table = self.table
        for column in ("source", "split", "category"):
            if value := getattr(wanted, column):
                table = table.filter(pc.equal(table[column], value))
        if wanted.shortest:
            table = table.filter(pc.greater_equal(table["length"], wanted.shortest))
        if wanted.longest:
            table = table.filter(pc.less_equal(table["length"], wanted.longest))
        if text := wanted.text.strip():
            parts = [pc.match_substring(table[name], text) for name in ("text", "id")]
            table = table.filter(pc.or_(*parts))
        return table


def read(path: Path) -> RowTable:
    """The rows of a file; read again only where it has changed. Raises `UserError`."""
    try:
        state = path.stat()
    except OSError as error:
        raise UserError(
            Both(
                f"{path}: cannot be read ({error.strerror}); check the path",
                f"{path}: 읽을 수 없습니다({error.strerror}). 경로를 확인하세요",
            )
        ) from None
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int, size: int) -> RowTable:
    if size == 0:
        raise UserError(
            Both(
                f"{path}: holds no row; build it with prep/build.py",
                f"{path}: 행이 없습니다. prep/build.py로 다시 만드세요",
            )
        )
    try:
        table = arrow_json.read_json(
            path,
            arrow_json.ReadOptions(block_size=16 << 20),
            arrow_json.ParseOptions(SCHEMA, unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            Both(
                f"{path}: holds no complete rows ({error}); build it again",
                f"{path}: 온전한 행이 아닙니다({error}). 다시 만드세요",
            )
        ) from None
    messages = table["messages"].combine_chunks()
    contents = pc.fill_null(pc.struct_field(messages.values, "content"), "")
    text = pc.binary_join(pa.ListArray.from_arrays(messages.offsets, contents), "\n\n")
    table = table.append_column("text", text)
    return RowTable(table.append_column("length", pc.utf8_length(text)))


def page(table: pa.Table, number: int) -> tuple[pa.Table, int, int]:
    """The rows of page `number` from 1, the number of the page that is shown, and how many."""
    pages = max(1, -(-table.num_rows // PAGE))
    number = min(max(int(number or 1), 1), pages)
    return table.slice((number - 1) * PAGE, PAGE), number, pages


def row(path: Path, row_id: str) -> dict[str, Any]:
    """One row of a file as it stands there; raises `UserError` where there is none of that id."""
    table = read(path).table
    found = table.filter(pc.equal(table["id"], row_id)).to_pylist()
    if not found:
        raise UserError(
            Both(
                f"{path}: no row with id {row_id}; load the page again",
                f"{path}: ID가 {row_id}인 행이 없습니다. 화면을 새로 고치세요",
            )
        )
    return found[0]


def lengths(given: str) -> tuple[int | None, int | None]:
    """The least and the greatest number of characters; raises `UserError` for none of both.

    "200-500", "200-" and "-500" are understood.
    """
    if not given.strip():
        return None, None
    found = re.fullmatch(r"\s*(\d{0,9})\s*[-–~]\s*(\d{0,9})\s*", given)
    if not found or not any(found.groups()):
        raise UserError(
            Both(
                f"characters: {short(given)} is no range; write one as 200-500 or 200-",
                f"글자 수: {short(given)}은(는) 범위가 아닙니다. 200-500이나 200-처럼 쓰세요",
            )
        )
    low, high = (int(one) if one else None for one in found.groups())
    return low, high
