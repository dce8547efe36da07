"""A result whose disk is full is not there at all; the older one stays, and a sentence says why."""

import os
import subprocess
import sys

import pytest
import yaml

from core.errors import full_disk
from tests.support import disks
from tests.support.paths import ROOT
from tests.support.tiny_models import save_adapter, save_llama
from tests.support.training_rows import training_row, write_rows

MERGES = """
import sys
from pathlib import Path
from tests.support import disks
disks.mount(Path("disk"), "900k")
from core.errors import entry
from recipes.export import main
sys.argv = ["export.py", "recipe.yml", "--adapter", "adapter", "--out", "disk/merged"]
for size in (None, None, "9m"):
    if size:
        disks.mount(Path("disk"), size)
    before = Path("disk/merged/model.safetensors")
    old = before.stat().st_ino if before.is_file() else None
    try:
        entry(main)
    except SystemExit as left:
        there = sorted(path.name for path in Path("disk").iterdir())
        same = before.stat().st_ino == old
        print("LEFT", left.code, *there, "same" if same else "new", flush=True)
"""


@disks.needed
def test_a_merge_on_a_full_disk_leaves_the_older_result(tmp_path):
    base = save_llama(tmp_path / "base")
    save_adapter(tmp_path / "adapter", base)
    write_rows(tmp_path / "rows.jsonl", [training_row(0)])
    recipe = {
        "base_model": "./base",
        "adapter": "lora",
        "datasets": [{"path": "rows.jsonl"}],
        "output_dir": "trained",
    }
    (tmp_path / "recipe.yml").write_text(yaml.safe_dump(recipe))
    done = subprocess.run(
        [*disks.ALONE, sys.executable, "-c", MERGES],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
    )
    left = [line for line in done.stdout.splitlines() if line.startswith("LEFT")]
    assert left == ["LEFT 0 merged new", "LEFT 2 merged same", "LEFT 0 merged new"], done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(said) == 1
    assert "cannot be written (No space left on device); make room, then run the same" in said[0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "a.jsonl"), "a.jsonl: cannot be written (No space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the result: cannot be"),
        (OSError(2, "No such file or directory", "a.jsonl"), None),
    ],
)
def test_a_full_disk_is_distinguished_from_other_errors(error, said):
    found = full_disk(error)
    assert found is None if said is None else found.startswith(said)
