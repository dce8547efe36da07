"""A submission is valid only if it is the test file with every output filled by an option."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble.submission import read_items, validate, write
from prep.errors import UserError
from prep.jsonl import read_json, write_json

ITEMS = [
    {
        "id": f"합성-{number}",
        "input": {
            "category": "반응",
            "inference_1": "가",
            "inference_2": "나",
            "inference_3": "다",
        },
        "output": "",
    }
    for number in range(3)
]
PATH = Path("submission.json")


@pytest.fixture
def official(tmp_path: Path) -> dict[str, Any]:
    write_json(tmp_path / "test.json", ITEMS)
    return read_items(tmp_path / "test.json")


def filled() -> list[dict[str, Any]]:
    return [{**copy.deepcopy(item), "output": "inference_2"} for item in ITEMS]


def test_what_write_writes_is_valid(official: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "s.json", official, dict.fromkeys(official, 1))
    assert read_json(tmp_path / "s.json") == filled()
    validate(read_json(tmp_path / "s.json"), official, PATH)
    assert all(item["output"] == "" for item in official.values())


def put(key: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda items: items[1].__setitem__(key, value)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda items: items.pop(), "ids or their order"),
        (lambda items: items.reverse(), "ids or their order"),
        (lambda items: items.append(items[0]), "stands there twice"),
        (put("id", "합성-9"), "ids or their order"),
        (lambda items: items[1]["input"].update(inference_1="라"), "item 합성-1: differs"),
        (put("note", "x"), "item 합성-1: differs"),
        (put("output", ""), "output '' is no option"),
        (put("output", "inference_4"), "output 'inference_4' is no option"),
        (put("output", "category"), "output 'category' is no option"),
        (put("output", ["inference_1"]), "is no option"),
        (lambda items: items[1].pop("output"), "output None is no option"),
    ],
)
def test_spoilt_submissions_are_refused(
    official: dict[str, Any], spoil: Callable[[list[dict[str, Any]]], Any], match: str
) -> None:
    items = filled()
    spoil(items)
    with pytest.raises(UserError, match=match):
        validate(items, official, PATH)


def test_a_choice_that_is_no_option_leaves_the_earlier_file(
    official: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "s.json"
    path.write_text("earlier")
    with pytest.raises(UserError, match="output 'inference_4' is no option"):
        write(path, official, dict.fromkeys(official, 3))
    assert path.read_text() == "earlier"
