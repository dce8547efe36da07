"""Hold the planner's account of a training step to the memory that real steps on a CPU allocate.

Run as: python bench/calibrate.py

Real means: the model's own forward and backward passes and AdamW, in float32 with eager attention;
torch's profiler reports every allocation and release of its CPU allocator, and the highest sum is
the peak. A GPU's allocator, flash attention and bitsandbytes are not covered by this.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from recipes.dryrun import adapt, batch_of, dry_run
from recipes.memory import states, training

WIDTHS = {"11M": (256, 4), "36M": (512, 6), "99M": (768, 12)}  # width, layers
RECIPE = {"micro_batch_size": 2, "sequence_len": 512, "optimizer": "adamw_torch"}
LORA = {"adapter": "lora", "lora_r": 16, "lora_alpha": 32, "lora_target_linear": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "whole rows": {},
    "checkpointing": {"gradient_checkpointing": True},
    "accumulation": {"gradient_accumulation_steps": 2, "gradient_checkpointing": True},
    "LoRA": LORA,
    "one short row": {"micro_batch_size": 1, "sequence_len": 64},  # fullest at the optimizer's turn
}


def shape(width: int, layers: int, kind: str = "gemma2", vocabulary: int = 16_000):
    """The configuration of a small model; kinds are those of transformers."""
    heads = width // 64
    return AutoConfig.for_model(
        kind,
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        head_dim=64,
    )


def planned(config: PretrainedConfig, recipe: dict[str, Any]) -> float:
    """Bytes that the planner expects at the fullest moment."""
    step = dry_run(config, recipe)
    return sum(training(step, recipe, states(step, recipe)).values())


def real(config: PretrainedConfig, recipe: dict[str, Any]) -> float:
    """Bytes that two real optimizer steps allocate at the fullest moment."""
    config._attn_implementation = "eager"
    rows, tokens = batch_of(recipe)
    torch.manual_seed(0)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model = adapt(model, recipe).train()
        if recipe.get("gradient_checkpointing"):
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-5, foreach=False)
        ids = torch.randint(config.vocab_size, (rows, tokens))
        places = torch.arange(tokens).expand(rows, tokens)
        for _ in range(2):
            for _ in range(recipe.get("gradient_accumulation_steps") or 1):
                model(
                    input_ids=ids, position_ids=places, labels=ids, use_cache=False
                ).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    events = watched.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


def main() -> None:
    """Print planned and measured peaks side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python bench/calibrate.py --sizes 11M 36M",
    )
    parser.add_argument("--sizes", nargs="+", choices=WIDTHS, default=list(WIDTHS))
    args = parser.parse_args()
    table = Table("size", "step", "planned MiB", "measured MiB", "error")
    for size in args.sizes:
        for name, change in VARIANTS.items():
            config = shape(*WIDTHS[size])
            expected, found = planned(config, RECIPE | change), real(config, RECIPE | change)
            error = f"{expected / found - 1:+.1%}"
            table.add_row(size, name, f"{expected / 2**20:.0f}", f"{found / 2**20:.0f}", error)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
