"""The shape of a recipe's backbone: from its folder, a given file, or the public numbers below."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from core.errors import UserError
from core.files import read_text
from core.jsonl import read_json
from core.layout import exported

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# what the config.json published with each backbone says; a test holds the number of parameters that
# follows to the published one. EXAONE-3.0's own class computes what Llama's does.
BACKBONES: dict[str, dict[str, Any]] = {
    "gemma-2-9b": {
        "model_type": "gemma2",
        "vocab_size": 256_000,
        "hidden_size": 3584,
        "intermediate_size": 14_336,
        "num_hidden_layers": 42,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
    },
    "llama-3-8b": {
        "model_type": "llama",
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "qwen2-7b": {
        "model_type": "qwen2",
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
    },
    "qwen2.5-32b": {
        "model_type": "qwen2",
        "vocab_size": 152_064,
        "hidden_size": 5120,
        "intermediate_size": 27_648,
        "num_hidden_layers": 64,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    },
    "solar-10.7b": {
        "model_type": "llama",
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "exaone-3.0-7.8b": {
        "model_type": "llama",
        "vocab_size": 102_400,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "glm-4-9b": {
        "model_type": "glm",
        "vocab_size": 151_552,
        "hidden_size": 4096,
        "intermediate_size": 13_696,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 2,
        "head_dim": 128,
        "attention_bias": True,
    },
}
# how the names of backbones on the hub begin, letter case aside
FAMILIES = {
    "gemma-2-9b": ("gemma-2-9b", "ko-gemma-2-9b"),
    "llama-3-8b": ("meta-llama-3-8b", "llama-3-8b"),
    "qwen2-7b": ("qwen2-7b", "qwen2.5-7b"),
    "qwen2.5-32b": ("qwen2.5-32b",),
    "solar-10.7b": ("solar-10.7b",),
    "exaone-3.0-7.8b": ("exaone-3.0-7.8b",),
    "glm-4-9b": ("glm-4-9b",),
}

# backbones of the members whose shape no source at hand tells for certain, and why
UNCERTAIN = {
    "polar-14b": ", SOLAR made deeper, by how many layers no paper says",
    "exaone-4": ", whose order of local and global attention its config.json alone tells",
}


def family_of(name: str) -> str | None:
    """The family in the table that a hub name such as owner/gemma-2-9b-it belongs to, if any."""
    last = name.rpartition("/")[2].lower()
    return next((family for family, starts in FAMILIES.items() if last.startswith(starts)), None)


def first_base(path: Path, recipe: dict[str, Any]) -> str:
    """The base of a recipe or, where another recipe of its folder makes it, of that one."""
    base = str(recipe["base_model"])
    if (Path(base) / "config.json").is_file():
        return base
    for other in sorted(path.parent.glob("*.yml")):
        before = yaml.safe_load(read_text(other)) or {}
        made = exported(Path(str(before.get("output_dir"))))
        if other != path and made == Path(base):
            return first_base(other, before)
    return base


def shape_of(path: Path, recipe: dict[str, Any], given: str | None = None) -> PretrainedConfig:
    """The configuration of a recipe's backbone; `given` is a family of the table or a config.json.

    Raises `UserError` where it cannot be known without the hub.
    """
    base = given or first_base(path, recipe)
    folder = Path(base)
    if base in BACKBONES:
        values = BACKBONES[base]
    elif folder.is_file() or (folder / "config.json").is_file():
        values = read_json(folder if folder.is_file() else folder / "config.json")
    elif family := family_of(base):
        values = BACKBONES[family]
    else:
        name = base.rpartition("/")[2].lower()
        why = next((why for start, why in UNCERTAIN.items() if name.startswith(start)), "")
        raise UserError(
            f"{path}: the shape of {base} is not known here{why}; add --config with its "
            f"config.json, or with one like it of {', '.join(BACKBONES)}"
        )
    from transformers import AutoConfig  # seconds to import, and only wanted here

    kind = values.get("model_type") if isinstance(values, dict) else None
    try:
        return AutoConfig.for_model(**values)
    except (TypeError, ValueError):
        raise UserError(
            f"{base}: model_type {kind} is none that transformers knows; name another config.json"
        ) from None
