"""The shape of a recipe's backbone: from its folder, a given file, or its family's own file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.jsonl import read_json
from core.yaml_io import read_mapping
from recipes.members.tables import backbones, load_families

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FAMILIES = Path(__file__).resolve().parents[1] / "members" / "backbones"


def shapes() -> dict[str, dict[str, Any]]:
    """What the families' files say of each published shape, as in a config.json, by its name."""
    return {
        name: {"model_type": family.model_type, **values}
        for family in load_families(FAMILIES)
        for name, values in family.shapes.items()
    }


def shape_name(base: str) -> str | None:
    """The name of the shape of a base on the hub: by its family's file, or by its own name.

    A fine-tune carries the name of what it was tuned from: owner/ko-gemma-2-9b-it.
    """
    if known := backbones(FAMILIES).get(base):
        return known.backbone.shape
    last = base.rpartition("/")[2].lower()
    return next((name for name in shapes() if name in last), None)


def first_base(path: Path, recipe: dict[str, Any]) -> str:
    """The base of a recipe or, where other recipes of its folder make it, of the first of those."""
    from recipes.checks.recipe_rules import first_of, local_config  # seconds, and only wanted here

    base = str(recipe["base_model"])
    if local_config(base):
        return base
    siblings = [other for other in sorted(path.parent.glob("*.yml")) if other != path]
    return str(first_of(recipe, [one for one in map(read_sibling, siblings) if one])["base_model"])


def read_sibling(path: Path) -> dict[str, Any]:
    """A file next to a recipe as another recipe; empty where it is something else."""
    try:
        found = read_mapping(path)
    except UserError:
        return {}
    return found if "base_model" in found else {}


def shape_of(path: Path, recipe: dict[str, Any], given: str | None = None) -> PretrainedConfig:
    """The configuration of a recipe's backbone; `given` names a shape or a config.json.

    Raises `UserError` where it cannot be known without the hub.
    """
    base, known = given or first_base(path, recipe), shapes()
    folder = Path(base)
    if folder.is_file() or (folder / "config.json").is_file():
        values = read_json(folder if folder.is_file() else folder / "config.json")
    elif name := base if base in known else shape_name(base):
        values = known[name]
    else:
        raise UserError(
            f"{path}: the shape of {base} is not known here; add --config with its config.json, "
            f"or with one like it of {', '.join(known)}"
        )
    from transformers import AutoConfig  # seconds to import, and only wanted here

    kind = values.get("model_type") if isinstance(values, dict) else None
    try:
        return AutoConfig.for_model(**values)
    except (TypeError, ValueError):
        raise UserError(
            f"{base}: model_type {kind} is none that transformers knows; name another config.json"
        ) from None
