"""Fill the texts that a model wrote into a competition's test file: the submission as JSON.

Run as: python ensemble/text_submission.py texts.jsonl --test test.json --out submission.json

The test file is a list of objects with an `id`; the field that --field names, `output` or a place
in an object such as `output.answer`, gets the text, and nothing else changes.
"""

import argparse
import copy
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError, entry
from core.files import atomic_file, require_place
from core.jsonl import read_json
from core.text import nfc
from eval.written import WrittenText, read_texts


def read_items(path: Path) -> list[dict[str, Any]]:
    """The items of a test file; raises `UserError` where it is no list of objects with ids."""
    items = read_json(path)
    if not isinstance(items, list) or not items:
        raise UserError(f"{path}: is no list of items; name the test file as handed out")
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise UserError(f"{path}, item {number}: has no id; name the test file as handed out")
    if twice := [id_ for id_, n in Counter(item["id"] for item in items).items() if n > 1]:
        raise UserError(f"{path}: id {twice[0]} stands there twice; correct the file")
    return items


def filled(
    items: Sequence[dict[str, Any]], texts: dict[str, WrittenText], field: str, path: Path
) -> list[dict[str, Any]]:
    """The items with their texts in a field; raises `UserError` where one has no text or place."""
    if missing := [item["id"] for item in items if item["id"] not in texts]:
        raise UserError(
            f"{path}: no text for {len(missing)} of {len(items)} items, the first is {missing[0]}; "
            "generate the texts of all"
        )
    *above, last = field.split(".")
    result = copy.deepcopy(list(items))
    for item in result:
        place = item
        for name in above:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise UserError(f"item {item['id']}: {name} is no object; give another --field")
        place[last] = texts[item["id"]].text
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Write the submission, and say how many of its texts are no finished answer."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python ensemble/text_submission.py texts.jsonl --test test.json "
        "--out submission.json",
    )
    add = parser.add_argument
    add("texts", type=Path, help="what the model wrote, JSONL")
    add("--test", type=Path, required=True, help="the test file as handed out, JSON")
    add("--out", type=Path, required=True, help="the submission to write")
    add("--field", default="output", help="where a text belongs, default %(default)s")
    args = parser.parse_args(argv)
    if args.field == "id":
        raise UserError("--field id: holds the items' ids; name the field of the text")
    require_place(args.out, args.texts, args.test)
    items = read_items(args.test)
    texts = read_texts(args.texts, [item["id"] for item in items], args.test)
    done = filled(items, texts, args.field, args.texts)
    with atomic_file(args.out) as file:
        file.write(json.dumps(done, ensure_ascii=False, indent=4) + "\n")
    unfinished = sum(not one.ended or not nfc(one.text) for one in texts.values())
    print(f"{args.out}: {len(done)} texts, {unfinished} of them empty or cut off")


if __name__ == "__main__":
    entry(main)
