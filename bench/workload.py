"""What the scoring bench scores: random prompts of the CCI corpus's shape, by a random model."""

import random
from itertools import permutations
from pathlib import Path

WORDS = 4096
HEAD, QUESTION, OPTION = 24, 60, 38  # tokens of the instruction, a question, each option


def prompts(items: int, orders: int = 1, options: int = 3, seed: int = 1) -> list[list[int]]:
    """Items over dialogues, each with its options in the first so many of their orders."""
    rng = random.Random(seed)

    def some(count: int) -> list[int]:
        return [rng.randrange(100, WORDS) for _ in range(count)]

    made, count, head = [], 0, some(HEAD)
    while count < items:
        talk = [*head, *some(round(rng.lognormvariate(4.85, 0.35)))]
        for _ in range(min(rng.randrange(3, 6), items - count)):
            question, shown = some(QUESTION), [some(OPTION) for _ in range(options)]
            for order in list(permutations(shown))[:orders]:
                made.append([*talk, *question, *(token for option in order for token in option)])
            count += 1
    return made


def save_model(folder: Path, shape: str | None = None) -> dict[str, int]:
    """A random Gemma-2, or a backbone's shape; returns its weights by what they multiply."""
    import torch
    from transformers import AutoModelForCausalLM, Gemma2Config

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=WORDS,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=11,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=96,
        query_pre_attn_scalar=96,
        sliding_window=256,
        max_position_embeddings=2048,
        initializer_range=0.05,
    )
    if shape:
        from recipes.backbones import shape_of

        config = shape_of(Path("--config"), {}, shape)
    with torch.device(device()):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return {
        "head": model.lm_head.weight.numel(),
        "layers": sum(p.numel() for p in model.model.layers.parameters() if p.dim() == 2),
    }


def device() -> str:
    """Where models are computed here."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
