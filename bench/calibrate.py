"""Hold the planner's account of a training step to the memory that real steps on a CPU allocate.

Run as: python bench/calibrate.py

Real means: the model's own forward and backward passes and AdamW, in float32 with eager attention.
Allocated: torch's profiler reports every allocation and release of its CPU allocator, and the
highest sum is the peak. Resident: what the kernel counts for a process of its own, above which the
planner adds a floor, the same process with a model of next to nothing. A GPU's allocator, flash
attention and bitsandbytes are not covered by this.
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from bench.meter import peak
from recipes.planner.costs import states, training
from recipes.planner.dry_run import adapt, batch_of, dry_run, loss_of

# width, layers
WIDTHS = {"11M": (256, 4), "36M": (512, 6), "99M": (768, 12), "303M": (1152, 17)}
RECIPE = {"micro_batch_size": 2, "sequence_len": 256, "optimizer": "adamw_torch"}
LORA = {"adapter": "lora", "lora_r": 16, "lora_alpha": 32, "lora_target_linear": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "full rows": {},
    "checkpointing": {"gradient_checkpointing": True},
    "accumulation": {"gradient_accumulation_steps": 2, "gradient_checkpointing": True},
    "LoRA": LORA,
    "ORPO": {"rl": "orpo", "micro_batch_size": 1},
    "one short row": {"micro_batch_size": 1, "sequence_len": 64},  # fullest at the optimizer's turn
}
EMPTY = ((128, 1, "gemma2", 256), VARIANTS["one short row"])  # its step leaves the floor
# glibc keeps freed blocks of up to 32 MiB unless given a size, above which all go back at once
GLIBC = "MALLOC_MMAP_THRESHOLD_"


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


def work(config: PretrainedConfig, recipe: dict[str, Any]) -> None:
    """Two real optimizer steps."""
    config._attn_implementation = "eager"
    config.use_cache = False
    rows, tokens = batch_of(recipe)
    torch.manual_seed(0)
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
            loss_of(model, recipe, ids, places).backward()
        optimizer.step()
        optimizer.zero_grad()


def allocated(config: PretrainedConfig, recipe: dict[str, Any]) -> float:
    """Bytes that two real optimizer steps allocate at the fullest moment."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        work(config, recipe)
    events = watched.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = highest = 0
    for _, change in changes:
        held += change
        highest = max(highest, held)
    return highest


def watch(outline: tuple, change: dict[str, Any]) -> float:
    """Bytes that this process has held at most, two real optimizer steps done."""
    work(shape(*outline), RECIPE | change)
    return peak()


def resident(outline: tuple, change: dict[str, Any], keeps: bool = False) -> float:
    """What `watch` finds in a new process, which returns freed blocks unless it `keeps` them."""
    os.environ.pop(GLIBC, None)  # read when a process starts
    if not keeps:
        os.environ[GLIBC] = "65536"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        return alone.submit(watch, outline, change).result()


def main() -> None:
    """Print planned and measured peaks side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python bench/calibrate.py --sizes 11M 36M",
    )
    parser.add_argument("--sizes", nargs="+", choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--steps", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    args = parser.parse_args()
    console = Console(width=110, highlight=False)
    floor = resident(*EMPTY)
    console.print(f"floor: {floor / 2**20:.0f} MiB; all figures in MiB")
    table = Table(
        *("size", "step", "planned", "allocated", "error"),
        *("and floor", "resident", "error", "where glibc keeps"),
    )
    for size in args.sizes:
        for name in args.steps:
            outline, change = WIDTHS[size], VARIANTS[name]
            expected = planned(shape(*outline), RECIPE | change)
            found = allocated(shape(*outline), RECIPE | change)
            full = resident(outline, change)
            figures = (expected, found, expected + floor, full, resident(outline, change, True))
            mib = [f"{figure / 2**20:.0f}" for figure in figures]
            errors = (f"{expected / found - 1:+.1%}", f"{(expected + floor) / full - 1:+.1%}")
            line = (size, name, *mib[:2], errors[0], *mib[2:4], errors[1], mib[4])
            console.print(*line, sep=" | ")
            table.add_row(*line)
    console.print(table)


if __name__ == "__main__":
    main()
