"""What a recipe needs: memory on a GPU by kind, what to turn where it does not fit, and hours."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PretrainedConfig

from core.errors import UserError
from core.jsonl import read_json, read_objects
from core.prefix_tree import trees
from core.yaml_io import read_mapping
from recipes.checks.precision import fsdp_version
from recipes.planner.costs import CONTEXT, GIB, GPUS, scoring, speed, states, steps, training
from recipes.planner.dry_run import checkpointed, dry_run, fused_loss
from recipes.planner.model_shapes import first_base, shape_of

# Korean characters a token, where the tokenizer is not at hand: an assumption
CHARACTERS = 1.7
NEEDED = ("base_model", "micro_batch_size", "sequence_len")


def read_plan(path: Path) -> dict[str, Any]:
    """A recipe as a mapping; raises `UserError` where a key that decides its size is missing."""
    recipe = read_mapping(path)
    if missing := [key for key in NEEDED if key not in recipe]:
        raise UserError(f"{path}: no {', '.join(missing)}; name a complete recipe")
    if recipe.get("rl") not in (None, "orpo") or recipe.get("reward_model"):
        raise UserError(f"{path}: of recipes that train on pairs only rl: orpo can be planned")
    return recipe


def shard_of(recipe: dict[str, Any]) -> str:
    """How a recipe spreads a model over GPUs: none, zero1, zero2, zero3 or fsdp2.

    Raises `UserError` for FSDP's first version, which Axolotl is about to drop.
    """
    if version := fsdp_version(recipe):
        if version != 2:
            raise UserError("of FSDP only version 2 can be planned; set fsdp_version: 2")
        return "fsdp2"
    if not recipe.get("deepspeed"):
        return "none"
    stage = read_json(Path(recipe["deepspeed"]))["zero_optimization"]["stage"]
    return f"zero{stage}" if stage else "none"


def measure(paths: list[Path], base: str, tree: int | None) -> tuple[int, float, bool]:
    """Rows, tokens, and whether the tokens were counted by the base's own tokenizer.

    A pair is one row, and has the tokens of both its conversations. What rows share counts once in
    each `tree` of at most so many tokens, if trees are trained.
    """
    tokenizer = AutoTokenizer.from_pretrained(base) if Path(base).is_dir() else None
    rows: list[Sequence[int]] = []
    for path in paths:
        for _, row in read_objects(path):
            talks = [row.get(key) or [] for key in ("messages", "chosen", "rejected")]
            text = "\n".join(message["content"] for talk in talks for message in talk)
            rows.append(tokenizer(text).input_ids if tokenizer else [*map(ord, text)])
    one = 1 if tokenizer else CHARACTERS
    sizes = [found.tokens for found in trees(rows, int(tree * one))] if tree else map(len, rows)
    return len(rows), sum(sizes) / one, tokenizer is not None


def knobs(recipe: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What makes a recipe smaller, the cheapest first, each on top of those before it."""
    batch = recipe["micro_batch_size"]
    accumulated = recipe.get("gradient_accumulation_steps") or 1
    optimizer = "paged_adamw_8bit" if recipe.get("adapter") else "adamw_torch_8bit"
    found: list[tuple[str, dict[str, Any]]] = []
    # which leaves a teacher's letters no logits
    if not recipe.get("rl") and not recipe.get("teacher_letters") and not fused_loss(recipe):
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
                "head": found.head / GIB,
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
        for knob, change in knobs(recipe):
            _, smaller = account(config, changed | change, shard, args.gpus, args.recipe)
            if sum(smaller.values()) >= size:
                continue
            changed, size = changed | change, sum(smaller.values())
            made["turn"].append({"knob": knob, "needed": size / GIB})
            if size <= gpu.memory:
                break
    paths = args.rows or [Path(part["path"]) for part in recipe.get("datasets") or []]
    if args.rows or all(path.is_file() for path in paths):
        tree = recipe["micro_batch_size"] * recipe["sequence_len"]
        tree = tree if recipe.get("shared_prefix") else None
        rows, tokens, counted = measure(paths, first_base(args.recipe, recipe), tree)
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
