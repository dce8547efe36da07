"""A folder in which an experiment runs: the project by links, and a small corpus of the demo's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from prep.demo.synthetic import corpus, small_talk
from tests.support.paths import ROOT

LINKED = ("core", "earlier_systems", "prep", "recipes", "eval", "experiments")
DIALOGUES = 12
RUN = {
    "inputs": "data",
    "corpus": {"train": "data/train.json"},
    "prompt": "reference",
    "stages": {
        "stage1": [{"source": "messages", "name": "small-talk", "path": "data/talk.jsonl"}],
        "stage2": [{"source": "cci-2024"}],
    },
}
SMALL: dict[str, Any] = {
    "base": "demo-seed1",
    "folds": 2,
    "common": {
        "stage1": False,
        "recipe": {
            "max_steps": 2,
            "micro_batch_size": 2,
            "save_steps": 1,
            "warmup_steps": 0,
            "dataset_num_proc": 1,
        },
        "scoring": {"backend": "hf"},
    },
    "changes": {"another-seed": {"recipe": {"seed": 2}}},
}


def make_place(folder: Path) -> Path:
    """The folder with links, data and params.yaml."""
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / "data").mkdir()
    (folder / "data/train.json").write_text(
        json.dumps(corpus("train", DIALOGUES, 7), ensure_ascii=False), "utf-8"
    )
    talk = [json.dumps(one, ensure_ascii=False) for one in small_talk(7, 6)]
    (folder / "data/talk.jsonl").write_text("\n".join(talk) + "\n", "utf-8")
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"runs": {"demo": RUN}}, allow_unicode=True), "utf-8"
    )
    return folder


def save(folder: Path, **changes: Any) -> Path:
    """Write the small experiment, with keys of it changed, as small.yml."""
    (folder / "small.yml").write_text(yaml.safe_dump({**SMALL, **changes}), "utf-8")
    return Path("small.yml")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command on small.yml in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "experiments/ablate.py", "small.yml", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ablate(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run the command to its end; what it printed, or its one sentence where it refuses."""
    running = start(folder, *arguments)
    out, err = running.communicate(timeout=900)
    assert running.returncode == code, out + err
    if code:
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    return err if code else out
