"""Plan a run: whether it fits its GPU, how long it takes, and whether its result fits a 4090.

Run as: python recipes/plan.py recipes/stage2.yml --gpu h200

Memory comes from a dry run of the recipe's own model (recipes/planner/dry_run.py), time from an
assumed share of the GPU's speed. Nothing is downloaded and no GPU is needed.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from recipes.planner.costs import GPUS, SHARDS
from recipes.planner.model_shapes import shapes

# what eval/score.py is given for the next fewer bits
FEWER = {"16 bit": "--load-in 8bit", "8 bit": "--load-in 4bit"}
TIGHT = 16  # prompts at once, below which scoring needs a batch of its own


def show(made: dict[str, Any]) -> None:
    """Print a plan as a table and a few sentences."""
    from recipes.planner.estimate import CHARACTERS

    console = Console(highlight=False)
    table = Table(title=f"{made['recipe']} on {made['gpus']} × {made['gpu']}, by estimate")
    table.add_column("holds")
    table.add_column("GiB a GPU", justify="right")
    for kind, size in made["training"].items():
        table.add_row(kind, f"{size:.1f}")
    table.add_section()
    table.add_row("needed", f"{made['needed']:.1f}")
    table.add_row("there", f"{made['there']:.1f}")
    console.print(table)
    share = made["trained"] / made["parameters"]
    console.print(
        f"{made['parameters']:,} parameters, {made['trained']:,} trained ({share:.2%}); "
        f"sharding {made['sharding']}; {made['slots_a_step']:,} token slots a step"
    )
    console.print("it fits" if made["fits"] else "it does not fit; turn, one on top of the other:")
    for turn in made["turn"]:
        console.print(f"  {turn['knob']}: {turn['needed']:.1f} GiB")
    if data := made.get("data"):
        how = "counted" if data["tokens_counted"] else f"estimated at {CHARACTERS} characters each"
        console.print(
            f"{data['rows']:,} rows, {data['tokens']:,} tokens ({how}), {data['steps']:,} steps: "
            f"{data['hours']:.2g} hours at {data['tokens_a_second']:,.0f} tokens/s, if the GPU "
            f"gives {data['mfu_assumed']:.0%} of its speed (assumed, not measured)"
        )
    show_scoring(made["scoring_on_4090"], console)


def show_scoring(sizes: dict[str, dict[str, Any]], console: Console) -> None:
    """Print what scoring on one RTX 4090 takes, row by row, and what to turn where it is tight."""
    table = Table(title="scoring on one RTX 4090, by estimate")
    heads = ("weights at", "GiB", "GiB of the head", "GiB a prompt", "prompts at once", "verdict")
    for name in heads:
        table.add_column(name, justify="left" if name in ("weights at", "verdict") else "right")
    for bits, size in sizes.items():
        count = size["prompts_at_once"]
        verdict = "fits"
        if not size["fits"]:
            verdict = f"does not fit: {FEWER.get(bits, 'a smaller model')}"
        elif count < TIGHT:
            fewer = f", {FEWER[bits]}" if bits in FEWER else ""
            verdict = f"fits, tight: --batch-size {count}{fewer} or shorter prompts"
        held = (f"{size['weights']:.1f}", f"{size['head']:.1f}", f"{size['prompt']:.2f}")
        table.add_row(bits, *held, f"{count}", verdict)
    console.print(table)


def setting(text: str) -> tuple[str, Any]:
    """KEY=VALUE as a key and its YAML value; raises argparse's error for anything else."""
    key, _, value = text.partition("=")
    try:
        if key and value:
            return key, yaml.safe_load(value)
    except yaml.YAMLError:
        pass
    raise argparse.ArgumentTypeError(f"{text}: write KEY=VALUE, with a value as in a recipe")


def main() -> None:
    """Print the plan of one recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example:\n  python recipes/plan.py recipes/stage1.yml --gpu 4090 "
        "--set micro_batch_size=1\n\n"
        "How it was calibrated: on a CPU, in float32, the bytes planned are within 0.1 % of what\n"
        "real steps allocate; with the floor of an empty process, within 3 % of resident memory\n"
        "(bench/calibrate.py, docs/weights.md). On a GPU: not measured.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--gpu", choices=GPUS, default="h200")
    parser.add_argument("--gpus", type=int, default=1, help="how many of them (default: 1)")
    parser.add_argument("--shard", choices=SHARDS, help="default: what the recipe says")
    parser.add_argument(
        "--config", help=f"the backbone's config.json, or one of {', '.join(shapes())}"
    )
    parser.add_argument("--rows", type=Path, nargs="+", help="default: the recipe's data, if there")
    parser.add_argument(
        "--set", type=setting, action="append", default=[], metavar="KEY=VALUE", help="as if so"
    )
    parser.add_argument(
        "--mfu", type=float, default=0.4, help="share of the GPU's speed (default: 0.4, assumed)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    args = parser.parse_args()
    if args.gpus < 1 or not 0 < args.mfu <= 1:
        raise UserError("--gpus must be at least 1 and --mfu above 0, at most 1")
    # read when the libraries are imported
    os.environ["HF_HUB_OFFLINE"] = "1"
    from recipes.planner.estimate import plan  # half a minute to import, and of no use to --help

    made = plan(args)
    print(json.dumps(made, indent=2)) if args.json else show(made)


if __name__ == "__main__":
    entry(main)
