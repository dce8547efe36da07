"""Names in a recipe that must meet parts of the model, or they would act on nothing in silence.

PEFT is content where one of several names meets a layer, and with none where layers are to be
trained in full; Axolotl freezes all but what matches, which may be nothing.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

from axolotl.utils.freeze import LayerNamePattern
from torch import nn

from core.errors import UserError


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
            require(cfg, "lora_target_modules", targets, layers, re.fullmatch)
        else:
            require(cfg, "lora_target_modules", names(targets), layers, ends)
        for key, meets, among in (
            ("lora_exclude_modules", ends, layers),
            ("lora_modules_to_save", lambda name, module: module.endswith(name), modules),
            ("lora_target_parameters", ends, parameters),
            ("lora_rank_pattern", pattern, layers),
            ("lora_alpha_pattern", pattern, layers),
        ):
            require(cfg, key, names(cfg[key]), among, meets)
        count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
        indices = cfg.peft_layers_to_transform
        indices = [indices] if isinstance(indices, int) else list(indices or [])
        if count and (over := [one for one in indices if not 0 <= one < count]):
            raise UserError(
                f"{cfg.axolotl_config_path}: peft_layers_to_transform names layer {over[0]}, and "
                f"the model has {count}, counted from 0; name layers that it has"
            )
    groups = [name for group in cfg.lr_groups or [] for name in names(group["modules"])]
    require(cfg, "lr_groups", groups, parameters, lambda name, one: name in one)
    wrapped = names((cfg.fsdp_config or {}).get("transformer_layer_cls_to_wrap"))
    wrapped = [one.strip() for name in wrapped for one in name.split(",")]
    require(cfg, "fsdp_config.transformer_layer_cls_to_wrap", wrapped, classes, str.__eq__)


def require_unfrozen(cfg: Any, model: nn.Module) -> None:
    """Raise `UserError` unless each of `unfrozen_parameters` meets a weight that can learn."""
    parameters = [name for name, _ in model.named_parameters()]
    require(
        cfg,
        "unfrozen_parameters",
        names(cfg.unfrozen_parameters),
        parameters,
        lambda name, parameter: LayerNamePattern(name).match(parameter),
    )


def ends(name: str, module: str) -> bool:
    """Whether a module is of a name, by its last parts, as PEFT matches targets."""
    return module == name or module.endswith(f".{name}")


def pattern(name: str, module: str) -> bool:
    """Whether a key of a pattern is for a module, as PEFT matches it."""
    return bool(re.match(rf"(.*\.)?({name})$", module))


def require(
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
