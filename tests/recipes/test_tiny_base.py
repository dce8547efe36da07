"""The committed tiny base: complete, small, able to match letters, and at chance on the task."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from core.files import sha256
from core.jsonl import write_records
from core.records import LABELS
from prep.demo.exercises import exercises, match_line
from prep.demo.synthetic import unmarked

BASE = Path("recipes/tiny/base")


@pytest.fixture(scope="module")
def manifest():
    return json.loads((BASE / "manifest.json").read_text("utf-8"))


def accuracy(tmp_path, data):
    """Share of right choices and their number, scored by transformers."""
    out = tmp_path / "base.jsonl"
    command = [sys.executable, "eval/score.py", "--model", str(BASE), "--data", str(data)]
    subprocess.run([*command, "--out", str(out), "--backend", "hf"], check=True)
    figures = tmp_path / "figures.json"
    report = [sys.executable, "eval/report.py", str(out), "--data", str(data)]
    subprocess.run([*report, "--json", str(figures)], check=True)
    found = json.loads(figures.read_text("utf-8"))["results"]["base"]
    return found["correct"], found["n"]


def test_files_are_those_of_the_manifest_and_small(manifest):
    files = {path.name: path for path in BASE.iterdir() if path.name != "manifest.json"}
    assert {name: sha256(path) for name, path in files.items()} == manifest["files_sha256"]
    assert sum(path.stat().st_size for path in files.values()) <= 5_000_000


def test_its_exercises_can_be_made_again_to_the_byte(manifest, tmp_path):
    out = tmp_path / "exercises.jsonl"
    subprocess.run([sys.executable, "prep/demo/exercises.py", "--out", str(out)], check=True)
    assert sha256(out) == manifest["exercises_sha256"]


def test_it_knows_letters_and_matching(tmp_path):
    rows = []
    for number, exercise in enumerate(unmarked(list(exercises(7, 1500)))):
        user, assistant = exercise["messages"]
        if user["content"].startswith("기준: ") and assistant["content"] in LABELS:
            count = user["content"].count("\n") - 1
            rows.append(
                {
                    "id": str(number),
                    "record": str(number),
                    "source": match_line.__name__,
                    "split": "dev",
                    "group": str(number),
                    "category": "match",
                    "prompt": None,
                    "messages": [user],
                    "labels": list(LABELS[:count]),
                    "order": list(range(count)),
                    "answer": assistant["content"],
                }
            )
    write_records(tmp_path / "exercises.jsonl", rows)
    correct, n = accuracy(tmp_path, tmp_path / "exercises.jsonl")
    assert n > 400
    assert correct / n > 0.9


def test_it_is_near_chance_on_the_task(tmp_path):
    subprocess.run(
        [sys.executable, "prep/demo/synthetic.py", "--out", str(tmp_path / "raw")], check=True
    )
    build = [sys.executable, "prep/build.py", "--run", "demo", "--corpus", str(tmp_path / "raw")]
    subprocess.run([*build, "--stages", "stage2", "--out", str(tmp_path / "data")], check=True)
    correct, n = accuracy(tmp_path, tmp_path / "data" / "test.jsonl")
    low, high = proportion_confint(correct, n, alpha=0.01, method="wilson")
    assert n == 600
    # a third within the interval, or below what any trained stage reaches
    assert low < 1 / 3 + 0.05
    assert high > 1 / 3 - 0.05
