"""How long a run is and what rate it reaches: what the recipe asks, and what the trainer does.

Axolotl estimates the steps before there is a trainer, and rounds down: by packs of another draw, by
rows over all epochs where the trainer rounds up each. `num_epochs: 5` of 33 rows in batches of 32
ended after 3 epochs. Without its estimate transformers counts the batches of an epoch itself.
"""

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from transformers import TrainerCallback
from transformers.optimization import GreedyLR

from core.errors import UserError, refusing

REACHED = 0.999  # share of the rate from which on it counts as reached


def counted(cfg: Any) -> dict[str, Any]:
    """Training arguments by which transformers counts steps, and the warm-up's share of them."""
    made: dict[str, Any] = {} if cfg.max_steps else {"max_steps": -1}
    if cfg.warmup_steps is not None:
        made["warmup_steps"] = cfg.warmup_steps  # Axolotl makes two of one
    elif cfg.warmup_ratio is not None and cfg.warmup_ratio < 1:
        made["warmup_steps"] = cfg.warmup_ratio  # below 1 it is a share
    return made


class AsAsked(TrainerCallback):
    """Holds steps and rate against the recipe when all is made, before the first step."""

    def __init__(self, cfg: Any, trainer: Any):
        self.cfg, self.trainer = cfg, trainer

    def on_train_begin(
        self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any
    ) -> None:
        """End the run with a sentence where it would be another than the recipe asks for."""
        with refusing():
            # processes that share out sequences take the same batch in turn
            batches = len(train_dataloader) * self.trainer.get_sp_size()
            check_steps(self.cfg, state.max_steps, batches)
            check_rate(self.cfg, self.trainer, state.max_steps)


def check_steps(cfg: Any, steps: int, batches: int) -> None:
    """Raise `UserError` unless `steps` are those of the recipe, for `batches` an epoch."""
    an_epoch = math.ceil(batches / cfg.gradient_accumulation_steps)
    asked = cfg.max_steps or math.ceil(cfg.num_epochs * an_epoch)
    if steps != asked:
        raise UserError(
            f"{cfg.axolotl_config_path}: the recipe asks for {asked} steps and the trainer would "
            f"take {steps}, {steps / an_epoch:.2f} epochs; take out the plugin that changes them"
        )


def check_rate(cfg: Any, trainer: Any, steps: int) -> None:
    """Raise `UserError` where a run of `steps` never comes to its learning rate."""
    rate, peak = float(cfg.learning_rate), peak_rate(trainer, steps)
    if peak < REACHED * rate:
        warmup = trainer.args.get_warmup_steps(steps)
        raise UserError(
            f"{cfg.axolotl_config_path}: the rate comes to {peak:.3g} at most and never to "
            f"learning_rate {rate:g}: of {steps} steps the first {warmup} warm up; lower the "
            "warm-up or train longer"
        )


def peak_rate(trainer: Any, steps: int) -> float:
    """The highest rate of the trainer's schedule, found by stepping through a copy of it."""
    rate, made = trainer.args.learning_rate, trainer.lr_scheduler
    stand_in = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    try:
        trainer.lr_scheduler = None  # or the trainer would give back the one it has
        schedule = trainer.create_scheduler(steps, optimizer=stand_in)
    finally:
        trainer.lr_scheduler = made
    if isinstance(
        schedule, ReduceLROnPlateau | GreedyLR
    ):  # what follows the loss starts at its rate
        return rate
    rates = [stand_in.param_groups[0]["lr"]]
    for _ in range(steps - 1):
        stand_in.step()
        schedule.step()
        rates.append(stand_in.param_groups[0]["lr"])
    return max(rates)
