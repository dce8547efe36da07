"""Texts that a model wrote, and those that are right: JSONL, joined by id."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from core.errors import UserError
from core.jsonl import read_objects, read_records, validated
from core.records import Row, Strict
from core.text import nfc


class WrittenText(Strict):
    """What a model wrote for an item, and whether it ended by itself."""

    id: str
    text: str
    ended: bool = True


class RightTexts(Strict):
    """The texts that are right for an item."""

    id: str
    references: list[str] = Field(min_length=1)
    group: str | None = None
    category: str | None = None


def read_references(path: Path) -> list[RightTexts]:
    """The right texts of a file; raises `UserError` naming the line where there are none."""
    found = []
    for number, value in read_objects(path):
        where = f"{path}, line {number}"
        if "messages" not in value:
            found.append(validated(value, RightTexts, where))
            continue
        row = validated(value, Row, where)
        if row.messages[-1].role != "assistant":
            raise UserError(f"{where}: ends with no right text; name rows with answers")
        right = [row.messages[-1].content]
        found.append(
            RightTexts(id=row.record, references=right, group=row.group, category=row.category)
        )
    if not found:
        raise UserError(f"{path}: holds no right text; name another file")
    if empty := [one.id for one in found if not all(map(nfc, one.references))]:
        raise UserError(
            f"{path}: a right text of id {empty[0]} is empty; fill it in, or take it out"
        )
    if twice := [id_ for id_, n in Counter(one.id for one in found).items() if n > 1]:
        raise UserError(
            f"{path}: id {twice[0]} stands there twice; put its texts into one list `references`"
        )
    return found


def read_texts(path: Path, known: Iterable[str], against: Path) -> dict[str, WrittenText]:
    """What a model wrote, by id; raises `UserError` for an id twice, and for one not known."""
    texts: dict[str, WrittenText] = {}
    for one in read_records(path, WrittenText):
        if one.id in texts:
            raise UserError(f"{path}: id {one.id} stands there twice; generate the texts again")
        texts[one.id] = one
    if other := sorted(texts.keys() - set(known)):
        raise UserError(
            f"{path}: {len(other)} ids are not in {against}, the first is {other[0]}; name the "
            "file that these texts answer"
        )
    return texts
