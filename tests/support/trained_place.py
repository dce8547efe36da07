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
from prep import build
from prep.demo import synthetic
from recipes import export
from recipes.plugins.run_fingerprint import run_of
from tests.support.paths import ROOT

BASE = "recipes/tiny/base"
SIZES = {"train": 4, "dev": 2, "test": 2}  # dialogues


def built(folder: Path, **changes: Any) -> Path:
    """Rows of the demo's run in data/demo; `changes` go into every source of its stage 2."""
    run = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["runs"]["demo"]
    run["stages"]["stage2"] = [one | changes for one in run["stages"]["stage2"]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({"runs": {"demo": run}}, allow_unicode=True))
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "SIZES", SIZES)
        patch.setattr(synthetic, "BROAD", 3)
        patch.setattr(synthetic, "CHATS", 9)
        patch.setattr(sys, "argv", ["synthetic.py"])
        synthetic.main()
        patch.setattr(sys, "argv", ["build.py", "--run", "demo"])
        build.main()
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
