"""Records of our own making in published forms, and what prep reads of them."""

import csv
import json
from pathlib import Path
from typing import Any

from core.records import Question
from prep.sources.reader import Read
from prep.sources.source import Source, read


def of(name: str, path: Path, **fields: Any) -> Read:
    """What a source's reader makes of a file."""
    return read(Source(source=name, name="made", path=str(path), **fields))


def one(name: str, folder: Path, record: dict[str, Any]) -> Question:
    """The question that a source's reader makes of a record."""
    path = folder / "made.json"
    path.write_text(json.dumps([record], ensure_ascii=False), encoding="utf-8")
    [question] = of(name, path).questions
    return question


def tsv(path: Path, *rows: list[str], **dialect: Any) -> Path:
    """A tab-separated file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", **dialect).writerows(rows)
    return path
