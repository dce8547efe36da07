"""Merge the adapter that a recipe trained into its base, and prove that nothing else changed.

Run as: python recipes/merge.py recipes/stage1.yml
        python recipes/merge.py --adapter runs/lora --base google/gemma-2-9b-it --out outputs/merged

An adapter that was trained elsewhere has no recipe here: any of PEFT's LoRA family is merged by its
folder and its base, by default the one that its adapter_config.json names.

The adapter was learnt on top of weights rounded to 4 bits, and is added here to the weights as they
were before rounding, in their own precision: the rounding is a makeshift of training, and the
stage that follows needs none. How far the merged model is from the one trained is printed. The
stock merge rounds instead, embeddings and head too, which training never did.

An adapter of the head or of the embeddings parts the two where the base ties them (Gemma-2): the
merged model has a head of its own. transformers reads it; vLLM's Gemma-2 has no place for one.
"""

import argparse
from pathlib import Path
from typing import Any

from core.errors import UserError, entry
from core.files import atomic_dir, sha256
from core.jsonl import read_json, write_json
from core.layout import exported
from core.yaml_io import read_mapping
from recipes.plugins import quiet  # noqa: F401, before the libraries that it quiets


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Merge the adapter that a recipe trained into its base, and check the result.",
        epilog="examples:\n  python recipes/merge.py recipes/stage1.yml\n"
        "  python recipes/merge.py --adapter runs/lora --base google/gemma-2-9b-it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "recipe", type=Path, nargs="?", help="the recipe that trained the adapter, if it is here"
    )
    parser.add_argument(
        "--adapter", type=Path, help="folder of the adapter (default: the recipe's output_dir)"
    )
    parser.add_argument(
        "--base", help="without a recipe: the base, a folder or a hub name (default: the adapter's)"
    )
    parser.add_argument("--revision", help="without a recipe: the commit of a base on the hub")
    parser.add_argument(
        "--out", type=Path, help="folder of the result (default: model, next to the adapter)"
    )
    return parser


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe with an adapter; raises `UserError` for anything else."""
    recipe = read_mapping(path)
    if not recipe.get("adapter"):
        raise UserError(f"{path}: trains no adapter, so there is nothing to merge; name a stage 1")
    if lost := [key for key in ("base_model", "datasets", "output_dir") if not recipe.get(key)]:
        raise UserError(f"{path}: names no {', '.join(lost)}; name the recipe that was trained")
    return recipe


def of_adapter(adapter: Path | None, base: str | None, revision: str | None) -> dict[str, Any]:
    """What a merge needs of a recipe, for an adapter without one; raises `UserError`."""
    if adapter is None:
        raise UserError("name the recipe that trained the adapter, or the adapter by --adapter")
    config = adapter / "adapter_config.json"
    if not config.is_file():
        raise UserError(f"{adapter}: no {config.name} in it; name the folder that PEFT wrote")
    said = read_json(config)
    named = said.get("base_model_name_or_path") if isinstance(said, dict) else None
    if base is None and not named:
        raise UserError(f"{config}: names no base; name it by --base")
    return {"base_model": base or named, "revision_of_model": revision}


def main() -> None:
    """Merge, check, and put the result in its place only when it is complete."""
    args = parser().parse_args()
    # half a minute to import, and of no use to --help
    from recipes.weights.lora import WEIGHTS
    from recipes.weights.merging import RESULT, merge

    if args.recipe is None:
        recipe = of_adapter(args.adapter, args.base, args.revision)
        data: list[Path] = []
    elif args.base or args.revision:
        raise UserError(f"{args.recipe}: names its own base; leave out --base and --revision")
    else:
        recipe = read_recipe(args.recipe)
        data = [args.recipe, Path(recipe["datasets"][0]["path"])]
    adapter = args.adapter or Path(recipe["output_dir"])
    adapter = adapter if adapter.name.strip(".") else adapter.resolve()  # . has no name to add to
    out = args.out or exported(adapter)
    if not (adapter / WEIGHTS).is_file():
        remedy = f"run accelerate launch -m axolotl.cli.train {args.recipe}"
        if args.recipe is None:
            remedy = f"save it as {WEIGHTS}, or name the folder that has one"
        raise UserError(f"{adapter}: no finished adapter; {remedy}")
    with atomic_dir(out, RESULT, [*data, adapter, Path(recipe["base_model"])]) as part:
        measured = merge(recipe, adapter, part)
        digest = sha256(adapter / WEIGHTS)
        made_of = {"recipe": args.recipe and str(args.recipe), "base": recipe["base_model"]}
        write_json(part / RESULT, {**made_of, "adapter": digest, **measured})
    print(f"{out}: {measured.pop('pairs')} adapter pairs merged, all other weights bit-equal")
    for name, value in measured.items():
        if value is not None:
            shown = f"{value:.2g}" if isinstance(value, float) else value
            print(f"  {name.replace('_', ' ')}: {shown}")


if __name__ == "__main__":
    entry(main)
