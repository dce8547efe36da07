"""Folders of models and adapters, before anything heavy is loaded: what they hold, their hash.

Of LoRA adapters over one backbone: do they fit it, and which engine can serve them.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from core.cuda import require_bitsandbytes
from core.errors import UserError
from core.files import sha256
from core.jsonl import read_json
from core.model_folder import model_folder

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
    folder = model_folder(model, FILES, wanted="the folder that training wrote")
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
    settings = read_object(folder / "config.json")
    return settings.get("text_config") or settings


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


def quantised(folder: Path) -> str | None:
    """The method by which a model's stored weights are quantised, or None."""
    for settings in (read_object(folder / "config.json"), config(folder)):
        if found := settings.get("quantization_config"):
            return found.get("quant_method") or "another method"
    return None


def require_quantisable(folder: Path, load_in: str) -> None:
    """Raise `UserError` where weights cannot be quantised on loading, to 4bit or 8bit."""
    require_bitsandbytes(f"--load-in {load_in}")
    if method := quantised(folder):
        raise UserError(
            f"{folder}: its weights are quantised already ({method}); leave out --load-in, or name "
            "the model they were made from"
        )


def require_none_missing(folder: Path, names: Collection[str]) -> None:
    """Raise `UserError` where a model lacks weights of these names."""
    if names:
        raise UserError(
            f"{folder}: lacks {len(names)} of its weights, the first is {min(names)}; copy or "
            "download the model again"
        )


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


RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM can be set to make room for
# What vLLM's LoRA layers do not compute, by the key of adapter_config.json that asks for it
UNSERVED = {
    "use_dora": "uses DoRA",
    "modules_to_save": "trains modules in full (modules_to_save)",
    "lora_bias": "gives its pairs a bias",
    "layer_replication": "repeats layers",
    "target_parameters": "adapts parameters that are no layers",
    "trainable_token_indices": "trains single rows of the embeddings",
    "alora_invocation_tokens": "is active after some tokens only",
}
PAIR, PARTNER = re.compile(r"(\.lora_(?:embedding_)?)([AB])\b"), {"A": "B", "B": "A"}
ENDS = re.compile(r"\.(lm_head|embed_tokens)\.")  # head and embeddings: few families can


def resolve_adapter(folder: Path, base: Path) -> Path:
    """An adapter's folder, made for `base`; raises `UserError` where it is not."""
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            old = (folder / name).with_suffix(".bin").is_file()
            remedy = "save it as safetensors" if old else "name the folder that LoRA training wrote"
            raise UserError(f"{folder}: no {name} in it; {remedy}")
    said = read_object(folder / ADAPTER_CONFIG)
    if said.get("peft_type") == "LORA" and type(said.get("r")) is not int:
        raise UserError(
            f"{folder / ADAPTER_CONFIG}: its rank r is {said.get('r')}; copy the adapter again"
        )
    _require_same_base(folder, base)
    _require_shapes(folder, base)
    return folder


def unserved(folders: Sequence[Path]) -> str | None:
    """Why vLLM cannot serve one of these adapters, in a few words, or None where it can."""
    for folder in folders:
        said = read_object(folder / ADAPTER_CONFIG)
        if said.get("peft_type") != "LORA":
            return f"{folder} is a {said.get('peft_type')} adapter"
        for key, what in UNSERVED.items():
            if said.get(key):
                return f"{folder} {what}"
        if said.get("bias", "none") != "none":
            return f"{folder} trains biases"
        if any(ENDS.search(name) for name in shapes(folder / ADAPTER_WEIGHTS)):
            return f"{folder} adapts the head or the embeddings"
        if _rank(said) > RANKS[-1]:
            return f"{folder} has rank {_rank(said)}, over {RANKS[-1]}"
    return None


def room(folders: Sequence[Path]) -> int:
    """The least rank that vLLM can be set to make room for and that holds all adapters."""
    rank = max(_rank(read_object(folder / ADAPTER_CONFIG)) for folder in folders)
    return next(size for size in RANKS if size >= rank)


def _rank(said: Mapping[str, Any]) -> int:
    return max(said["r"], *(said.get("rank_pattern") or {}).values(), 1)


def _require_same_base(folder: Path, base: Path) -> None:
    """Compare weights where the adapter's own base lies here; a name alone proves nothing."""
    named = read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or ""
    own = Path(named)
    if not named or not own.is_dir() or own.resolve() == base.resolve():
        return
    if weights_sha256(own) != weights_sha256(base):
        raise UserError(f"{folder}: made for {own}, not for {base}; name the adapter of this base")


def _require_shapes(folder: Path, base: Path) -> None:
    have: dict[str, list[int]] = {}
    for file in sorted(base.glob("*.safetensors")):
        have |= shapes(file)
    mine = shapes(folder / ADAPTER_WEIGHTS)
    if not any(".lora_" in name for name in mine):
        raise UserError(f"{folder / ADAPTER_WEIGHTS}: holds no LoRA weights; name a LoRA adapter")
    for name in mine:
        partner = PAIR.sub(lambda found: found[1] + PARTNER[found[2]], name)
        if partner not in mine:
            raise UserError(
                f"{folder / ADAPTER_WEIGHTS}: {name} has no counterpart; copy the adapter again"
            )
    for name, (_, width) in ((n, s) for n, s in mine.items() if n.endswith(".lora_A.weight")):
        stem = name.removesuffix(".lora_A.weight")
        module = stem.removeprefix("base_model.model.")
        shape = [mine[f"{stem}.lora_B.weight"][0], width]
        if module == "lm_head" and "lm_head.weight" not in have:
            continue  # a tied head is not in the files
        if have.get(f"{module}.weight") != shape:
            raise UserError(
                f"{folder}: adapts {module} of {shape[0]} x {shape[1]}, and {base} has none such; "
                "name the adapter of this base"
            )
