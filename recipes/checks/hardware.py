"""What a recipe asks of this machine: a GPU large enough, its driver, compiled wheels, nvcc.

All is asked before anything is loaded; each check raises `UserError` with one sentence.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from torch.utils import cpp_extension
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from core.cuda import flash_attn_fault, require_bitsandbytes, without_gpu
from core.errors import UserError
from recipes.planner.costs import GIB, states, weights
from recipes.planner.dry_run import Step

KERNEL = "kernels-community--flash-attn2"  # what transformers takes from the hub without flash-attn
# optimizers by their names: those of bitsandbytes, and those of torch and torchao that look alike
BITSANDBYTES, OTHERS = re.compile("bnb|paged|8bit"), re.compile("torch|^ao_")
SPREADS = ("deepspeed", "fsdp_config", "unfrozen_parameters")  # a GPU then holds less than all


def require_device(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the recipe asks for a GPU and there is none that works."""
    recipe = cfg.get("axolotl_config_path")
    wants = [
        key
        for key, asked in (
            ("bf16", cfg.get("bf16") is True),
            ("attn_implementation", "flash" in str(cfg.get("attn_implementation"))),
            ("tf32", cfg.get("tf32") is True),
            ("deepspeed", bool(cfg.get("deepspeed"))),
        )
        if asked
    ]
    if wants and not torch.cuda.is_available():
        said = without_gpu()
        raise UserError(
            f"{recipe}: no GPU here, and the recipe asks for one ({', '.join(wants)}); on a CPU "
            f"use recipes/tiny/stage1.yml and recipes/tiny/stage2.yml (torch says: {said})"
        )
    # bitsandbytes 0.50 repacks 4-bit weights for a CPU's inference and has no gradient through that
    if cfg.get("load_in_4bit") and cfg.get("test_datasets") and not torch.cuda.is_available():
        raise UserError(
            f"{recipe}: on a CPU an evaluation spoils the gradients of 4-bit weights; take out "
            "test_datasets"
        )


def require_attention(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where compiled attention is asked for and cannot be had."""
    if cfg.get("attn_implementation") != "flash_attention_2":
        return
    recipe = cfg.get("axolotl_config_path")
    if find_spec("flash_attn"):
        if said := flash_attn_fault():
            raise UserError(
                f"{recipe}: the flash-attn installed here does not load with torch "
                f"{torch.__version__} ({said}); build it against this torch, or uninstall it, and "
                "the hub's kernel takes its place"
            )
    elif constants.HF_HUB_OFFLINE and not [*Path(constants.HF_HUB_CACHE).glob(f"*{KERNEL}")]:
        raise UserError(
            f"{recipe}: flash-attn is not installed, and its kernel cannot be fetched from the hub "
            "while HF_HUB_OFFLINE is set; unset it for the first run"
        )


def require_quantiser(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where bitsandbytes is asked for and does not load."""
    optimizer = str(cfg.get("optimizer"))
    by_key = [key for key in ("load_in_4bit", "load_in_8bit") if cfg.get(key)]
    if by_key or (BITSANDBYTES.search(optimizer) and not OTHERS.search(optimizer)):
        wanted_by = by_key[0] if by_key else f"optimizer {optimizer}"
        require_bitsandbytes(f"{cfg.get('axolotl_config_path')}: {wanted_by}")


def require_compiler(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where DeepSpeed, which compiles its parts when it runs, finds no nvcc."""
    home = cpp_extension.CUDA_HOME
    if cfg.get("deepspeed") and not (home and (Path(home) / "bin" / "nvcc").is_file()):
        raise UserError(
            f"{cfg.get('axolotl_config_path')}: deepspeed compiles parts of itself and finds no "
            f"nvcc here; install CUDA {torch.version.cuda or ''} with nvcc and set CUDA_HOME, or "
            "take out deepspeed"
        )


def require_room(cfg: dict[str, Any], config: PretrainedConfig, memory: int) -> None:
    """Raise `UserError` where a GPU of `memory` bytes cannot hold weights, gradients and optimizer.

    What a step holds besides is the planner's to say (recipes/plan.py). Where weights or states are
    spread over GPUs or partly frozen nothing is said.
    """
    if any(cfg.get(key) for key in SPREADS):
        return
    needed = least(cfg, config)
    if needed > memory:
        path = cfg.get("axolotl_config_path")
        raise UserError(
            f"{path}: weights, gradients and optimizer alone take {needed / GIB:.1f} GiB, and this "
            f"GPU has {memory / GIB:.1f}; python recipes/plan.py {path} says what to turn"
        )


def least(cfg: dict[str, Any], config: PretrainedConfig) -> float:
    """Bytes that a GPU holds all the time: weights, and what of all weights is trained besides."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    linear = sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )
    total = sum(parameter.numel() for parameter in model.parameters())
    trained = 0 if cfg.get("adapter") else total
    step = Step(
        linear=linear,
        kept=total - linear,
        adapter=0,
        trained=trained,
        embedding=model.get_input_embeddings().weight.numel(),
        largest_layer=0,
        largest_linear=0,
        trained_bytes=trained * (2 if cfg.get("bf16") else 4),
        held={},
    )
    held = weights(step, cfg) + step.trained_bytes
    paged = str(cfg.get("optimizer")).startswith("paged")  # moves to the machine's memory
    return held + ((states(step, cfg) or 0) if trained and not paged else 0)


def require_hardware(cfg: dict[str, Any]) -> None:
    """All of the above for the GPU of this process; nothing where there is none."""
    if not torch.cuda.is_available():
        return
    require_compiler(cfg)
    require_attention(cfg)
    require_quantiser(cfg)
    config = AutoConfig.from_pretrained(
        str(cfg["base_model"]), revision=cfg.get("revision_of_model")
    )
    _, memory = torch.cuda.mem_get_info()
    require_room(cfg, config.get_text_config(), memory)
