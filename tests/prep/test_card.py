"""The table and the data card of a build: every record accounted for, the same on every machine."""

import io
import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import get_args

import pytest
import yaml
from rich.console import Console

from core.files import sha256
from core.records import Reason
from prep.card import WHY, card
from prep.summary import removed, rows, table
from tests.support.paths import ROOT

REPORT = {
    "run": "small",
    "settings": {"prompt": "reference@1", "near": 3},
    "sources": {
        "cci-2024": {
            "origin": "국립국어원",
            "form": "추론",
            "licence": "by agreement",
            "published": "2024-06-28",
            "tracks": ["ga", "na"],
        }
    },
    "inputs": {
        "cci-2024/dev": {"file": "대화|dev.json", "sha256": "d" * 64},
        "cci-2024/train": {"file": "train.json", "sha256": "e" * 64},
        "talks": {"hub": "someone/talks", "revision": "f" * 40},
    },
    "scored": {"dev": {"read": 5, "removed": {"no-answer": 1}, "kept": 4, "rows": 4}},
    "stages": {
        "stage1": {
            "rows": 1190,
            "sources": {
                "talks": {
                    "read": 1200,
                    "cleaned": 0,
                    "removed": {
                        "exact-duplicate": 3,
                        "near-duplicate": 4,
                        "too-long": 1,
                        "empty": 2,
                    },
                    "kept": 1190,
                    "rows": 1190,
                }
            },
        },
        "stage2": {
            "rows": 54,
            "sources": {
                "cci-2024": {
                    "read": 12,
                    "cleaned": 8,
                    "removed": {"near-scored": 2, "holds-scored-id": 1},
                    "kept": 9,
                    "rows": 54,
                }
            },
        },
    },
    "outputs": {
        "dev.jsonl": {"lines": 4, "sha256": "1" * 64},
        "folds/1/train.jsonl": {"lines": 6, "sha256": "2" * 64},
        "removed.jsonl": {"lines": 14, "sha256": "3" * 64},
        "stage2.jsonl": {"lines": 54, "sha256": "4" * 64},
    },
}


def split(text: str) -> tuple[dict, str]:
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_reasons_are_gathered_into_the_columns_asked_for() -> None:
    headings, body = rows(REPORT)
    assert headings == [
        *("file", "source", "read", "cleaned"),
        *("duplicate", "contaminated", "too long", "no answer", "empty"),
        *("kept", "rows"),
    ]
    assert body == [
        ["dev", "cci-2024", "5", "–", "0", "0", "0", "1", "0", "4", "4"],
        ["stage1", "talks", "1,200", "0", "7", "0", "1", "0", "2", "1,190", "1,190"],
        ["stage2", "cci-2024", "12", "8", "0", "3", "0", "0", "0", "9", "54"],
    ]


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_is_counted_and_explained(reason: str) -> None:
    assert sum(removed({"removed": {reason: 7}}).values()) == 7
    assert WHY[reason]


def test_the_table_shows_names_as_they_are() -> None:
    report = deepcopy(REPORT)
    sources = report["stages"]["stage1"]["sources"]
    sources["[red]"] = sources.pop("talks")
    out = io.StringIO()
    Console(file=out, width=120).print(table(report))
    assert "[red]" in out.getvalue()
    assert "1,190" in out.getvalue()


def test_the_card_says_where_all_came_from_and_what_went() -> None:
    head, body = split(card(REPORT))
    assert head["language"] == ["ko"]
    assert [part["config_name"] for part in head["configs"]] == ["dev", "folds-1-train", "stage2"]
    assert head["configs"][1]["data_files"] == [{"split": "train", "path": "folds/1/train.jsonl"}]
    assert "python prep/build.py --run small --stages stage1 stage2\n" in body
    for about in (*REPORT["inputs"].values(), *REPORT["outputs"].values()):
        assert f"`{about.get('sha256') or about['revision']}`" in body
    assert (
        "| cci-2024/train | 국립국어원 | 추론 | by agreement | 2024-06-28 | ga, na | train.json |"
        in body
    )
    assert "| talks | not stated | not stated |" in body
    assert "| stage2 | cci-2024 | near-scored | 2 | equal or near to a dev or test question" in body
    assert "| stage1 | talks | 1,200 | 0 | 7 | 0 | 1 | 0 | 2 | 1,190 | 1,190 |" in body


def test_the_hub_is_given_one_licence_only_where_all_that_was_read_has_it() -> None:
    report = deepcopy(REPORT)
    head, _ = split(card(report))
    assert (head["license"], head["license_name"]) == ("other", "by-source")
    report["sources"] |= {"talks": {"licence": "CC BY-SA 4.0"}}
    report["sources"]["cci-2024"]["licence"] = "CC-BY-SA-4.0"
    assert split(card(report))[0]["license"] == "other"  # spelt in two ways, so said twice
    report["sources"]["cci-2024"]["licence"] = "CC BY-SA 4.0"
    head, _ = split(card(report))
    assert (head["license"], "license_name" in head) == ("cc-by-sa-4.0", False)
    del report["sources"]["talks"]  # read, and nobody says under which
    assert split(card(report))[0]["license"] == "other"


def test_a_name_cannot_break_the_cards_tables() -> None:
    assert r"| 대화\|dev.json |" in card(REPORT)
    report = deepcopy(REPORT)
    report["sources"]["cci-2024"]["licence"] = "one\ntwo | <b>[three](x)"
    report["sources"]["cci-2024"]["non_commercial"] = True
    line = next(line for line in card(report).split("\n") if "two" in line)
    assert r"| one two \| \<b>\[three\](x), non-commercial |" in line


def test_every_table_of_the_card_has_cells_as_headings() -> None:
    tables: list[list[str]] = [[]]
    for line in split(card(REPORT))[1].split("\n"):
        if line.startswith("|"):
            tables[-1].append(line.replace(r"\|", ""))
        elif tables[-1]:
            tables.append([])
    widths = [{line.count("|") for line in lines} for lines in tables if lines]
    assert len(widths) == 5
    assert all(len(width) == 1 for width in widths)


def test_a_build_without_removals_has_no_such_table() -> None:
    report = deepcopy(REPORT)
    for counts in (
        report["scored"]["dev"],
        *(c for part in report["stages"].values() for c in part["sources"].values()),
    ):
        counts["removed"] = {}
    assert "## Removed" not in card(report)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("built")
    raw = place / "data/demo-corpus"
    for script in (
        ("prep/demo/synthetic.py", "--out", str(raw)),
        ("prep/build.py", "--run", "demo", "--params", str(ROOT / "params.yaml")),
    ):
        done = subprocess.run(
            [sys.executable, str(ROOT / script[0]), *script[1:]],
            cwd=place,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return place / "data/demo"


def test_the_hub_loads_a_built_folder_by_its_card(built, tmp_path) -> None:
    from datasets import load_dataset

    report = json.loads((built / "build.json").read_text(encoding="utf-8"))
    (built / "README.md").write_text(card(report), encoding="utf-8")
    parts = {"stage1": "train", "stage2": "train", "dev": "validation", "test": "test"}
    for name, part in parts.items():
        loaded = load_dataset(str(built), name, cache_dir=str(tmp_path))
        assert list(loaded) == [part]
        assert loaded[part].num_rows == report["outputs"][f"{name}.jsonl"]["lines"]


def test_a_cards_hashes_are_those_of_the_files_and_it_names_no_folder(built) -> None:
    report = json.loads((built / "build.json").read_text(encoding="utf-8"))
    text = card(report)
    for name in report["outputs"]:
        assert f"`{sha256(built / name)}`" in text
    assert str(built.parent.parent) not in text
    assert text == card(json.loads((built / "build.json").read_text(encoding="utf-8")))


def test_the_table_of_a_build_accounts_for_every_record(built) -> None:
    report = json.loads((built / "build.json").read_text(encoding="utf-8"))
    headings, body = rows(report)
    assert len(body) == 6
    for line in body:
        read, _, *gone, kept, _ = (n.replace(",", "") for n in line[2:])
        assert int(read) == int(kept) + sum(map(int, gone))
    assert headings[2:4] == ["read", "cleaned"]
