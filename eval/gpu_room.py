"""Whether a GPU can hold a model's weights for scoring, found before they are loaded."""

import math
from pathlib import Path

from core.errors import UserError
from eval.model_files import shapes

GIB = 2**30
BYTES = {"float32": 4.0, "bfloat16": 2.0}
QUANTISED = {"8bit": 1.0, "4bit": 0.5}  # bytes of a linear layer's weight; its scales are more
KEPT = ("embed_tokens.", "lm_head.", "norm.")  # never quantised


def require_room(folder: Path, dtype: str, load_in: str | None, gpus: int = 1) -> None:
    """Raise `UserError` where the weights alone are more than `gpus` GPUs of this machine hold."""
    import torch

    if torch.cuda.is_available():
        _, memory = torch.cuda.mem_get_info()
        require_memory(folder, dtype, load_in, gpus * memory)


def require_memory(folder: Path, dtype: str, load_in: str | None, memory: int) -> None:
    """Raise `UserError` where the weights take more than `memory` bytes."""
    needed = weights(folder, dtype, load_in)
    if needed > memory:
        fewer = {None: "--load-in 8bit or 4bit", "8bit": "--load-in 4bit"}.get(load_in)
        raise UserError(
            f"{folder}: its weights alone take {needed / GIB:.1f} GiB, and there are "
            f"{memory / GIB:.1f} GiB of GPU memory; score {f'with {fewer}, or ' if fewer else ''}"
            "on a larger GPU"
        )


def weights(folder: Path, dtype: str, load_in: str | None) -> float:
    """Bytes of all weights in the precision they are to be loaded in, at the least."""
    each, linear = BYTES[dtype], QUANTISED.get(load_in or "", BYTES[dtype])
    sizes = {name: s for file in folder.glob("*.safetensors") for name, s in shapes(file).items()}
    return sum(
        math.prod(shape) * (each if len(shape) < 2 or any(k in name for k in KEPT) else linear)
        for name, shape in sizes.items()
    )
