"""Say before a run whether it fits its GPU, how long it takes, and whether its result fits a 4090.

Run as: python recipes/plan.py recipes/stage2.yml --gpu h200

Memory comes from a dry run of the recipe's own model (recipes/dryrun.py), time from an assumed
share of the GPU's speed. Nothing is downloaded and no GPU is needed.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)
# read when the libraries are imported
os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}

import yaml
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, PretrainedConfig

from prep.errors import UserError, entry
from prep.jsonl import read_objects, read_text
from recipes.backbones import BACKBONES, first_base, shape_of
from recipes.dryrun import checkpointed, dry_run, fused_loss
from recipes.memory import CONTEXT, GIB, GPUS, SHARDS, scoring, speed, states, steps, training

# Korean characters a token, where the tokenizer is not at hand: an assumption
CHARACTERS = 1.7
TIGHT = 16  # prompts at once, below which scoring needs a batch of its own
NEEDED = ("base_model", "micro_batch_size", "sequence_len")


def read_plan(path: Path) -> dict[str, Any]:
    """A recipe as a mapping; raises `UserError` where a key that decides its size is missing."""
    try:
        recipe = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: malformed YAML ({error}); mend it") from None
    missing = [key for key in NEEDED if not isinstance(recipe, dict) or key not in recipe]
    if missing:
        raise UserError(f"{path}: no {', '.join(missing)}; name a whole recipe")
    if recipe.get("rl") not in (None, "orpo") or recipe.get("reward_model"):
        raise UserError(f"{path}: of recipes that train on pairs only rl: orpo can be planned")
    return recipe


def shard_of(recipe: dict[str, Any]) -> str:
    """How a recipe spreads a model over GPUs: none, zero1, zero2, zero3 or fsdp2."""
    if recipe.get("fsdp_config"):
        return "fsdp2"
    if not recipe.get("deepspeed"):
        return "none"
    stage = json.loads(read_text(Path(recipe["deepspeed"])))["zero_optimization"]["stage"]
    return f"zero{stage}" if stage else "none"


def measure(paths: list[Path], base: str) -> tuple[int, float, bool]:
    """Rows, tokens, and whether the tokens were counted by the base's own tokenizer.

    A pair is one row, and has the tokens of both its conversations.
    """
    tokenizer = AutoTokenizer.from_pretrained(base) if Path(base).is_dir() else None
    rows = tokens = 0
    for path in paths:
        for _, row in read_objects(path):
            talks = [row.get(key) or [] for key in ("messages", "chosen", "rejected")]
            text = "\n".join(message["content"] for talk in talks for message in talk)
            tokens += len(tokenizer(text).input_ids) if tokenizer else len(text) / CHARACTERS
            rows += 1
    return rows, tokens, tokenizer is not None


def knobs(recipe: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What makes a recipe smaller, the cheapest first, each on top of those before it."""
    batch = recipe["micro_batch_size"]
    accumulated = recipe.get("gradient_accumulation_steps") or 1
    optimizer = "paged_adamw_8bit" if recipe.get("adapter") else "adamw_torch_8bit"
    found: list[tuple[str, dict[str, Any]]] = []
    if not recipe.get("rl") and not fused_loss(recipe):
        change = {"liger_fused_linear_cross_entropy": True}
        found.append(("the Liger plugin with liger_fused_linear_cross_entropy: true", change))
    if not checkpointed(recipe):
        found.append(("gradient_checkpointing: true", {"gradient_checkpointing": True}))
    if batch > 1:
        change = {"micro_batch_size": 1, "gradient_accumulation_steps": batch * accumulated}
        found.append(
            (f"micro_batch_size: 1, gradient_accumulation_steps: {batch * accumulated}", change)
        )
    if recipe.get("optimizer") not in ("adamw_bnb_8bit", "paged_adamw_8bit", "adamw_torch_8bit"):
        found.append((f"optimizer: {optimizer}", {"optimizer": optimizer}))
    if not recipe.get("load_in_4bit"):
        change = {"adapter": "qlora", "load_in_4bit": True, "lora_target_linear": True}
        found.append(
            ("adapter: qlora, load_in_4bit: true", {"lora_r": 16, "lora_alpha": 32} | change)
        )
    return found


def account(
    config: PretrainedConfig, recipe: dict[str, Any], shard: str, gpus: int, where: Path
) -> tuple[Any, dict[str, float]]:
    """The dry run of a recipe and its bytes on one GPU by kind."""
    step = dry_run(config, recipe)
    state_bytes = states(step, recipe)
    if state_bytes is None:
        raise UserError(
            f"{where}: the size of optimizer {recipe['optimizer']} is not known here; plan with "
            "--set optimizer=adamw_torch, which keeps two moments"
        )
    return step, training(step, recipe, state_bytes, shard, gpus) | {"context": CONTEXT}


def plan(args: argparse.Namespace) -> dict[str, Any]:
    """Everything the table shows, as one JSON object; bytes are GiB."""
    recipe = read_plan(args.recipe) | dict(args.set)
    gpu, shard = GPUS[args.gpu], args.shard or shard_of(recipe)
    config = shape_of(args.recipe, recipe, args.config)
    step, held = account(config, recipe, shard, args.gpus, args.recipe)
    needed = sum(held.values())
    conversations = 2 if recipe.get("rl") else 1  # of a row
    slots = (
        recipe["micro_batch_size"]
        * conversations
        * recipe["sequence_len"]
        * (recipe.get("gradient_accumulation_steps") or 1)
        * args.gpus
    )
    made: dict[str, Any] = {
        "recipe": args.recipe.as_posix(),
        "gpu": gpu.name,
        "gpus": args.gpus,
        "sharding": shard,
        "parameters": step.linear + step.kept,
        "trained": step.trained,
        "training": {kind: size / GIB for kind, size in held.items()},
        "needed": needed / GIB,
        "there": gpu.memory / GIB,
        "fits": needed <= gpu.memory,
        "turn": [],
        "slots_a_step": slots,
        "scoring_on_4090": {
            f"{bits} bit": {
                "weights": found.weights / GIB,
                "prompt": found.prompt / GIB,
                "prompts_at_once": found.prompts,
                "fits": found.prompts > 0,
            }
            for bits in (16, 8, 4)
            for found in [scoring(step, config, bits, recipe["sequence_len"], GPUS["4090"])]
        },
    }
    if not made["fits"]:
        changed, size = recipe, needed
        for said, change in knobs(recipe):
            _, smaller = account(config, changed | change, shard, args.gpus, args.recipe)
            if sum(smaller.values()) >= size:
                continue
            changed, size = changed | change, sum(smaller.values())
            made["turn"].append({"knob": said, "needed": size / GIB})
            if size <= gpu.memory:
                break
    paths = args.rows or [Path(part["path"]) for part in recipe.get("datasets") or []]
    if args.rows or all(path.is_file() for path in paths):
        rows, tokens, counted = measure(paths, first_base(args.recipe, recipe))
        length = tokens / max(conversations * rows, 1)
        rate = speed(step, config, length, gpu, args.mfu) * args.gpus
        count = steps(recipe, rows, tokens, args.gpus)
        # a run of max_steps sees the data as often as its steps come round
        passes = recipe.get("num_epochs") or 1
        if recipe.get("max_steps"):
            passes = count / steps(
                recipe | {"max_steps": None, "num_epochs": 1}, rows, tokens, args.gpus
            )
        made["data"] = {
            "rows": rows,
            "tokens": round(tokens),
            "tokens_counted": counted,
            "steps": count,
            "tokens_a_second": rate,
            "hours": tokens * passes / rate / 3600,
            "mfu_assumed": args.mfu,
        }
    return made


def show(made: dict[str, Any]) -> None:
    """Print a plan as a table and a few sentences."""
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
    for name in ("weights at", "GiB", "GiB a prompt", "prompts at once", "verdict"):
        table.add_column(name, justify="left" if name in ("weights at", "verdict") else "right")
    for bits, size in sizes.items():
        count = size["prompts_at_once"]
        verdict = "fits"
        if not size["fits"]:
            verdict = "does not fit: " + ("fewer bits" if bits != "4 bit" else "a smaller model")
        elif count < TIGHT:
            fewer = "" if bits == "4 bit" else ", fewer bits"
            verdict = f"fits, tight: --batch-size {count}{fewer} or shorter prompts"
        table.add_row(bits, f"{size['weights']:.1f}", f"{size['prompt']:.2f}", f"{count}", verdict)
    console.print(table)


def setting(text: str) -> tuple[str, Any]:
    """KEY=VALUE as a key and its YAML value."""
    key, _, value = text.partition("=")
    if not key or not value:
        raise argparse.ArgumentTypeError(f"{text}: write KEY=VALUE")
    return key, yaml.safe_load(value)


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
        "--config", help=f"the backbone's config.json, or one of {', '.join(BACKBONES)}"
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
    made = plan(args)
    print(json.dumps(made, indent=2)) if args.json else show(made)


if __name__ == "__main__":
    entry(main)
