"""Tiny recipes and rows for real runs, and what such a run left in its folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import yaml
from safetensors.torch import load_file

from tests.support import disks
from tests.support.paths import ROOT
from tests.support.training_rows import THINGS, training_row

ORDERS = {"A": (0, 1, 2), "B": (1, 0, 2), "C": (1, 2, 0)}
SHORT = {"warmup_steps": 0, "logging_steps": 1, "dataset_num_proc": 1, "save_total_limit": 9}
BEST = SHORT | {
    "base_model": "./recipes/tiny/base",
    "datasets": [
        {
            "path": "data/turning.jsonl",
            "ds_type": "json",
            "type": "chat_template",
            "field_messages": "messages",
        }
    ],
    "test_datasets": [
        {
            "path": "data/asked.jsonl",
            "ds_type": "json",
            "split": "train",
            "type": "chat_template",
            "field_messages": "messages",
        }
    ],
    "sample_packing": False,
    "curriculum_sampling": True,
    "shuffle_merged_datasets": False,
    "micro_batch_size": 4,
    "max_steps": 24,
    "lr_scheduler": "constant",
    "learning_rate": 2e-3,
    "save_steps": 2,
    "eval_steps": 2,
}
KEEP_BEST = {
    "load_best_model_at_end": True,
    "metric_for_best_model": "eval_accuracy",
    "early_stopping_patience": 4,
}
LOGGERS = {
    "use_tensorboard": True,
    "use_trackio": True,
    "use_wandb": True,
    "wandb_mode": "offline",
    "wandb_project": "test",
}
EPOCHS = {"max_steps": None, "num_epochs": 7, "load_best_model_at_end": True}
FROZEN = {"max_steps": 2, "unfrozen_parameters": ["model.layers.1.mlp."]}


def asked_row(number: int, options: int, answer: int) -> dict:
    """A dev row of 2 to 5 options, its answer anywhere, its category its own, its length too."""
    things = [f"{THINGS[(number + 2 * k) % len(THINGS)]} 이야기" for k in range(options)]
    lines = "\n".join(f"{'ABCDE'[k]}. {thing}" for k, thing in enumerate(things))
    talk = "화자1: 어제 봤어?\n" * (1 + number % 3)
    row = training_row(number)
    row["messages"][0]["content"] = f"[Conversation]\n{talk}\n[Option]\n{lines}"
    row["messages"][1]["content"] = f"{'ABCDE'[answer]}. {things[answer]}" + "!" * (number % 4)
    labels = list("ABCDE"[:options])
    return row | {
        "id": f"dev-{number}",
        "record": f"dev-{number}",
        "category": f"유형{number}",
        "labels": labels,
        "order": list(range(options))[::-1],
        "answer": labels[answer],
    }


ASKED = [(3, 0), (2, 0), (5, 0), (4, 0), (3, 1), (2, 1), (3, 2), (5, 4), (4, 0)]


def preference(number: int) -> dict:
    """A preference row as prep writes it: A is right, C is not."""
    row = training_row(number)
    text = row["messages"][0]["content"].split("\n")[-1]
    rejected = [row["messages"][0], {"role": "assistant", "content": text}]
    kept = ("id", "source", "split", "group", "category", "labels", "order", "answer")
    return {key: row[key] for key in kept} | {
        "template": "reference@1",
        "system": None,
        "chosen": row["messages"],
        "rejected": rejected,
        "wrong": 2,
    }


def recipe(place: Path, name: str, like: str, *changes: dict) -> str:
    made = yaml.safe_load((place / like).read_text(encoding="utf-8"))
    for change in changes:
        made |= change
    path = place / f"{name}.yml"
    path.write_text(yaml.safe_dump(made | {"output_dir": f"./{name}"}), encoding="utf-8")
    return path.name


def train(place: Path, *arguments: str) -> SimpleNamespace:
    done = subprocess.run(
        [
            *(disks.ALONE if disks.ALLOWED else ()),
            *(sys.executable, str(ROOT / "tests/support/train_recipes.py"), *arguments),
        ],
        cwd=place,
        env=os.environ
        | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{place}:{ROOT}",
            "TRACKIO_DIR": str(place / "trackio"),
        },
        text=True,
        capture_output=True,
    )
    lines = done.stdout.splitlines()
    codes = [int(line.split()[1]) for line in lines if line.startswith("CODE")]
    return SimpleNamespace(codes=codes, err=done.stderr)


def state(folder: Path) -> dict:
    """The trainer's state in the last checkpoint of a run."""
    last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    return json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))


def logged(folder: Path, key: str) -> dict[int, float]:
    return {one["step"]: one[key] for one in state(folder)["log_history"] if key in one}


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return set(first) == set(second) and all(first[name].equal(second[name]) for name in first)
