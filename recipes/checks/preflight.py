"""What a run needs before its first step: a recipe that is sound, a device, a base, data, a plugin.

Each check raises `UserError` with one sentence that names the remedy.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axolotl.cli.config import gpu_capabilities
from transformers.utils import cached_file

from core.errors import UserError
from core.layout import DATA, OUTPUTS
from core.yaml_io import read_mapping
from recipes.checks.hardware import require_device, require_hardware
from recipes.checks.recipe_rules import (
    SOFTCAP,
    Recipe,
    family_of,
    local_config,
    run_problems,
    track_problems,
)
from recipes.checks.schema import schema_problems
from recipes.plugins.axolotl_commands import without_flags
from recipes.weights.base_model import (
    base_of,
    check_base,
    require_full_weights,
    unreadable,
)

ACCURACY = "recipes.plugins.answer_accuracy.AccuracyPlugin"


def preflight(cfg: dict[str, Any], *, trains: bool = True) -> None:
    """Raise `UserError` for the first thing that would stop or spoil a run; data come later.

    One that does not train, but makes the rows ready for one that does, needs no device.
    """
    recipe = without_flags(cfg)
    require_no_repeated_key(cfg)
    if trains:
        require_device(cfg)
    require(cfg, schema_here(recipe))
    require_base(cfg)
    require_full_weights(str(cfg["base_model"]), cfg.get("revision_of_model"))
    if trains:
        require_hardware(cfg)
    require_adapter(cfg)
    require(cfg, rule_problems(recipe))
    require_metric(cfg)


def require_no_repeated_key(cfg: dict[str, Any]) -> None:
    """Raise `UserError` for a recipe that names a key twice, of which Axolotl takes the last."""
    path = Path(str(cfg.get("axolotl_config_path")))
    if path.is_file():
        read_mapping(path)


def require(cfg: dict[str, Any], problems: Iterator[str]) -> None:
    """Raise `UserError` with all problems of a recipe, where there are any."""
    if listed := list(problems):
        raise UserError(f"{cfg.get('axolotl_config_path')}: {'. '.join(listed)}")


def schema_here(recipe: Recipe) -> Iterator[str]:
    """What Axolotl would not understand, or refuse on this machine; its advice comes later."""
    logging.disable(logging.WARNING)
    try:
        yield from schema_problems(recipe, *gpu_capabilities())
    finally:
        logging.disable(logging.NOTSET)


def rule_problems(recipe: Recipe) -> Iterator[str]:
    """What recipes/check.py would refuse in a recipe whose base is there, but for its header."""
    config = config_of(recipe)
    yield from run_problems(recipe, family_of(recipe, []), bool(config.get(SOFTCAP)))
    yield from track_problems(recipe, [])
    room = config.get("max_position_embeddings")
    length = int(recipe.get("sequence_len") or 0)  # Axolotl's own, where none is given, is short
    if room and length > room and not recipe.get("overrides_of_model_config"):
        yield f"sequence_len {length} is over the model's {room}"


def config_of(recipe: Recipe) -> dict[str, Any]:
    """The text model's settings in the base's config.json."""
    path = cached_file(
        str(recipe["base_model"]), "config.json", revision=recipe.get("revision_of_model")
    )
    return local_config(Path(path).parent)


def require_base(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the base model is not there, naming the step that makes it."""
    base = str(cfg.get("base_model"))
    if is_local(base):
        if not (Path(base) / "config.json").is_file() or not any(Path(base).glob("*.safetensors")):
            raise UserError(f"{base}: no model in this folder (base_model); {made_by(Path(base))}")
        if defect := unreadable(Path(base)):
            raise UserError(f"{base}: {defect}; copy or download it again, or make it again")
        return
    base_of(base, cfg.get("revision_of_model"))


def require_adapter(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the adapter to continue from is not there, or is another base's."""
    name = cfg.get("lora_model_dir")
    if name and is_local(str(name)):
        if not (Path(name) / "adapter_model.safetensors").is_file():
            raise UserError(f"{name}: no adapter in this folder (lora_model_dir)")
        check_base(str(cfg["base_model"]), cfg.get("revision_of_model"), Path(name))


def made_by(base: Path) -> str:
    """What a person does to get the base model of a recipe."""
    if base.parent.parent == OUTPUTS:
        return (
            f"train {base.parent.name} first, then run python recipes/export.py on its recipe (or "
            f"dvc repro export@{base.parent.name})"
        )
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
        folder = Path(missing[0]).parent
        run = f" --run {folder.name}" if folder.parent == DATA else ""
        raise UserError(f"{', '.join(missing)}: no such file; run python prep/build.py{run} first")
    return [Path(part["path"]) for part in parts]
