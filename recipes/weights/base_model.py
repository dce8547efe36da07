"""Which base model a run trains or a merge changes, and whether all its weights are there."""

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from core.errors import UserError, full_disk
from core.files import sha256
from core.jsonl import read_json

RECORD = "run.json"  # what a training writes with its weights, recipes/combine.py too
FILES = ("*.safetensors", "config.json", "*token*", "*.jinja")
INDEX = "model.safetensors.index.json"


def files(folder: Path, *patterns: str) -> dict[str, str]:
    """Name and SHA-256 of the files of a folder that match a pattern, by name."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return {path.name: sha256(path) for path in sorted(found)}


def base_of(name: str, revision: str | None) -> dict[str, str]:
    """What sets a base apart from every other: the SHA-256 of its files, or its commit on the hub.

    Raises `UserError` for a hub name that cannot be read, here or there.
    """
    if Path(name).is_dir():
        return files(Path(name), *FILES)
    from transformers.utils import cached_file  # seconds to import
    from transformers.utils.hub import extract_commit_hash

    try:
        config = cached_file(name, "config.json", revision=revision)
    except OSError as error:
        raise UserError(
            f"{name}: cannot be read from the hub ({type(error).__name__}); check the name, accept "
            "its licence there and run `hf auth login`, or set base_model to a downloaded folder"
        ) from None
    return {"hub": name, "commit": str(extract_commit_hash(config, None))}


def require_full_weights(name: str, revision: str | None) -> None:
    """Raise `UserError` for a base that is quantised already."""
    from transformers.utils import cached_file

    said = read_json(Path(str(cached_file(name, "config.json", revision=revision))))
    for settings in (said, said.get("text_config") or {}):
        if found := settings.get("quantization_config"):
            raise UserError(
                f"{name}: its weights are quantised already "
                f"({found.get('quant_method') or 'in some way'}), and training and merging need "
                "them in full; name the model they were made from"
            )


def record_of(adapter: Path) -> dict[str, Any] | None:
    """What an adapter, or the run whose checkpoint it is, was trained on; None if unrecorded."""
    run = adapter.parent if adapter.name.startswith("checkpoint-") else adapter
    record = next((one / RECORD for one in (adapter, run) if (one / RECORD).is_file()), None)
    return read_json(record) if record else None


def check_base(name: str, revision: str | None, adapter: Path) -> None:
    """Raise `UserError` where a base is not what the adapter was trained on."""
    record = record_of(adapter)
    if record is None:
        print(f"{adapter}: no {RECORD}, so that nobody knows which base it was trained on")
        return
    trained_on, now = record.get("base"), base_of(name, revision)
    if not isinstance(trained_on, dict):
        raise UserError(f"{adapter}: its {RECORD} names no commit of its base; train it again")
    if "commit" in trained_on or "commit" in now:
        if trained_on != now:
            raise UserError(
                f"{adapter}: trained on {described(trained_on)}, not on {name} "
                f"({described(now)}); set base_model and revision_of_model to that"
            )
        return
    for file, digest in trained_on.items():
        if now.get(file) != digest:
            raise UserError(
                f"{Path(name) / file}: not what {adapter} was trained on; train the recipe again"
            )


def described(base: dict[str, str]) -> str:
    """A base in a few words: a hub name at its commit, or a folder's files."""
    return f"{base['hub']} at commit {base['commit']}" if "commit" in base else "files of a folder"


def unreadable(folder: Path) -> str | None:
    """What is wrong with the safetensors files of a folder: one that is cut off or missing."""
    index = folder / INDEX
    if index.is_file():
        try:
            shards = set(read_json(index)["weight_map"].values())
        except (UserError, KeyError, TypeError, AttributeError):
            return f"{INDEX} is no index of weights"
        if missing := sorted(name for name in shards if not (folder / name).is_file()):
            return f"{missing[0]} is missing"
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            return f"{file.name} is cut off, or no safetensors file ({error})"
    return None


def require_none_missing(base: str, names: Collection[str]) -> None:
    """Raise `UserError` where a base lacks weights of these names: they would be random numbers."""
    if names:
        raise UserError(
            f"{base}: lacks {len(names)} of its weights, the first is {min(names)}; copy or "
            "download the model again"
        )


def loading_all_weights(load: Callable[..., Any]) -> Callable[..., Any]:
    """Axolotl's loading of a base, raising `UserError` where a weight is missing or unfit."""

    @functools.wraps(load)
    def loading(self: Any, *given: Any) -> Any:
        self.model_kwargs["output_loading_info"] = True
        try:
            model, about = load(self, *given)
        except Exception as error:
            if full_disk(error):
                raise
            said = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(
                f"{self.base_model}: transformers cannot load it ({said}); does config.json "
                "describe these weights, and is there room for them?"
            ) from error
        finally:
            del self.model_kwargs["output_loading_info"]
        require_none_missing(self.base_model, about["missing_keys"])
        return model

    return loading
