"""What a recipe asks of this machine: a GPU large enough, its driver, compiled attention, nvcc.

All is asked before anything is loaded; each check raises `UserError` with one sentence.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from torch.utils import cpp_extension
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from core.errors import UserError
from recipes.planner.costs import GIB, states, weights
from recipes.planner.dry_run import Step

KERNEL = "kernels-community--flash-attn2"  # what transformers takes from the hub without flash-attn
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
        raise UserError(
            f"{recipe}: no GPU here, and the recipe asks for one ({', '.join(wants)}); {no_gpu()}"
        )
    # bitsandbytes 0.50 repacks 4-bit weights for a CPU's inference and has no gradient through that
    if cfg.get("load_in_4bit") and cfg.get("test_datasets") and not torch.cuda.is_available():
        raise UserError(
            f"{recipe}: on a CPU an evaluation spoils the gradients of 4-bit weights; take out "
            "test_datasets"
        )


def no_gpu() -> str:
    """Why torch sees no GPU, and what helps."""
    try:
        torch.cuda.init()
        said = "it lists none"
    except (AssertionError, RuntimeError) as error:
        said = str(error).partition(". ")[0].strip().partition("\n")[0]
    if "too old" in said:
        return f"{said}: update the driver, of which CUDA {torch.version.cuda} wants a newer one"
    return f"on a CPU use recipes/tiny/stage1.yml and recipes/tiny/stage2.yml (torch says: {said})"


def require_attention(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where compiled attention is asked for and cannot be had."""
    if cfg.get("attn_implementation") != "flash_attention_2":
        return
    recipe = cfg.get("axolotl_config_path")
    if find_spec("flash_attn"):
        try:
            import_module("flash_attn")
        except (ImportError, OSError) as error:
            said = str(error).partition("\n")[0]
            raise UserError(
                f"{recipe}: the flash-attn installed here does not load with torch "
                f"{torch.__version__} ({said}); build it against this torch, or uninstall it, and "
                "the hub's kernel takes its place"
            ) from None
    elif constants.HF_HUB_OFFLINE and not [*Path(constants.HF_HUB_CACHE).glob(f"*{KERNEL}")]:
        raise UserError(
            f"{recipe}: flash-attn is not installed, and its kernel cannot be fetched from the hub "
            "while HF_HUB_OFFLINE is set; unset it for the first run"
        )


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
    config = AutoConfig.from_pretrained(
        str(cfg["base_model"]), revision=cfg.get("revision_of_model")
    )
    _, memory = torch.cuda.mem_get_info()
    require_room(cfg, config.get_text_config(), memory)
