"""Whether a run is what its recipe asks for: the parts it names, its steps, its learning rate.

PEFT is content where one of several names meets a layer, and with none where layers are to be
trained in full; Axolotl freezes all but what matches, which may be nothing.

Axolotl estimates the steps before there is a trainer, and rounds down: by packs of another draw, by
rows over all epochs where the trainer rounds up each. `num_epochs: 5` of 33 rows in batches of 32
ended after 3 epochs. Without its estimate transformers counts the batches of an epoch itself.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import torch
from axolotl.utils.freeze import LayerNamePattern
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from transformers import TrainerCallback
from transformers.optimization import GreedyLR

from core.errors import UserError, refusing


def names(value: Any) -> list[str]:
    """What a key names: a list, or one name alone."""
    return [value] if isinstance(value, str) else list(value or [])


def require_layers(cfg: Any, model: nn.Module) -> None:
    """Raise `UserError` unless each name that an adapter is for meets a part of the bare model."""
    modules = dict(model.named_modules(remove_duplicate=False))
    parameters = [name for name, _ in model.named_parameters()]
    layers = {name for name, module in modules.items() if not any(module.children())}
    classes = {type(module).__name__ for module in modules.values()}
    if cfg.adapter:
        targets = cfg.lora_target_modules
        if isinstance(targets, str):  # one expression for full names, or a word of PEFT's own
            targets = [] if targets == "all-linear" else [targets]
            require_met(cfg, "lora_target_modules", targets, layers, re.fullmatch)
        else:
            require_met(cfg, "lora_target_modules", names(targets), layers, ends_with)
        for key, meets, among in (
            ("lora_exclude_modules", ends_with, layers),
            ("lora_modules_to_save", lambda name, module: module.endswith(name), modules),
            ("lora_target_parameters", ends_with, parameters),
            ("lora_rank_pattern", fits_pattern, layers),
            ("lora_alpha_pattern", fits_pattern, layers),
        ):
            require_met(cfg, key, names(cfg[key]), among, meets)
        count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
        indices = cfg.peft_layers_to_transform
        indices = [indices] if isinstance(indices, int) else list(indices or [])
        if count and (over := [one for one in indices if not 0 <= one < count]):
            raise UserError(
                f"{cfg.axolotl_config_path}: peft_layers_to_transform names layer {over[0]}, and "
                f"the model has {count}, counted from 0; name layers that it has"
            )
    groups = [name for group in cfg.lr_groups or [] for name in names(group["modules"])]
    require_met(cfg, "lr_groups", groups, parameters, lambda name, one: name in one)
    wrapped = names((cfg.fsdp_config or {}).get("transformer_layer_cls_to_wrap"))
    wrapped = [one.strip() for name in wrapped for one in name.split(",")]
    require_met(cfg, "fsdp_config.transformer_layer_cls_to_wrap", wrapped, classes, str.__eq__)


def require_unfrozen(cfg: Any, model: nn.Module) -> None:
    """Raise `UserError` unless each of `unfrozen_parameters` meets a weight that can learn."""
    parameters = [name for name, _ in model.named_parameters()]
    require_met(
        cfg,
        "unfrozen_parameters",
        names(cfg.unfrozen_parameters),
        parameters,
        lambda name, parameter: LayerNamePattern(name).match(parameter),
    )


def ends_with(name: str, module: str) -> bool:
    """Whether a module is of a name, by its last parts, as PEFT matches targets."""
    return module == name or module.endswith(f".{name}")


def fits_pattern(name: str, module: str) -> bool:
    """Whether a key of a pattern is for a module, as PEFT matches it."""
    return bool(re.match(rf"(.*\.)?({name})$", module))


def require_met(
    cfg: Any, key: str, wanted: list[str], among: Iterable[str], meets: Callable[[str, str], Any]
) -> None:
    """Raise `UserError` for the names of a key that meet nothing."""
    among = sorted(among)
    try:
        lost = [name for name in wanted if not any(meets(name, one) for one in among)]
    except re.error as error:
        raise UserError(
            f"{cfg.axolotl_config_path}: {key} is no regular expression ({error}); correct it"
        ) from None
    if lost:
        parts = sorted({part for one in among for part in one.split(".")} - {""})
        near = difflib.get_close_matches(lost[0].rpartition(".")[2], parts, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(among[:3])} and others"
        raise UserError(
            f"{cfg.axolotl_config_path}: {key}: the model has no {', '.join(lost)}; {hint}"
        )


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
