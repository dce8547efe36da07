"""Train a recipe for a few steps on random weights of its true shape, by Axolotl and by TRL.

Run as: python bench/gpu.py recipes/stage2.yml --config gemma-2-9b --steps 20

The rows are invented, as long as the corpus's questions. Axolotl runs the recipe as it is but for
its data and its length. TRL takes one row a batch and packs none (bench/trl_run.py), on the same
model and rows. bench/gpu.md holds the commands and figures.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bench.workload import TOKENIZER, save_random
from core.errors import UserError, entry
from core.jsonl import read_json, read_objects, write_json, write_records
from prep.demo.grammar import TARGET, particle
from recipes.plan import setting
from recipes.planner.costs import CONTEXT, GPUS, work
from recipes.planner.model_shapes import shape_of

ROOT = Path(__file__).resolve().parent.parent
SEED = 7
Count = Callable[[str], int]
WARM = 2  # steps that are not counted
SHORT = {"warmup_steps": 1, "logging_steps": 1, "save_strategy": "no"}
# what a run to its end needs: it evaluates, and keeps the best
LENGTHY = (
    *("test_datasets", "num_epochs", "eval_strategy", "eval_steps", "save_steps"),
    *("load_best_model_at_end", "metric_for_best_model"),
)
# what TRL is to have in common with the recipe
TAKEN = (
    *("attn_implementation", "load_in_4bit", "adapter", "lora_r", "lora_alpha", "bf16"),
    *("micro_batch_size", "gradient_accumulation_steps", "gradient_checkpointing"),
)
ACCURACY = "recipes.plugins.answer_accuracy.AccuracyPlugin"
METER = "bench.meter.MeterPlugin"


def row(rng: random.Random, number: int, length: int, count: Count) -> dict[str, Any]:
    """A question as prep writes it, of at least `length` tokens; its words are the grammar's."""
    things = [thing for kind in TARGET.values() for thing in kind.things]
    options = [f"{rng.choice(things)} 이야기이다." for _ in "ABC"]
    right = rng.randrange(3)
    shown = "\n".join(f"{label}. {text}" for label, text in zip("ABC", options, strict=True))
    answer = f"{'ABC'[right]}. {options[right]}"
    turns: list[str] = []
    tokens = count(f"### Instruction:\n\n\n{shown}\n\n### Response:\n{answer}")
    while tokens < length:
        turns.append(f"화자{len(turns) % 2 + 1}: {particle(rng.choice(things), '을')} 봤어요.\n")
        tokens += count(turns[-1])
    messages = [
        {"role": "user", "content": f"{''.join(turns)}\n{shown}"},
        {"role": "assistant", "content": answer},
    ]
    common = {"source": "bench", "split": "train", "group": str(number), "category": "원인"}
    labels = {"labels": list("ABC"), "order": [0, 1, 2], "answer": "ABC"[right]}
    return {"id": str(number), **common, "prompt": "bench@1", "messages": messages, **labels}


def rows(number: int, mean: int, limit: int) -> list[dict[str, Any]]:
    """Rows whose lengths spread as the corpus's do: a standard deviation of a third of the mean."""
    from transformers import AutoTokenizer  # seconds to import, and of no use to --help

    rng = random.Random(SEED)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    # the grammar repeats itself: a sentence is tokenised once
    count = cache(lambda text: len(tokenizer(text, add_special_tokens=False).input_ids))
    lengths = [min(0.9 * limit, max(mean / 3, rng.gauss(mean, mean / 3))) for _ in range(number)]
    return [row(rng, place, int(length), count) for place, length in enumerate(lengths)]


def by_axolotl(place: Path, base: Path, recipe: dict[str, Any], steps: int) -> list[str]:
    """Write the recipe as it is but for its data and its length; returns Axolotl's command."""
    short = {key: value for key, value in recipe.items() if key not in LENGTHY}
    short |= SHORT | {"base_model": str(base), "max_steps": steps, "output_dir": "./axolotl"}
    short |= {"datasets": [recipe["datasets"][0] | {"path": "rows.jsonl"}]}
    short.pop("revision_of_model", None)
    short["plugins"] = [one for one in recipe["plugins"] if one != ACCURACY] + [METER]
    (place / "recipe.yml").write_text(yaml.safe_dump(short, sort_keys=False), encoding="utf-8")
    return ["-m", "axolotl.cli.train", "recipe.yml"]


def by_trl(place: Path, base: Path, recipe: dict[str, Any], steps: int) -> list[str]:
    """Write what TRL's way takes from the recipe; returns the command of bench/trl_run.py."""
    taken = {key: recipe[key] for key in TAKEN if key in recipe}
    write_json(place / "trl.json", taken | {"base": str(base), "steps": steps})
    return [str(ROOT / "bench" / "trl_run.py"), "."]


WAYS = {"axolotl": by_axolotl, "trl": by_trl}


def start(way: str, place: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a way in a process of its own."""
    (place / way / "meter.json").unlink(missing_ok=True)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, *command], cwd=place, env=os.environ | {"PYTHONPATH": path}
    )


def noted(way: str, place: Path, child: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the meter noted, once the way has ended."""
    if child.wait():
        raise UserError(f"{place}: {way} ended with code {child.returncode}")
    return read_json(place / way / "meter.json")


def rate(found: dict[str, Any]) -> float:
    """Tokens a second, without padding and without the first steps."""
    return sum(found["tokens"][WARM:]) / sum(found["seconds"][WARM:])


def row_length(rows: Path) -> float:
    """Mean tokens of the row that a token stands in, which is what its attention looks at."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    lengths = [
        len(tokenizer.apply_chat_template(row["messages"], return_dict=False))
        for _, row in read_objects(rows)
    ]
    return sum(length**2 for length in lengths) / sum(lengths)


def main() -> None:
    """Measure the ways asked for and write figures.json."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example:\n  python bench/gpu.py recipes/stage1.yml --config gemma-2-9b --steps 20",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--config", help="the backbone's config.json, or a family of the planner's")
    parser.add_argument("--gpu", choices=GPUS, help="which one this is, for MFU")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--tokens", type=int, default=517, help="mean length of a row (default: the corpus's)"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument(
        "--set", type=setting, action="append", default=[], metavar="KEY=VALUE", help="as if so"
    )
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="of the model, here or to be")
    parser.add_argument("--out", type=Path, default=Path("outputs/bench"))
    args = parser.parse_args()
    if args.steps <= WARM:
        raise UserError(f"--steps {args.steps}: the first {WARM} are not counted; name more")

    from recipes.planner.estimate import account, read_plan

    recipe = read_plan(args.recipe) | dict(args.set)
    recipe.setdefault("gradient_accumulation_steps", 1)
    config = shape_of(args.recipe, recipe, args.config)
    place = args.out.resolve()
    place.mkdir(parents=True, exist_ok=True)
    base = (args.base or args.out / "base").resolve()
    save_random(base, config, "bfloat16" if recipe.get("bf16") else "float32")
    batch = recipe["micro_batch_size"] * recipe["gradient_accumulation_steps"]
    packed = recipe["sequence_len"] // args.tokens + 1 if recipe.get("sample_packing") else 1
    count = batch * packed * args.steps
    write_records(place / "rows.jsonl", rows(count, args.tokens, recipe["sequence_len"]))

    figures: dict[str, Any] = {"file": args.recipe.as_posix(), "steps": args.steps}
    figures |= {"set": dict(args.set)} if args.set else {}
    step, planned = None, 0.0
    for way in args.ways:
        child = start(way, place, WAYS[way](place, base, recipe, args.steps))
        if step is None:  # meanwhile
            step, kinds = account(config, recipe, "none", 1, args.recipe)
            planned = (sum(kinds.values()) - CONTEXT) / 2**30
            length = row_length(place / "rows.jsonl")
        found = noted(way, place, child)
        figures[way] = {
            "tokens_a_second": rate(found),
            "held_gib": found["held"] / 2**30,
            "loading_gib": found["loading"] / 2**30,
            "seconds": found["seconds"],
        }
        if args.gpu:
            done = figures[way]["tokens_a_second"] * work(step, config, length)
            figures[way]["mfu"] = done / GPUS[args.gpu].speed
    if "axolotl" in args.ways:
        figures["planned_gib"] = planned
        figures["planner_error"] = planned / figures["axolotl"]["held_gib"] - 1
    if len(args.ways) == 2:
        both = [figures[way]["tokens_a_second"] for way in ("axolotl", "trl")]
        figures["times_trl"] = both[0] / both[1]
    write_json(place / "figures.json", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    entry(main)
