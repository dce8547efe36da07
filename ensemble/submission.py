"""The official test file and the submission: the same JSON with each `output` filled."""

import copy
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from prep.errors import UserError
from prep.jsonl import read_json, replacing

OPTION = re.compile(r"inference_[1-5]")

Item = dict[str, Any]


def read_items(path: Path) -> dict[str, Item]:
    """The items of an official file by id (NFC), in their order.

    Raises `UserError` where it is no list of items with a string id and an input of two to five
    options `inference_1`, `inference_2` ..., or where an id stands twice.
    """
    return _by_id(read_json(path), path)


def option_count(item: Item) -> int:
    """How many options an item of `read_items` offers."""
    return sum(OPTION.fullmatch(key) is not None for key in item["input"])


def write(path: Path, items: dict[str, Item], choices: dict[str, int]) -> None:
    """Write the official file with `output` filled from choices (id → 0-based option).

    What is to be written is validated first; a failure leaves an earlier submission untouched.
    """
    filled = [copy.deepcopy(item) for item in items.values()]
    for id_, item in zip(items, filled, strict=True):
        item["output"] = f"inference_{choices[id_] + 1}"
    text = json.dumps(filled, ensure_ascii=False, indent=4)
    validate(json.loads(text), items, path)
    with replacing(path) as file:
        file.write(text)


def validate(submission: Any, test: dict[str, Item], path: Path) -> None:
    """Raise `UserError` unless a parsed submission answers exactly the items of the test file.

    The same ids in the same order, every other field equal, and each output one of the options.
    """
    answered = _by_id(submission, path)
    if list(answered) != list(test):
        raise UserError(f"{path}: its ids or their order differ from the test file; write it anew")
    for id_, item in answered.items():
        rest, expected = ({k: v for k, v in i.items() if k != "output"} for i in (item, test[id_]))
        if rest != expected:
            raise UserError(f"{path}, item {id_}: differs from the test file; write it anew")
        output = item.get("output")
        if not OPTION.fullmatch(str(output)) or output not in item["input"]:
            raise UserError(f"{path}, item {id_}: output {output!r} is no option; write it anew")


def _by_id(value: Any, path: Path) -> dict[str, Item]:
    if not isinstance(value, list) or not value:
        raise UserError(f"{path}: not a list of items; name the official test file")
    items: dict[str, Item] = {}
    for number, item in enumerate(value, start=1):
        where = f"{path}, item {number}"
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise UserError(f"{where}: has no id that is a string; name the official test file")
        if not isinstance(item.get("input"), dict) or not 2 <= option_count(item) <= 5:
            raise UserError(
                f"{where} ({item['id']}): its input has no inference_1, inference_2 ...; "
                "name the official test file"
            )
        id_ = unicodedata.normalize("NFC", item["id"])
        if id_ in items:
            raise UserError(f"{where}: id {id_} stands there twice; mend the test file")
        items[id_] = item
    return items
