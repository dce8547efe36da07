"""A killed scoring of the story continues, and none votes who is no member any more."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from eval.engines.loader import STARTED
from tests.support.paths import DVC, ROOT
from tests.support.scored_rows import save_rows
from tests.support.tiny_models import save_qwen2

ROWS = 24
# stands in for `python`: scores in small blocks, and kills all of the story after one of seed2's
PYTHON = f"""#!{sys.executable}
import os, runpy, signal, sys
from pathlib import Path
sys.argv = sys.argv[1:]
from eval import runner as blocks
blocks.BLOCK, add = 8, blocks.Partial.add

def dying(partial, *block):
    add(partial, *block)
    if partial.path.name.startswith("seed2") and Path("kill").exists():
        os.killpg(os.getpgrp(), signal.SIGKILL)

blocks.Partial.add = dying
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def place(tmp_path):
    """A folder with the story, rows to score and two tiny members."""
    for name in ("dvc.yaml", "params.yaml", "core", "recipes", "eval"):
        (tmp_path / name).symlink_to(ROOT / name)
    for folder in (".dvc", "bin", "data/demo"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    (tmp_path / "bin/python").write_text(PYTHON)
    (tmp_path / "bin/python").chmod(0o755)
    save_rows(tmp_path / "data/demo/test.jsonl", ROWS)
    for seed in (1, 2):
        save_qwen2(tmp_path / f"outputs/demo/members/seed{seed}", seed, torch.float32)
    return tmp_path


def repro(place):
    return subprocess.run(
        [DVC, "repro", "--single-item", "score@demo"],
        cwd=place,
        env={
            **os.environ,
            "PATH": f"{place}/bin:{os.environ['PATH']}",
            STARTED: "1",  # transformers score: no other interpreter is looked for
            "DVC_TEST": "1",
        },
        start_new_session=True,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_a_killed_scoring_continues_and_forgets_who_is_no_member(place):
    members, scored = place / "outputs/demo/members", place / "predictions/demo/members"
    (place / "kill").touch()
    assert repro(place).returncode == -signal.SIGKILL
    assert {path.name for path in scored.glob("*.jsonl")} == {"seed1.jsonl"}

    (place / "kill").unlink()
    shutil.rmtree(members / "seed1")
    done = repro(place)
    assert done.returncode == 0, done.stderr
    assert f"seed2.jsonl.partial: going on after 8 of {ROWS} rows" in done.stdout
    assert {path.name for path in scored.glob("*.jsonl")} == {"seed2.jsonl"}
