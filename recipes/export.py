"""Export the full weights that a recipe's training led to: outputs/NAME/model.

Run as: python recipes/export.py recipes/stage1.yml
        python recipes/export.py --adapter runs/lora --base google/gemma-2-9b-it --out outputs/full

Of full fine-tuning the finished files are linked, without its checkpoints, optimizer states and
logs; a link takes no room. An adapter is merged into its base, and nothing else may change. One
that was trained elsewhere has no recipe here: any of PEFT's LoRA family is merged by its folder and
its base, by default the one that its adapter_config.json names.

The adapter was learnt on top of weights rounded to 4 bits, and is added here to the weights as they
were before rounding, in their own precision: the rounding is a makeshift of training, and the
stage that follows needs none. How far the merged model is from the one trained is printed. The
stock merge rounds instead, embeddings and head too, which training never did.

An adapter of the head or of the embeddings parts the two where the base ties them (Gemma-2): the
merged model has a head of its own. transformers reads it; vLLM's Gemma-2 has no place for one.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import atomic_dir, sha256
from core.jsonl import read_json, write_json
from core.layout import exported
from core.yaml_io import read_mapping

NEEDED = ("config.json", "tokenizer_config.json")
KEPT = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model")  # no log, which training adds to


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="examples:\n  python recipes/export.py outputs/best-polar/recipe.yml\n"
        "  python recipes/export.py --adapter runs/lora --base google/gemma-2-9b-it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "recipe", type=Path, nargs="?", help="the recipe that was trained, if it is here"
    )
    parser.add_argument(
        "--adapter", type=Path, help="folder of the adapter (default: the recipe's output_dir)"
    )
    parser.add_argument(
        "--base", help="without a recipe: the base, a folder or a hub name (default: the adapter's)"
    )
    parser.add_argument("--revision", help="without a recipe: the commit of a base on the hub")
    parser.add_argument(
        "--out", type=Path, help="folder of the result (default: model, next to the training)"
    )
    return parser


def trained_by(path: Path) -> dict[str, Any]:
    """A recipe that was trained; raises `UserError` where it lacks what an export needs."""
    recipe = read_mapping(path)
    needed = ("base_model", "datasets", "output_dir") if recipe.get("adapter") else ("output_dir",)
    if lost := [key for key in needed if not recipe.get(key)]:
        raise UserError(f"{path}: names no {', '.join(lost)}; name the recipe that was trained")
    return recipe


def of_adapter(adapter: Path | None, base: str | None, revision: str | None) -> dict[str, Any]:
    """What a merge needs of a recipe, for an adapter without one; raises `UserError`."""
    if adapter is None:
        raise UserError("name the recipe that was trained, or an adapter by --adapter")
    config = adapter / "adapter_config.json"
    if not config.is_file():
        raise UserError(f"{adapter}: no {config.name} in it; name the folder that PEFT wrote")
    said = read_json(config)
    named = said.get("base_model_name_or_path") if isinstance(said, dict) else None
    if base is None and not named:
        raise UserError(f"{config}: names no base; name it by --base")
    return {"base_model": base or named, "revision_of_model": revision}


def link(trained: Path, out: Path) -> None:
    """Link the files of a finished training into `out`, all or nothing.

    Raises `UserError` where the training has not finished.
    """
    missing = [name for name in NEEDED if not (trained / name).is_file()]
    if missing or not any(trained.glob("*.safetensors")):
        what = missing[0] if missing else "model.safetensors"
        raise UserError(f"{trained}: no {what}; train the recipe to its end first")
    with atomic_dir(out, NEEDED[0], [trained]) as part:
        for path in sorted({path for pattern in KEPT for path in trained.glob(pattern)}):
            os.link(path, part / path.name)
    print(f"{out}: the files of {trained}, linked")


def merge_into(out: Path | None, adapter: Path, recipe: dict[str, Any], path: Path | None) -> None:
    """Merge an adapter into its base, check the result, and put it in `out` once it is complete.

    `path` is the recipe's own, None where there is none. Raises `UserError` where the adapter is
    not finished, or does not fit the base.
    """
    # half a minute to import, and of no use to --help
    from recipes.weights.lora import WEIGHTS
    from recipes.weights.merging import RESULT, merge

    adapter = adapter if adapter.name.strip(".") else adapter.resolve()  # . has no name to add to
    out = out or exported(adapter)
    if not (adapter / WEIGHTS).is_file():
        remedy = f"run accelerate launch -m axolotl.cli.train {path}"
        if path is None:
            remedy = f"save it as {WEIGHTS}, or name the folder that has one"
        raise UserError(f"{adapter}: no finished adapter; {remedy}")
    data = [path, Path(recipe["datasets"][0]["path"])] if path else []
    with atomic_dir(out, RESULT, [*data, adapter, Path(recipe["base_model"])]) as part:
        measured = merge(recipe, adapter, part)
        digest = sha256(adapter / WEIGHTS)
        made_of = {"recipe": path and str(path), "base": recipe["base_model"]}
        write_json(part / RESULT, {**made_of, "adapter": digest, **measured})
    print(f"{out}: {measured.pop('pairs')} adapter pairs merged, all other weights bit-equal")
    for name, value in measured.items():
        if value is not None:
            shown = f"{value:.2g}" if isinstance(value, float) else value
            print(f"  {name.replace('_', ' ')}: {shown}")


def main() -> None:
    """Merge or link, as the recipe says."""
    args = parser().parse_args()
    if args.recipe is None:
        recipe = of_adapter(args.adapter, args.base, args.revision)
        merge_into(args.out, args.adapter, recipe, None)
        return
    if args.base or args.revision:
        raise UserError(f"{args.recipe}: names its own base; leave out --base and --revision")
    recipe = trained_by(args.recipe)
    trained = Path(recipe["output_dir"])
    if recipe.get("adapter"):
        merge_into(args.out, args.adapter or trained, recipe, args.recipe)
    elif args.adapter:
        raise UserError(f"{args.recipe}: trains no adapter; name a recipe that does, or none")
    else:
        link(trained, args.out or exported(trained))


if __name__ == "__main__":
    entry(main)
