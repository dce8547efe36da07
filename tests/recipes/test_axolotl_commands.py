"""Axolotl's own commands work under the guard, or end in one sentence."""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.support.training_rows import training_row, write_rows

AXOLOTL = Path(sys.executable).with_name("axolotl")
PART = {"ds_type": "json", "type": "chat_template", "field_messages": "messages"}
KEYS = {
    "base_model": "./recipes/tiny/base",
    "datasets": [{"path": "data/few.jsonl", **PART}],
    "test_datasets": [{"path": "data/dev.jsonl", "split": "train", **PART}],
    "sample_packing": False,
    "pad_to_sequence_len": False,
    "micro_batch_size": 4,
    "max_steps": 2,
    "warmup_steps": 0,
    "eval_steps": 2,
    "save_steps": 2,
    "dataset_num_proc": 1,
    "output_dir": "./commanded",
}


def axolotl(place: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run the script that Axolotl installs, which looks for modules in its own folder."""
    return subprocess.run(
        [AXOLOTL, *arguments],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        input=said,
        text=True,
        capture_output=True,
    )


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.partition("error: ")[2] for line in done.stderr.splitlines() if "error: " in line]


@pytest.fixture(scope="module")
def place(workplace: Path) -> Path:
    write_rows(workplace / "data/few.jsonl", [training_row(n) for n in range(8)])
    write_rows(workplace / "data/dev.jsonl", [training_row(n) for n in range(8, 12)])
    made = yaml.safe_load((workplace / "recipes/tiny/stage2.yml").read_text(encoding="utf-8"))
    (workplace / "commanded.yml").write_text(yaml.safe_dump(made | KEYS), encoding="utf-8")
    return workplace


def prepared(place: Path) -> set[Path]:
    """The rows that are tokenised; other tests may have left theirs."""
    return set(place.glob("data/prepared/*/complete"))


@pytest.fixture(scope="module")
def done(place: Path) -> SimpleNamespace:
    """The commands one after the other, as a person would call them."""
    before = prepared(place)
    found = SimpleNamespace(prepared=axolotl(place, "preprocess", "commanded.yml"))
    found.all = prepared(place)
    found.new = found.all - before
    found.train = axolotl(place, "train", "commanded.yml", "--save-total-limit", "1")
    found.evaluate = axolotl(place, "evaluate", "commanded.yml")
    asked = ("inference", "commanded.yml", "--base-model", "commanded")
    found.inference = axolotl(place, *asked, said="어제 뭐 했어?\n")
    return found


def test_rows_are_made_ready_and_compared(place, done):
    assert done.prepared.returncode == 0, done.prepared.stderr[-3000:]
    assert len(done.new) == 1
    assert "cannot be imported" not in done.prepared.stderr


def test_the_guard_is_there_for_a_script_that_lies_elsewhere(place):
    short = axolotl(place, "preprocess", "commanded.yml", "--sequence-len", "8")
    assert short.returncode == 2, "run `make setup`, which lets Axolotl's scripts find recipes/"
    (said,) = errors(short)
    assert "over the recipe's sequence_len of 8" in said
    assert "Traceback" not in short.stderr


def test_training_takes_the_rows_that_were_made_ready(place, done):
    assert done.train.returncode == 0, done.train.stderr[-3000:]
    assert prepared(place) == done.all
    assert (place / "commanded/model.safetensors").is_file()
    record = json.loads((place / "commanded/run.json").read_text(encoding="utf-8"))
    assert not {"shard", "debug", "prompter", "debug_num_examples"} & set(record["recipe"])


def test_an_evaluation_reads_the_same_rows(place, done):
    assert done.evaluate.returncode == 0, done.evaluate.stderr[-3000:]
    with (place / "commanded/eval_summary.csv").open(encoding="utf-8") as file:
        losses = {row["metric"]: row for row in csv.DictReader(file)}["loss"]
    assert all(math.isfinite(float(losses[key])) for key in ("training", "validation"))
    assert not (place / "last_run_prepared").exists()
    assert "reads ./recipes/tiny/base; for what the recipe trained add" in done.evaluate.stderr


def test_a_trained_model_can_be_talked_to(done):
    assert done.inference.returncode == 0, done.inference.stderr[-3000:]
    assert "어제 뭐 했어?" in done.inference.stdout
    assert "note: " not in done.inference.stderr


def test_the_stock_merge_is_refused_for_ours(place):
    done = axolotl(place, "merge-lora", "recipes/tiny/stage1.yml")
    assert done.returncode == 2
    (said,) = errors(done)
    assert said.endswith("run python recipes/export.py recipes/tiny/stage1.yml")
    assert "Traceback" not in done.stderr
    assert not list(place.rglob("merged"))
