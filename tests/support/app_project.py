"""A small project made by the real commands: rows, predictions of three runs, and their vote."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.paths import ROOT

SIZES = {"train": 12, "dev": 4, "test": 12}  # dialogues, two questions each


def make_project(folder: Path) -> Path:
    """Fill a folder: run `demo`, set `demo`, the tiny base as its model."""
    shutil.copytree(ROOT / "recipes/tiny/base", folder / "recipes/tiny/base")
    shutil.copytree(ROOT / "recipes/members", folder / "recipes/members")
    run = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["runs"]["demo"]
    run["clean"] = "pohanghang"  # which alters and drops utterances
    (folder / "params.yaml").write_text(yaml.safe_dump({"runs": {"demo": run}}, allow_unicode=True))
    code = (
        "from prep.demo import synthetic as made; made.SIZES.update("
        f"{SIZES}); made.BROAD = 6; made.CHATS = 40; made.main()"
    )
    python(folder, "-c", code)
    python(folder, str(ROOT / "prep/build.py"), "--run", "demo")
    score = [str(ROOT / "eval/score.py"), "--model", "recipes/tiny/base", "--backend", "hf"]
    score += ["--data", "data/demo/test.jsonl", "--out"]
    python(folder, *score, "predictions/demo/letters.jsonl")
    python(folder, *score, "predictions/demo/texts.jsonl", "--method", "option")
    members = [f"predictions/demo/{name}.jsonl" for name in ("letters", "texts")]
    vote = ["--test", "data/demo-corpus/test.json", "--out", "submissions/demo.json"]
    vote += ["--votes", "predictions/demo-vote/vote.jsonl"]
    python(folder, str(ROOT / "ensemble/vote.py"), *members, *vote)
    return folder


def python(folder: Path, *arguments: str) -> str:
    """What `python ARGUMENTS` prints in a folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
