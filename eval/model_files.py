"""A model's folder, before anything heavy is loaded: where it is, what it holds, its hash."""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from prep.errors import UserError
from prep.jsonl import read_json, sha256

# what stored weights are computed in
DTYPES = {
    "float64": "float32",
    "float32": "float32",
    "bfloat16": "bfloat16",
    "float16": "bfloat16",
}
WRITES = ("CausalLM", "ConditionalGeneration", "LMHeadModel")  # ends of what can write an answer
FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "*.txt"]
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def resolve(model: str) -> Path:
    """The folder of a model given as a folder or a hub name; a hub name is downloaded if need be.

    Raises `UserError` where there is no such model, where it has no safetensors weights, and for an
    adapter.
    """
    folder = Path(model)
    if not folder.is_dir():
        if folder.exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", model):
            raise UserError(
                f"{model}: no such model folder; name the folder that training wrote, "
                "or a hub model as owner/name"
            )
        folder = _download(model)
    _require_no_adapter(folder)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json in it; name the folder that holds the model")
    _require_weights(folder)
    names = read_object(folder / "config.json").get("architectures") or []
    if names and not any(str(name).endswith(WRITES) for name in names):
        raise UserError(
            f"{folder}: a {names[0]}, which writes no text; name a causal language model"
        )
    return folder


def weights_sha256(folder: Path) -> str:
    """One hash over all weights: that of what `sha256sum *.safetensors` prints in the folder."""
    files = sorted(folder.glob("*.safetensors"))
    lines = "".join(f"{sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def config(folder: Path) -> dict[str, Any]:
    """The text model's settings in config.json."""
    whole = read_object(folder / "config.json")
    return whole.get("text_config") or whole


def shapes(file: Path) -> dict[str, list[int]]:
    """The tensors of a safetensors file by name; raises `UserError` for a file cut off or other."""
    try:
        with safe_open(file, "pt") as opened:
            return {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(
            f"{file}: cut off, or no safetensors file ({error}); copy or download it again"
        ) from None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that must hold an object; raises `UserError` where it does not."""
    said = read_json(path)
    if not isinstance(said, dict):
        raise UserError(f"{path}: holds no JSON object; copy or download it again")
    return said


def stored_dtype(folder: Path) -> str:
    """The dtype to compute in: that of the stored weights, float16 taken as bfloat16.

    Gemma-2's activations leave float16's range, and vLLM refuses it for that family.
    """
    settings = config(folder)
    stored = settings.get("dtype") or settings.get("torch_dtype") or "float32"
    if stored not in DTYPES:
        raise UserError(
            f"{folder / 'config.json'}: dtype {stored} is none to compute in; name one by --dtype"
        )
    return DTYPES[stored]


def require_none_missing(folder: Path, names: Collection[str]) -> None:
    """Raise `UserError` where a model lacks weights of these names."""
    if names:
        raise UserError(
            f"{folder}: lacks {len(names)} of its weights, the first is {min(names)}; copy or "
            "download the model again"
        )


def why(error: Exception) -> str:
    """A library's error in one line: its first, and the next where the first ends in a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]) or type(error).__name__


def _require_no_adapter(folder: Path) -> None:
    """An adapter's folder is no model, and of a model in it transformers would load the base."""
    if not (folder / ADAPTER_CONFIG).is_file():
        return
    if any(file.name != ADAPTER_WEIGHTS for file in folder.glob("*.safetensors")):
        raise UserError(
            f"{folder}: holds a model and an adapter; move the one of them that is not meant into "
            "a folder of its own"
        )
    base = read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "its base"
    raise UserError(
        f"{folder}: is an adapter; name its base and the adapter apart: --model {base} "
        f"--adapter {folder}"
    )


def _require_weights(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = read_object(index).get("weight_map") or {}
        if not shards:
            raise UserError(f"{index}: names no weights; copy or download the model again")
        missing = [name for name in sorted(set(shards.values())) if not (folder / name).is_file()]
        if missing:
            raise UserError(f"{folder}: {missing[0]} is missing; copy or download the model again")
    elif not any(folder.glob("*.safetensors")):
        raise UserError(f"{folder}: no .safetensors weights in it; save the model as safetensors")
    for file in folder.glob("*.safetensors"):
        shapes(file)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except Exception as error:
        raise UserError(
            f"{name}: neither a folder here nor a model that can be downloaded ({why(error)}); "
            "check the name, your access to it (hf auth login) and the network"
        ) from None
