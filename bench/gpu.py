"""Train a recipe for a few steps on random weights of its true shape, and the seeds' way beside it.

Run as: python bench/gpu.py recipes/stage2.yml --config gemma-2-9b --steps 20

The rows are invented, as long as the corpus's questions. The recipe runs by Axolotl as it is but
for its data and its length. The seeds' way is TRL with one row a batch and no packing, on the same
model and rows. bench/gpu.md holds the commands and figures.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from bench.meter import Meter, status
from prep.errors import UserError, entry
from prep.grammar import TARGET, particle
from prep.jsonl import read_json, read_objects, write_json, write_records
from recipes.backbones import shape_of
from recipes.memory import CONTEXT, GPUS, work
from recipes.plan import setting
from recipes.planning import account, read_plan

ROOT = Path(sys.path[0])
SEED = 7
WARM = 2  # steps that are not counted
SHORT = {"warmup_steps": 1, "logging_steps": 1, "save_strategy": "no"}
# what a run to its end needs: it evaluates, and keeps the best
LENGTHY = (
    *("test_datasets", "num_epochs", "eval_strategy", "eval_steps", "save_steps"),
    *("load_best_model_at_end", "metric_for_best_model"),
)
ACCURACY = "recipes.accuracy.AccuracyPlugin"
METER = "bench.meter.MeterPlugin"


def row(rng: random.Random, number: int, length: int) -> dict[str, Any]:
    """A question as prep writes it, of about so many tokens; its words are the grammar's."""
    things = [thing for kind in TARGET.values() for thing in kind.things]
    said = [f"{particle(rng.choice(things), '을')} 봤어요." for _ in range(length // 8)]
    turns = "\n".join(f"화자{place % 2 + 1}: {text}" for place, text in enumerate(said))
    options = [f"{rng.choice(things)} 이야기이다." for _ in "ABC"]
    right = rng.randrange(3)
    shown = "\n".join(f"{label}. {text}" for label, text in zip("ABC", options, strict=True))
    messages = [
        {"role": "user", "content": f"{turns}\n\n{shown}"},
        {"role": "assistant", "content": f"{'ABC'[right]}. {options[right]}"},
    ]
    common = {"source": "bench", "split": "train", "group": str(number), "category": "원인"}
    labels = {"labels": list("ABC"), "order": [0, 1, 2], "answer": "ABC"[right]}
    return {"id": str(number), **common, "prompt": "bench@1", "messages": messages, **labels}


def rows(count: int, mean: int, limit: int) -> list[dict[str, Any]]:
    """Rows whose lengths spread as the corpus's do: a standard deviation of a third of the mean."""
    rng = random.Random(SEED)
    lengths = (min(0.7 * limit, max(mean / 3, rng.gauss(mean, mean / 3))) for _ in range(count))
    return [row(rng, number, int(length)) for number, length in enumerate(lengths)]


def base(folder: Path, config: Any, recipe: dict[str, Any]) -> None:
    """Save random weights of a shape, with the tiny base's tokenizer, which a GPU cannot tell."""
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "recipes/tiny/base")
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"vocab_size {config.vocab_size} is below the tokenizer's {len(tokenizer)}")
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, key, getattr(tokenizer, key))
    config.dtype = torch.bfloat16 if recipe.get("bf16") else torch.float32
    torch.manual_seed(SEED)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=config.dtype)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del model
    if torch.cuda.is_available():  # leave the GPU to what is measured
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def by_recipe(place: Path, recipe: dict[str, Any], steps: int) -> dict[str, Any]:
    """Run the recipe by Axolotl in a process of its own; returns what the meter noted."""
    short = {key: value for key, value in recipe.items() if key not in LENGTHY}
    short |= SHORT | {"base_model": "./base", "max_steps": steps, "output_dir": "./recipe"}
    short |= {"datasets": [recipe["datasets"][0] | {"path": "rows.jsonl"}]}
    short.pop("revision_of_model", None)
    short["plugins"] = [one for one in recipe["plugins"] if one != ACCURACY] + [METER]
    (place / "recipe.yml").write_text(yaml.safe_dump(short, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "axolotl.cli.train", "recipe.yml"]
    done = subprocess.run(command, cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT)})
    if done.returncode:
        raise UserError(f"{place / 'recipe.yml'}: Axolotl ended with code {done.returncode}")
    return read_json(place / "recipe/meter.json")


def by_seeds(place: Path, recipe: dict[str, Any], steps: int) -> dict[str, Any]:
    """Train as the seeds did, in this process; returns what the meter noted."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(place / "base")
    examples = []
    for _, line in read_objects(place / "rows.jsonl"):
        prompt, whole = (
            tokenizer.apply_chat_template(
                line["messages"][:end], add_generation_prompt=end == 1, return_dict=False
            )
            for end in (1, 2)
        )
        learnt = [int(position >= len(prompt)) for position in range(len(whole))]
        examples.append({"input_ids": whole, "completion_mask": learnt})
    four = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    before = 0 if torch.cuda.is_available() else 1024 * status("VmRSS")
    model = AutoModelForCausalLM.from_pretrained(
        place / "base",
        dtype="auto",
        attn_implementation=recipe["attn_implementation"],
        quantization_config=four if recipe.get("load_in_4bit") else None,
        device_map={"": "cuda" if torch.cuda.is_available() else "cpu"},
    )
    lora = LoraConfig(
        r=recipe.get("lora_r", 16),
        lora_alpha=recipe.get("lora_alpha", 32),
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    accumulated = recipe["micro_batch_size"] * recipe["gradient_accumulation_steps"]
    trainer = SFTTrainer(
        model,
        SFTConfig(
            output_dir=str(place / "seeds"),
            per_device_train_batch_size=1,
            gradient_accumulation_steps=accumulated,
            max_steps=steps,
            max_length=None,
            packing=False,
            bf16=bool(recipe.get("bf16")),
            use_cpu=not torch.cuda.is_available(),
            gradient_checkpointing=bool(recipe.get("gradient_checkpointing")),
            optim="adamw_torch",
            save_strategy="no",
            report_to="none",
            logging_steps=1,
        ),
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
        peft_config=lora if recipe.get("adapter") else None,
    )
    meter = Meter(trainer, place / "seeds", before)
    trainer.add_callback(meter)
    trainer.train()
    return read_json(place / "seeds/meter.json")


def rate(found: dict[str, Any]) -> float:
    """Tokens a second, without padding and without the first steps."""
    return sum(found["tokens"][WARM:]) / sum(found["seconds"][WARM:])


def main() -> None:
    """Measure both ways and write figures.json."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example:\n  python bench/gpu.py recipes/stage1.yml --config gemma-2-9b --steps 20",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--config", help="the backbone's config.json, or a family of the planner's")
    parser.add_argument("--gpu", choices=GPUS, help="which one this is, for MFU")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=400, help="mean length of a row")
    parser.add_argument(
        "--ways", nargs="+", choices=("recipe", "seeds"), default=["recipe", "seeds"]
    )
    parser.add_argument(
        "--set", type=setting, action="append", default=[], metavar="KEY=VALUE", help="as if so"
    )
    parser.add_argument("--out", type=Path, default=Path("outputs/bench"))
    args = parser.parse_args()
    if args.steps <= WARM:
        raise UserError(f"--steps {args.steps}: the first {WARM} are not counted; name more")

    recipe = read_plan(args.recipe) | dict(args.set)
    recipe.setdefault("gradient_accumulation_steps", 1)
    config = shape_of(args.recipe, recipe, args.config)
    place = args.out.resolve()
    place.mkdir(parents=True, exist_ok=True)
    batch = recipe["micro_batch_size"] * recipe["gradient_accumulation_steps"]
    packed = recipe["sequence_len"] // args.tokens + 1 if recipe.get("sample_packing") else 1
    count = batch * packed * args.steps
    write_records(place / "rows.jsonl", rows(count, args.tokens, recipe["sequence_len"]))
    base(place / "base", config, recipe)
    ways = {"recipe": by_recipe, "seeds": by_seeds}
    figures: dict[str, Any] = {"file": args.recipe.as_posix(), "steps": args.steps}
    for way in args.ways:
        found = ways[way](place, recipe, args.steps)
        figures[way] = {"tokens_a_second": rate(found), "held_gib": found["held"] / 2**30}
    step, held = account(config, recipe, "none", 1, args.recipe)
    length = sum(found["tokens"]) / count
    if args.gpu:
        for way in args.ways:
            done = figures[way]["tokens_a_second"] * work(step, config, length)
            figures[way]["mfu"] = done / GPUS[args.gpu].speed
    if "recipe" in args.ways:
        expected = (sum(held.values()) - CONTEXT) / 2**30
        figures["planned_gib"] = expected
        figures["planner_error"] = expected / figures["recipe"]["held_gib"] - 1
    if len(args.ways) == 2:
        both = [figures[way]["tokens_a_second"] for way in ("recipe", "seeds")]
        figures["times_the_seeds"] = both[0] / both[1]
    write_json(place / "figures.json", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    entry(main)
