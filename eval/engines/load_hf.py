"""Loading a model and its adapters by transformers and PEFT: completely, or not at all."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import is_flash_attn_2_available

from core.cuda import flash_attn_fault
from core.errors import UserError, full_disk
from core.model_folder import why
from core.tree_attention import FAMILIES
from eval.engines import shared_attention
from eval.model_files import ADAPTER_WEIGHTS, require_none_missing, shapes


def load(
    folder: Path, dtype: str, device: torch.device, load_in: str | None = None
) -> tuple[nn.Module, str]:
    """A model with all its weights, and the attention it computes; raises `UserError`.

    `load_in` 4bit or 8bit quantises the linear layers, not the head, as training by QLoRA does.
    """
    more: dict[str, Any] = {}
    if load_in:
        more = {"quantization_config": quantisation(load_in, dtype), "device_map": {"": device}}
    try:
        attention = attention_for(AutoConfig.from_pretrained(folder), dtype, device)
        model, about = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **more,
        )
    except Exception as error:
        if full_disk(error):
            raise
        raise UserError(
            f"{folder}: transformers cannot load it ({why(error)}); does config.json describe "
            "these weights, and is there room for them?"
        ) from error
    # transformers would draw them at random
    require_none_missing(folder, about["missing_keys"])
    compute_as_stored(model)
    return model, attention


def compute_as_stored(model: nn.Module) -> None:
    """Have 4-bit layers compute with their weights as they are stored, on any CPU.

    Where one has AVX512-BF16, bitsandbytes 0.50 packs them anew, with scales rounded to bfloat16,
    and fails at layers whose inputs are no multiple of 64.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def quantisation(load_in: str, dtype: str) -> BitsAndBytesConfig:
    """LLM.int8 for 8 bits; for 4 what Axolotl trains QLoRA on, NF4 with quantised scales."""
    if load_in == "8bit":  # which says at every product that it computes in float16
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )


def with_adapters(model: nn.Module, adapters: Mapping[str, Path]) -> nn.Module:
    """A PEFT model that holds the weights and all adapters, the first of them in use."""
    # not in the environment that vLLM has of its own
    from peft import PeftModel, get_peft_model_state_dict

    loras = None
    for name, folder in adapters.items():
        try:
            if loras is None:
                loras = PeftModel.from_pretrained(model, folder, adapter_name=module(name))
            else:
                loras.load_adapter(folder, adapter_name=module(name))
        except Exception as error:
            raise UserError(
                f"{folder}: PEFT cannot load it ({why(error)}); copy the adapter again"
            ) from error
        # what is missing would stay as it was drawn, what is too much would be left out
        used = get_peft_model_state_dict(
            loras, adapter_name=module(name), save_embedding_layers=False
        )
        odd = sorted(
            n for n in used.keys() ^ shapes(folder / ADAPTER_WEIGHTS).keys() if ".lora_" in n
        )
        if odd:
            raise UserError(
                f"{folder}: {odd[0]} stands in its configuration or its weights alone; copy both "
                "from one training"
            )
    return loras


def module(name: str) -> str:
    """A member's name as a module of torch's may be called: without dots."""
    return name.replace(".", "·")


def attention_for(config: transformers.PretrainedConfig, dtype: str, device: torch.device) -> str:
    """The attention that computes what the model was trained to: sdpa drops Gemma-2's soft-cap."""
    text = config.get_text_config()
    if text.model_type in FAMILIES:
        return shared_attention.NAME
    return plain_attention(config, dtype, device)


def plain_attention(config: transformers.PretrainedConfig, dtype: str, device: torch.device) -> str:
    """The same of those that read a batch, and keep what they have read."""
    text = config.get_text_config()
    if device.type == "cuda" and dtype != "float32" and is_flash_attn_2_available():
        said = flash_attn_fault()
        if said is None:
            return "flash_attention_2"
        print(f"scoring without flash-attn, which does not load ({said})", file=sys.stderr)
    return "eager" if getattr(text, "attn_logit_softcapping", None) else "sdpa"
