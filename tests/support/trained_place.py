"""A folder in which a model was built, trained and exported, but for the steps of the training."""

import shutil
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.files import sha256
from core.jsonl import write_json
from recipes import export
from recipes.plugins.run_fingerprint import run_of
from tests.support.demo_rows import build_demo, demo_run
from tests.support.paths import ROOT

BASE = "recipes/tiny/base"


def built(folder: Path, **changes: Any) -> Path:
    """Rows of the demo's run in data/demo; `changes` go into every source of its stage 2."""
    run = demo_run()
    run["stages"]["stage2"] = [one | changes for one in run["stages"]["stage2"]]
    build_demo(folder, run, {"train": 4, "dev": 2, "test": 2}, broad=3, chats=9)
    return folder / "data/demo"


def trained(folder: Path, name: str, stage: str, base: str = f"./{BASE}") -> Path:
    """Weights of the tiny base with the record of a training in outputs/NAME, and their export."""
    data = f"data/demo/{stage}.jsonl"
    recipe = {
        "base_model": base,
        "datasets": [{"path": data}],
        "chat_template": "alpaca",
        "output_dir": f"outputs/{name}/trained",
    }
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        if not Path(BASE).exists():
            shutil.copytree(ROOT / BASE, BASE)
            shutil.copytree(ROOT / "recipes/members", "recipes/members")
        shutil.copytree(BASE, f"outputs/{name}/trained")
        Path(f"outputs/{name}/trained/manifest.json").unlink()
        write_json(
            Path(f"outputs/{name}/trained/run.json"), run_of(recipe, {data: sha256(Path(data))}, 1)
        )
        path = Path(f"outputs/{name}/recipe.yml")
        path.write_text(yaml.safe_dump(recipe))
        patch.setattr(sys, "argv", ["export.py", str(path)])
        export.main()
    return folder / f"outputs/{name}/model"
