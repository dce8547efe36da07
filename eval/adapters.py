"""LoRA adapters beside one backbone: do they fit it, and which engine can serve them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval import model_files
from eval.model_files import ADAPTER_CONFIG as CONFIG
from eval.model_files import ADAPTER_WEIGHTS as WEIGHTS
from prep.errors import UserError

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM can be told to make room for
# What vLLM's LoRA layers do not compute, by the key of adapter_config.json that asks for it
UNSERVED = {
    "use_dora": "uses DoRA",
    "modules_to_save": "trains whole modules (modules_to_save)",
    "lora_bias": "gives its pairs a bias",
    "layer_replication": "repeats layers",
    "target_parameters": "adapts parameters that are no layers",
    "trainable_token_indices": "trains single rows of the embeddings",
    "alora_invocation_tokens": "is active after some tokens only",
}
PAIR, PARTNER = re.compile(r"(\.lora_(?:embedding_)?)([AB])\b"), {"A": "B", "B": "A"}
ENDS = re.compile(r"\.(lm_head|embed_tokens)\.")  # head and embeddings: few families can


def resolve(folder: Path, base: Path) -> Path:
    """An adapter's folder, made for `base`; raises `UserError` where it is not."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no {name} in it; name the folder that LoRA training wrote")
    said = model_files.read_object(folder / CONFIG)
    if said.get("peft_type") == "LORA" and type(said.get("r")) is not int:
        raise UserError(f"{folder / CONFIG}: its rank r is {said.get('r')}; copy the adapter again")
    _require_same_base(folder, base)
    _require_shapes(folder, base)
    return folder


def unserved(folders: Sequence[Path]) -> str | None:
    """Why vLLM cannot serve one of these adapters, in a few words, or None where it can."""
    for folder in folders:
        said = model_files.read_object(folder / CONFIG)
        if said.get("peft_type") != "LORA":
            return f"{folder} is a {said.get('peft_type')} adapter"
        for key, what in UNSERVED.items():
            if said.get(key):
                return f"{folder} {what}"
        if said.get("bias", "none") != "none":
            return f"{folder} trains biases"
        if any(ENDS.search(name) for name in model_files.shapes(folder / WEIGHTS)):
            return f"{folder} adapts the head or the embeddings"
        if _rank(said) > RANKS[-1]:
            return f"{folder} has rank {_rank(said)}, over {RANKS[-1]}"
    return None


def room(folders: Sequence[Path]) -> int:
    """The least rank that vLLM can be told to make room for and that holds all adapters."""
    rank = max(_rank(model_files.read_object(folder / CONFIG)) for folder in folders)
    return next(size for size in RANKS if size >= rank)


def _rank(said: Mapping[str, Any]) -> int:
    return max(said["r"], *(said.get("rank_pattern") or {}).values(), 1)


def _require_same_base(folder: Path, base: Path) -> None:
    """Compare weights where the adapter's own base lies here; a name alone proves nothing."""
    named = model_files.read_object(folder / CONFIG).get("base_model_name_or_path") or ""
    own = Path(named)
    if not named or not own.is_dir() or own.resolve() == base.resolve():
        return
    if model_files.weights_sha256(own) != model_files.weights_sha256(base):
        raise UserError(f"{folder}: made for {own}, not for {base}; name the adapter of this base")


def _require_shapes(folder: Path, base: Path) -> None:
    have: dict[str, list[int]] = {}
    for file in sorted(base.glob("*.safetensors")):
        have |= model_files.shapes(file)
    mine = model_files.shapes(folder / WEIGHTS)
    if not any(".lora_" in name for name in mine):
        raise UserError(f"{folder / WEIGHTS}: holds no LoRA weights; name a LoRA adapter")
    for name in mine:
        whole = PAIR.sub(lambda found: found[1] + PARTNER[found[2]], name)
        if whole not in mine:
            raise UserError(
                f"{folder / WEIGHTS}: {name} has no counterpart; copy the adapter again"
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
