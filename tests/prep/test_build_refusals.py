"""How prep/build.py fails: one sentence, exit code 2, nothing written and nothing lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.build_place import Place, dump


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_missing_files_are_named_together_and_nothing_is_written(place: Place) -> None:
    for name in ("corpus/train.json", "external/pairs.json"):
        (place.folder / name).unlink()
    said = place.build(code=2)
    assert "no such file: external/pairs.json, corpus/train.json; " in said
    assert "kli.korean.go.kr" in said
    assert not place.out.exists()


def test_a_failure_leaves_earlier_outputs_untouched(place: Place) -> None:
    place.build()
    before = place.files()
    train = json.loads((place.folder / "corpus/train.json").read_text(encoding="utf-8"))
    train[0]["input"]["category"] = "결과"
    dump(place.folder / "corpus/train.json", train)
    assert "corpus/train.json, item train-0: " in place.build(code=2)
    assert place.files() == before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stages": {"stage2": []}}, "stage stage2 has no rows: its mix is empty"),
        ({"prompt": "refrence"}, "no such prompt in prep/prompts; choose one of "),
        (
            {"duplicates": {"method": "simhash", "bits": 8}},
            "run cci: field duplicates.simhash.bits: ",
        ),
        ({"ordres": "all"}, "params.yaml, run cci: field ordres: "),
        ({"stages": {"dev": [{"source": "cci-2024"}]}}, "no stage can be called dev"),
        ({"stages": {"s": [{"source": "alpaca", "path": "x"}]}}, "source alpaca needs a name"),
        (
            {"stages": {"s": [{"source": "messages", "name": "m", "hub": "org/m"}]}},
            "m: a hub name and its revision come together",
        ),
    ],
)
def test_a_wrong_run_is_refused(place: Place, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in place.build(code=2, **changes)
    assert not place.out.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--run", "demo"), "no run 'demo'; choose one of cci"),
        (("--stages", "stage3"), "has no stage stage3; choose from stage1, stage2"),
        (("--params", "none.yaml"), "none.yaml: no such file"),
        (("--corpus", "none"), "none: no such folder"),
        (("--out", "params.yaml"), "params.yaml/build.json: its folder cannot be made"),
    ],
)
def test_wrong_arguments(place: Place, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in place.build(*arguments, code=2)
