"""What a run needs before its first step: keys that are known, a device, a base, data, a plugin.

Each check raises `UserError` with one sentence that names the remedy.
"""

from pathlib import Path
from typing import Any

import torch

from prep.errors import UserError
from recipes.base import base_of, unreadable
from recipes.loss import unseen_head
from recipes.matrix import OUTPUTS
from recipes.precision import lost_steps
from recipes.schema import key_problems

ACCURACY = "recipes.accuracy.AccuracyPlugin"


def preflight(cfg: dict[str, Any]) -> None:
    """Raise `UserError` for the first thing that would stop or spoil a run; data come later."""
    require_keys(cfg)
    require_device(cfg)
    if problem := lost_steps(cfg) or unseen_head(cfg):
        raise UserError(f"{cfg.get('axolotl_config_path')}: {problem}")
    require_base(cfg)
    require_metric(cfg)


def require_keys(cfg: dict[str, Any]) -> None:
    """Raise `UserError` for keys that Axolotl would pass over in silence."""
    if problems := list(key_problems(dict(cfg))):
        raise UserError(f"{cfg.get('axolotl_config_path')}: {'. '.join(problems)}")


def require_device(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the recipe asks for a GPU and there is none."""
    wants = [
        key
        for key, asked in (
            ("bf16", cfg.get("bf16") is True),
            ("attn_implementation", "flash" in str(cfg.get("attn_implementation"))),
            ("deepspeed", bool(cfg.get("deepspeed"))),
        )
        if asked
    ]
    if wants and not torch.cuda.is_available():
        recipe = cfg.get("axolotl_config_path")
        raise UserError(
            f"{recipe}: no GPU here, and the recipe asks for one ({', '.join(wants)}); "
            "on a CPU use recipes/tiny/stage1.yml and recipes/tiny/stage2.yml"
        )
    # bitsandbytes 0.50 repacks 4-bit weights for a CPU's inference and has no gradient through that
    if cfg.get("load_in_4bit") and cfg.get("test_datasets") and not torch.cuda.is_available():
        raise UserError(
            f"{cfg.get('axolotl_config_path')}: on a CPU an evaluation spoils the gradients of "
            "4-bit weights; take out test_datasets"
        )


def require_base(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the base model is not there, naming the step that makes it."""
    base = str(cfg.get("base_model"))
    if is_local(base):
        if not (Path(base) / "config.json").is_file() or not any(Path(base).glob("*.safetensors")):
            raise UserError(f"{base}: no model in this folder (base_model); {made_by(Path(base))}")
        if said := unreadable(Path(base)):
            raise UserError(f"{base}: {said}; copy or download it again, or make it again")
        return
    base_of(base, cfg.get("revision_of_model"))


def made_by(base: Path) -> str:
    """What a person does to get the base model of a recipe."""
    if base.parent.parent == OUTPUTS:
        return f"train that member first: dvc repro whole@{base.parent.name}"
    if "merged" in base.name:
        return "train the stage before, then run python recipes/merge.py on its recipe"
    return "download it there, or see the recipe's first lines for what makes it"


def require_metric(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the recipe keeps the best checkpoint, and Axolotl alone would not."""
    keys = ("load_best_model_at_end", "early_stopping_patience", "metric_for_best_model")
    asked = [key for key in keys if cfg.get(key)]
    if asked and ACCURACY not in (cfg.get("plugins") or []):
        raise UserError(
            f"{cfg.get('axolotl_config_path')}: {', '.join(asked)} without {ACCURACY}, which knows "
            "the accuracy and sees that the best checkpoint is loaded; add it to plugins"
        )


def is_local(base: str) -> bool:
    """Whether a base model is a folder, or was meant as one; a hub name is owner/name."""
    path = Path(base)
    return path.is_dir() or base.startswith((".", "/", "~")) or len(path.parts) > 2


def require_data(cfg: Any) -> list[Path]:
    """Paths of all data files; raises `UserError` for those missing."""
    parts = [*(cfg.datasets or []), *(cfg.test_datasets or [])]
    missing = [part["path"] for part in parts if not Path(part["path"]).is_file()]
    if missing:
        run = " --run demo" if "demo" in Path(missing[0]).parts else ""
        raise UserError(f"{', '.join(missing)}: no such file; run python prep/build.py{run} first")
    return [Path(part["path"]) for part in parts]
