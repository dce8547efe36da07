"""Axolotl's own commands: which of them loads a recipe, and the flags that are theirs.

| command              | under the guard                                                         |
|----------------------|-------------------------------------------------------------------------|
| `axolotl train`      | trains, as `accelerate launch -m axolotl.cli.train`                     |
| `axolotl preprocess` | tokenises and compares the rows, on a machine without a GPU too         |
| `axolotl evaluate`   | losses of the base or of `--lora-model-dir`; scoring is eval/score.py's |
| `axolotl inference`  | a talk with the base or with `--lora-model-dir`                         |
| `axolotl merge-lora` | refused: recipes/export.py merges what was trained, and proves it        |
"""

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from axolotl.cli.args import (
    EvaluateCliArgs,
    InferenceCliArgs,
    PreprocessCliArgs,
    TrainerCliArgs,
)

from core.errors import UserError

# what a command writes into the recipe that is none of its keys
FLAGS = {"inference", "merge_lora"}.union(
    field.name
    for arguments in (EvaluateCliArgs, InferenceCliArgs, PreprocessCliArgs, TrainerCliArgs)
    for field in fields(arguments)
)


def running() -> str:
    """The name of the command's module, train where none is found; Axolotl tells no plugin."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "do_cli":
            return Path(frame.f_code.co_filename).stem
        frame = frame.f_back
    return "train"


def without_flags(cfg: dict[str, Any]) -> dict[str, Any]:
    """The recipe's own keys of what a command made of it."""
    return {key: value for key, value in dict(cfg).items() if key not in FLAGS}


def note(cfg: dict[str, Any], command: str) -> str | None:
    """What a command would read where it is not what the recipe trained; None where it is."""
    base, trained = str(cfg.get("base_model")), str(cfg.get("output_dir"))
    if command not in ("evaluate", "inference") or cfg.get("lora_model_dir"):
        return None
    if Path(base).resolve() == Path(trained).resolve():
        return None
    key = "--lora-model-dir" if cfg.get("adapter") else "--base-model"
    return f"axolotl {command} reads {base}; for what the recipe trained add {key} {trained}"


def require_command(cfg: dict[str, Any], command: str) -> None:
    """Raise `UserError` for a command that would not do what the recipe's training did."""
    if command == "merge_lora":
        raise UserError(
            f"axolotl merge-lora rounds all weights as training rounded the base, which was never "
            f"trained so; run python recipes/export.py {cfg.get('axolotl_config_path')}"
        )
