"""Whether full fine-tuning keeps small steps, which bfloat16 weights alone would round away.

A bfloat16 number has 8 bits of precision: one of size 0.02 lies 6e-5 to 1.2e-4 from the next, and a
step of less than half of that leaves it where it was. Adam's steps are about the learning rate. So
`bf16: true` without an adapter needs one of:

| source                                   | what it keeps                                         |
|------------------------------------------|-------------------------------------------------------|
| optimizer: optimi_adamw                  | what rounding cut off, for the next step (Kahan)      |
| adamw_torch_8bit or adamw_torch_4bit     | the mean: it rounds up or down by chance              |
|   with optim_args bf16_stochastic_round  |                                                       |
| deepspeed (ZeRO 1, 2, 3), FSDP version 1 | float32 weights next to the bfloat16 ones           |

FSDP version 2 keeps none: neither Axolotl's wrapper nor accelerate's own, which says that it does
(tests/recipes/test_precision.py).
An adapter trains in float32 by PEFT's own doing.
"""

from typing import Any

import torch

USUAL = 0.02  # standard deviation of a weight, as models of this kind start and about remain
ENOUGH = 0.99  # share of weights that a step must move
STOCHASTIC = ("adamw_torch_8bit", "adamw_torch_4bit")


def moved(rate: float, size: float = USUAL) -> float:
    """Share of bfloat16 weights, normal with standard deviation `size`, that a step of rate moves.

    By 65,536 evenly spaced quantiles, so that it is the same number each time.
    """
    places = (torch.arange(65_536, dtype=torch.float64) + 0.5) / 65_536
    weights = (size * torch.special.ndtri(places)).to(torch.bfloat16)
    return float((weights - rate != weights).double().mean())


def fsdp_version(cfg: dict[str, Any]) -> int | None:
    """The version of FSDP that a recipe trains by, 1 where it names none; None without FSDP."""
    if not (config := cfg.get("fsdp_config")):
        return None
    named = cfg.get("fsdp_version") or config.get("version") or config.get("fsdp_version")
    return int(named or 1)


def source(cfg: dict[str, Any]) -> str | None:
    """Where a recipe keeps what bfloat16 loses, in a few words; None where nothing does."""
    given = cfg.get("optim_args") or {}
    if isinstance(given, str):
        given = dict(pair.split("=", 1) for pair in given.replace(" ", "").split(",") if pair)
    options = {key: str(value).lower() for key, value in given.items()}
    optimizer = cfg.get("optimizer")
    if cfg.get("adapter"):
        return "the adapter's float32 weights"
    if not (cfg.get("bf16") or cfg.get("bfloat16")):
        return "float32 weights"
    if cfg.get("deepspeed"):
        return "DeepSpeed's float32 weights"
    if fsdp_version(cfg) == 1:
        return "FSDP's float32 weights"
    if optimizer == "optimi_adamw" and options.get("kahan_sum") != "false":
        return "Kahan summation"
    if optimizer in STOCHASTIC and options.get("bf16_stochastic_round") == "true":
        return "stochastic rounding"
    return None


def lost_steps(cfg: dict[str, Any]) -> str | None:
    """A sentence where a full fine-tuning would lose most of its steps to rounding."""
    rate = float(cfg.get("learning_rate") or 0)
    if source(cfg) is None and (share := moved(rate)) < ENOUGH:
        return (
            f"a step of {rate:g} by {cfg.get('optimizer')} moves {share:.0%} of bfloat16 weights; "
            "set optimizer: optimi_adamw, or train by DeepSpeed, which keeps float32 weights "
            "(recipes/checks/precision.py lists what else does)"
        )
    return None
