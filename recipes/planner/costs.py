"""The arithmetic of a plan: bytes of weights, states and caches, floating-point work and time.

All functions are pure; figures of machines and methods carry their source. What else one
training step holds comes from recipes/planner/dry_run.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from recipes.planner.dry_run import Step

GIB = 2**30
# CUDA's context, cuBLAS workspaces and the allocator's rounding: an assumption, not measured
CONTEXT = 1.0 * GIB
# a block of 64 weights shares an 8-bit scale, 256 scales share a float32 (double quantisation):
# Dettmers et al. 2023, QLoRA, section 3
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
# two moments of 8 bits, a float32 scale for 256 of each: Dettmers et al. 2022, section 2
EIGHT_BIT_ADAM = 2 * (1 + 4 / 256)
FLOAT32_ADAM = 8.0


@dataclass(frozen=True)
class Gpu:
    """A GPU: its memory as torch reports it, its dense bfloat16 speed by the data sheet."""

    name: str
    memory: float
    """bytes"""
    speed: float
    """FLOP a second"""


GPUS = {
    "h200": Gpu("H200", 139.8 * GIB, 989e12),
    "h100": Gpu("H100 80 GB", 79.2 * GIB, 989e12),
    "a100-80": Gpu("A100 80 GB", 79.2 * GIB, 312e12),
    "a100-40": Gpu("A100 40 GB", 39.4 * GIB, 312e12),
    "4090": Gpu("RTX 4090", 23.5 * GIB, 165e12),
}
SHARDS = ("none", "zero1", "zero2", "zero3", "fsdp2")


def element(recipe: dict[str, Any]) -> int:
    """Bytes of an unquantised weight: 2 with bf16, else 4."""
    return 2 if recipe.get("bf16") else 4


def weights(step: Step, recipe: dict[str, Any]) -> float:
    """Bytes of all weights; embeddings, head and norms are never quantised."""
    one = element(recipe)
    linear = NF4 if recipe.get("load_in_4bit") else 1 if recipe.get("load_in_8bit") else one
    return step.linear * linear + step.kept * one + (step.trained_bytes if step.adapter else 0)


def states(step: Step, recipe: dict[str, Any]) -> float | None:
    """Bytes of the optimizer's states, or None for an optimizer that is not known here.

    Torch keeps moments in the weights' own precision; optimi adds what rounding cut off (Kahan) to
    bfloat16 weights; transformers leaves bitsandbytes' moments of embeddings in 32 bits.
    """
    name, one = recipe.get("optimizer", "adamw_torch"), step.trained_bytes / step.trained
    if name in ("adamw_torch", "adamw_torch_fused"):
        return step.trained * 2 * one
    if name == "optimi_adamw":
        return step.trained * (2 * one + (one if one == 2 else 0))
    if name == "adamw_torch_8bit":
        return step.trained * EIGHT_BIT_ADAM
    if name in ("adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit"):
        wide = 0 if step.adapter else step.embedding
        return (step.trained - wide) * EIGHT_BIT_ADAM + wide * FLOAT32_ADAM
    if name in ("paged_adamw_32bit", "adamw_bnb"):
        return step.trained * FLOAT32_ADAM
    return None


def training(
    step: Step, recipe: dict[str, Any], state_bytes: float, shard: str = "none", gpus: int = 1
) -> dict[str, float]:
    """Bytes on one GPU at the fullest moment, by kind.

    Sharding divides by the number of GPUs as in Rajbhandari et al. 2020, ZeRO, section 5: stage 1
    states, stage 2 gradients too, stage 3 and FSDP weights too, which come back layer by layer.
    DeepSpeed keeps trained weights in float32 where it computes in bfloat16, FSDP2 does not.
    """
    held = dict(step.held)
    if sum(held.values()) < step.trained_bytes:  # fullest when the optimizer is at work
        held = {"gradients": step.trained_bytes, "activations": 0, "logits": 0}
    account = {"weights": weights(step, recipe), "optimizer": state_bytes, **held}
    if recipe.get("load_in_4bit"):
        account["activations"] += step.largest_linear * 2  # one weight at a time is unpacked
    if shard == "none":
        return account
    if shard != "fsdp2" and element(recipe) == 2 and not step.adapter:
        state_bytes = step.trained * 12  # float32 weights and two moments
    account["optimizer"] = state_bytes / gpus
    if shard in ("zero2", "zero3", "fsdp2"):
        account["gradients"] /= gpus
    if shard in ("zero3", "fsdp2"):
        # the layer at work, the next one on its way, and the table that is also the head
        gathered = 2 * step.largest_layer + step.embedding
        account["weights"] = account["weights"] / gpus + gathered * element(recipe)
    return account


@dataclass(frozen=True)
class Scoring:
    """What scoring holds: bytes of weights, of the head's copy and of one prompt; how many fit."""

    weights: float
    head: float
    prompt: float
    prompts: int


def scoring(step: Step, config: PretrainedConfig, bits: int, length: int, gpu: Gpu) -> Scoring:
    """What scoring with the merged weights at 16, 8 or 4 bits holds on one GPU.

    Logits are computed from a float32 copy of the head (eval/engines/hf.py). A prompt of `length`
    tokens holds keys and values of all layers in bfloat16 and one layer's widest activations;
    sliding windows would hold less.
    """
    linear = {16: 2.0, 8: 1.0, 4: NF4}[bits]
    cache = 2 * config.num_hidden_layers * config.num_key_value_heads * head_width(config) * 2
    layer = (2 * config.intermediate_size + 4 * config.hidden_size) * 2
    size, head = step.linear * linear + step.kept * 2, step.embedding * 4
    prompt, room = length * (cache + layer), gpu.memory - CONTEXT - size - head
    return Scoring(size, head, prompt, max(0, int(room // prompt)))


def head_width(config: PretrainedConfig) -> int:
    """The width of an attention head."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def work(step: Step, config: PretrainedConfig, length: float) -> float:
    """Model FLOP a trained token in rows of a mean length.

    6 a weight and 12 LHQT for attention (Chowdhery et al. 2022, PaLM, appendix B); a frozen weight
    needs no gradient of its own, so 4. A table that is only looked up does no work. Recomputation
    by checkpointing does not count.
    """
    looked_up = 0 if getattr(config, "tie_word_embeddings", True) else step.embedding
    heads = config.num_attention_heads * head_width(config)
    attention = 12 * config.num_hidden_layers * heads * length
    per_weight = 4 if step.adapter else 6
    return per_weight * (step.linear + step.kept - looked_up) + 6 * step.adapter + attention


def speed(step: Step, config: PretrainedConfig, length: float, gpu: Gpu, mfu: float) -> float:
    """Tokens a second at a share `mfu` of the GPU's speed."""
    return mfu * gpu.speed / work(step, config, length)


def steps(recipe: dict[str, Any], rows: int, tokens: float, gpus: int) -> int:
    """Optimizer steps of a run: by packs or trees, filled to 95 % as an assumption, or by rows."""
    accumulated = recipe.get("gradient_accumulation_steps") or 1
    if recipe.get("max_steps"):
        return recipe["max_steps"]
    each = recipe["micro_batch_size"] * gpus
    amount = rows
    if recipe.get("sample_packing") or recipe.get("shared_prefix"):
        amount = tokens / (0.95 * recipe["sequence_len"])
    batches = -(-amount // each)
    return int(-(-batches // accumulated) * (recipe.get("num_epochs") or 1))
