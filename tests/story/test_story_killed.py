"""A killed scoring of the pipeline continues."""

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
# stands in for `python`: scores in small blocks, and kills all of the story after one of a member's
PYTHON = f"""#!{sys.executable}
import os, runpy, signal, sys
from pathlib import Path
sys.argv = sys.argv[1:]
from eval import runner as blocks
blocks.BLOCK, add = 8, blocks.Partial.add

def dying(partial, *block):
    add(partial, *block)
    if partial.path.name.startswith("demo-seed2") and Path("kill").exists():
        os.killpg(os.getpgrp(), signal.SIGKILL)

blocks.Partial.add = dying
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def place(tmp_path):
    """A folder with the pipeline, rows to score and a tiny member."""
    for name in ("dvc.yaml", "params.yaml", "core", "recipes", "eval"):
        (tmp_path / name).symlink_to(ROOT / name)
    for folder in (".dvc", "bin", "data/demo"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    (tmp_path / "bin/python").write_text(PYTHON)
    (tmp_path / "bin/python").chmod(0o755)
    save_rows(tmp_path / "data/demo/test.jsonl", ROWS)
    save_qwen2(tmp_path / "outputs/demo-seed2/model", 2, torch.float32)
    return tmp_path


def repro(place):
    return subprocess.run(
        [DVC, "repro", "--single-item", "score@demo-seed2"],
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
def test_a_killed_scoring_continues(place):
    scored = place / "predictions/demo"
    (place / "kill").touch()
    assert repro(place).returncode == -signal.SIGKILL
    assert not list(scored.glob("*.jsonl"))

    (place / "kill").unlink()
    done = repro(place)
    assert done.returncode == 0, done.stderr
    assert f"demo-seed2.jsonl.partial: going on after 8 of {ROWS} rows" in done.stdout
    assert {path.name for path in scored.glob("*.jsonl")} == {"demo-seed2.jsonl"}
