"""Tiny models of every family, and how far apart the gradients of two ways to train them are."""

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

SMALL = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CAP = {"final_logit_softcapping": 3.0}
MORE = {
    "gemma2": {**CAP, "attn_logit_softcapping": 2.0},
    "gemma3_text": CAP,
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1},
}
LORA = {"r": 4, "target_modules": ["q_proj", "o_proj", "lm_head"], "task_type": "CAUSAL_LM"}
Found = tuple[Tensor, dict[str, Tensor]]


def model_of(family: str, lora: bool = False, window: int | None = None) -> nn.Module:
    """A random model in training; with `lora` under an adapter that is no zero."""
    torch.manual_seed(0)
    settings = SMALL | MORE.get(family, {}) | ({"sliding_window": window} if window else {})
    config = AutoConfig.for_model(family, **settings)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    if lora:
        names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        targets = [name for name in LORA["target_modules"] if name in names]
        model = get_peft_model(model, LoraConfig(**LORA | {"target_modules": targets}))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_()
    return model.train()


def loss_and_gradients(
    model: nn.Module, batches: list[dict[str, Any]], count: Tensor | None
) -> Found:
    """The loss of some batches and all gradients, over `count` learnt tokens."""
    model.zero_grad()
    losses = [model(**batch, num_items_in_batch=count).loss for batch in batches]
    loss = torch.stack(losses).sum()
    loss.backward()
    named = model.named_parameters()
    return loss.detach(), {n: p.grad.clone() for n, p in named if p.grad is not None}


def apart(one: Found, other: Found) -> float:
    """The largest relative difference of two losses, or of two gradients of one weight."""
    (loss, gradients), (wanted, truth) = one, other
    assert gradients.keys() == truth.keys()
    norms = [float((gradients[n] - g).norm() / (g.norm() + 1e-12)) for n, g in truth.items()]
    return max(float((loss - wanted).abs() / wanted), *norms)
