"""A small project made by the real commands: rows, predictions of three runs, and their vote."""

import shutil
from contextlib import chdir
from pathlib import Path

from ensemble import vote
from eval import score
from tests.support.demo_rows import build_demo, demo_run
from tests.support.paths import ROOT


def make_project(folder: Path) -> Path:
    """Fill a folder: run `demo`, set `demo`, the tiny base as its model."""
    shutil.copytree(ROOT / "recipes/tiny/base", folder / "recipes/tiny/base")
    shutil.copytree(ROOT / "recipes/members", folder / "recipes/members")
    run = demo_run() | {"clean": "pohanghang"}  # which alters and drops utterances
    build_demo(folder, run, {"train": 12, "dev": 4, "test": 12}, broad=6, chats=40)
    with chdir(folder):
        scored = [
            "--model",
            "recipes/tiny/base",
            "--backend",
            "hf",
            "--data",
            "data/demo/test.jsonl",
        ]
        members = [f"predictions/demo/{name}.jsonl" for name in ("letters", "texts")]
        score.main([*scored, "--out", members[0]])
        score.main([*scored, "--out", members[1], "--method", "option"])
        official = ["--test", "data/demo-corpus/test.json", "--out", "submissions/demo.json"]
        vote.main([*members, *official, "--votes", "predictions/demo-vote/vote.jsonl"])
    return folder
