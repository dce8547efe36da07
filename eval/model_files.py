"""A model's folder, before anything heavy is loaded: where it is, what it holds, its hash."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from prep.errors import UserError
from prep.jsonl import read_json, sha256

FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "*.txt"]


def resolve(model: str) -> Path:
    """The folder of a model given as a folder or a hub name; a hub name is downloaded if need be.

    Raises `UserError` where there is no such model or it has no safetensors weights.
    """
    folder = Path(model)
    if not folder.is_dir():
        if folder.exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", model):
            raise UserError(
                f"{model}: no such model folder; name the folder that training wrote, "
                "or a hub model as owner/name"
            )
        folder = _download(model)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json in it; name the folder that holds the model")
    _require_weights(folder)
    return folder


def weights_sha256(folder: Path) -> str:
    """One hash over all weights: that of what `sha256sum *.safetensors` prints in the folder."""
    files = sorted(folder.glob("*.safetensors"))
    lines = "".join(f"{sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def config(folder: Path) -> dict[str, Any]:
    """The text model's settings in config.json."""
    whole = read_json(folder / "config.json")
    return whole.get("text_config") or whole


def stored_dtype(folder: Path) -> str:
    """The dtype to compute in: that of the stored weights, float16 taken as bfloat16.

    Gemma-2's activations leave float16's range, and vLLM refuses it for that family.
    """
    settings = config(folder)
    stored = settings.get("dtype") or settings.get("torch_dtype") or "float32"
    return "bfloat16" if stored == "float16" else str(stored)


def _require_weights(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [name for name in shards if not (folder / name).is_file()]
        if missing:
            raise UserError(f"{folder}: {missing[0]} is missing; copy or download the model again")
    elif not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{folder}: no .safetensors weights in it; save the model as safetensors "
            "(an adapter alone goes to --adapter)"
        )


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{name}: neither a folder here nor a model that can be downloaded ({reason}); check "
            "the name, your access to it (hf auth login) and the network"
        ) from None
