"""Tables of one's own: a mapping, two records, files of every form, and what is read from them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from core.errors import UserError
from core.records import Question
from prep.sources.reader import Read
from prep.sources.source import Source, read

COLUMNS = {
    "id": "번호",
    "passage": "지문",
    "question": "문제",
    "note": "보기",
    "options": ["보기1", "보기2", "보기3", "보기4"],
    "answer": "정답",
    "category": "과목",
    "group": "지문번호",
}
KOREAN = {"columns": COLUMNS, "answers": "from 1"}
FIRST = {
    "번호": "가-1",
    "지문": "연못 위로 나뭇잎 하나가 떠갔다.",
    "문제": "글에 나온 것은?",
    "보기": "ㄱ. 연못",
    "보기1": "나뭇잎",
    "보기2": "돌멩이",
    "보기3": "구름",
    "보기4": "기차",
    "정답": "1",
    "과목": "국어",
    "지문번호": "7",
}
SECOND = {**FIRST, "번호": "가-2", "문제": "나뭇잎이 떠간 곳은?", "보기1": "연못", "정답": "1"}


def as_csv(records: list[dict[str, Any]], delimiter: str = ",") -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, [*records[0]], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def save(path: Path, records: list[dict[str, Any]]) -> Path:
    """The records in the form that the file's name says."""
    if path.suffix in (".csv", ".tsv"):
        path.write_text(as_csv(records, "\t" if path.suffix == ".tsv" else ","), "utf-8")
    elif path.suffix == ".jsonl":
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        path.write_text("".join(lines), "utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(records), path)
    else:
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for row in ([*records[0]], *([*record.values()] for record in records)):
            book.active.append(row)
        book.save(path)
    return path


def of(path: Path, mapping: dict[str, Any], split: Any = "train") -> Read:
    return read(Source(source="table", name="made", path=str(path), **mapping), split=split)


def one(tmp_path: Path, record: dict[str, Any], **mapping: Any) -> Question:
    [question] = of(save(tmp_path / "made.jsonl", [record]), mapping).questions
    return question


def refused(path: Path, mapping: dict[str, Any], sentence: str, split: Any = "train") -> str:
    with pytest.raises(UserError, match=sentence) as caught:
        of(path, mapping, split)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said
