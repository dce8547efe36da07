"""What the scoring bench scores: random prompts of the CCI corpus's shape, by a random model."""

import json
import math
import random
import shutil
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

TOKENIZER = Path(__file__).resolve().parent.parent / "recipes" / "tiny" / "base"
BLOCK = 64 * 2**20
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


def save_model(folder: Path, shape: str | None = None) -> None:
    """Save a random Gemma-2, or a backbone's shape, in bfloat16; one that is there stays."""
    from transformers import Gemma2Config

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
        from recipes.planner.model_shapes import shape_of

        config = shape_of(Path("--config"), {}, shape)
    save_random(folder, config, "bfloat16")


def save_random(folder: Path, config: "PretrainedConfig", dtype: str) -> None:
    """Save random weights of a shape with the tiny base's tokenizer, which no speed depends on.

    A model of the same shape that is there already stays, so that several runs share one. Raises
    `UserError` where the folder's disk is too small or holds another model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"vocab_size {config.vocab_size} is below the tokenizer's {len(tokenizer)}")
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, key, getattr(tokenizer, key))
    config.dtype = dtype
    if (folder / "config.json").is_file():
        there = AutoConfig.from_pretrained(folder)
        drop = ("_name_or_path", "architectures", "dtype", "transformers_version")
        one, other = (
            {k: v for k, v in c.to_dict().items() if k not in drop} for c in (there, config)
        )
        if one != other:
            raise UserError(f"{folder}: holds a model of another shape; name another folder")
        return
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < 1.05 * size:
        raise UserError(
            f"{folder}: the weights take {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "name a folder on a larger disk"
        )
    tokenizer.save_pretrained(folder)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name not in tied}
    ones = [n for n, shape in shapes.items() if "norm" in n and "gemma" not in config.model_type]
    write_weights(folder / "model.safetensors", shapes, dtype, config.initializer_range, ones)


def write_weights(
    file: Path, shapes: dict[str, tuple[int, ...]], dtype: str, spread: float, ones: list[str]
) -> None:
    """Write weights drawn from N(0, spread), one drawn block of 64 MiB over and over, and `ones`.

    A safetensors file is the length of a header, the header in JSON, and the bytes. Drawing and
    copying as many as a real model has would take longer than measuring it.
    """
    import torch

    wide = {"bfloat16": 2, "float32": 4}[dtype]
    name = {"bfloat16": "BF16", "float32": "F32"}[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for key, shape in shapes.items():
        end = place + wide * math.prod(shape)
        header[key] = {"dtype": name, "shape": list(shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    torch.manual_seed(0)
    drawn = (spread * torch.randn(BLOCK // wide)).to(getattr(torch, dtype))
    block = drawn.view(torch.uint8).numpy().data
    with file.open("wb", buffering=0) as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for start in range(0, place, BLOCK):
            out.write(block[: min(BLOCK, place - start)])
        for key in ones:
            start, end = header[key]["data_offsets"]
            out.seek(8 + len(text) + start)
            filled = torch.ones((end - start) // wide, dtype=drawn.dtype)
            out.write(filled.view(torch.uint8).numpy().data)


def sizes(folder: Path) -> dict[str, int]:
    """A model's weights by what they multiply: head (once an item), layers (each token)."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    return {
        "head": model.lm_head.weight.numel(),
        "layers": sum(p.numel() for p in model.model.layers.parameters() if p.dim() == 2),
    }


def device() -> str:
    """Where models are computed here."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
