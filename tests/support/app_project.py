"""A small project made by the real commands: rows, predictions of three runs, and their vote."""

import shutil
import sys
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from ensemble import vote
from eval import score
from prep import build
from prep.demo import synthetic
from tests.support.paths import ROOT

SIZES = {"train": 12, "dev": 4, "test": 12}  # dialogues, two questions each


def make_project(folder: Path) -> Path:
    """Fill a folder: run `demo`, set `demo`, the tiny base as its model."""
    shutil.copytree(ROOT / "recipes/tiny/base", folder / "recipes/tiny/base")
    shutil.copytree(ROOT / "recipes/members", folder / "recipes/members")
    run = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["runs"]["demo"]
    run["clean"] = "pohanghang"  # which alters and drops utterances
    (folder / "params.yaml").write_text(yaml.safe_dump({"runs": {"demo": run}}, allow_unicode=True))
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "SIZES", SIZES)
        patch.setattr(synthetic, "BROAD", 6)
        patch.setattr(synthetic, "CHATS", 40)
        patch.setattr(sys, "argv", ["synthetic.py"])
        synthetic.main()
        patch.setattr(sys, "argv", ["build.py", "--run", "demo"])
        build.main()
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
