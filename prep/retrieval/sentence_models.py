"""Models of sentence-transformers: their weights are safetensors, and no code of theirs is run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError
from core.model_folder import model_folder, why

READ = ["*.json", "*.safetensors", "*.txt", "*.model"]  # of a model


def folder_of(model: str, revision: str | None, key: str) -> Path:
    """The folder of a model that a run names under `key`.

    Raises `UserError` where it cannot be had, or has other weights than safetensors.
    """
    if revision is None and not Path(model).exists() and "/" in model:
        raise UserError(f"{model}: no such folder; name one under `{key}`, or give its `revision`")
    folder = model_folder(model, READ, revision, "a folder of a model of sentence-transformers")
    pickled = [path for path in folder.rglob("pytorch_model.bin")]
    pickled = [path for path in pickled if not (path.parent / "model.safetensors").is_file()]
    if pickled or not any(folder.rglob("*.safetensors")):
        raise UserError(
            f"{folder}: has no weights as safetensors, and others are not read; save them so"
        )
    return folder


def loaded(kind: Callable[..., Any], folder: Path, key: str) -> Any:
    """A model of a kind (a class of sentence-transformers); raises `UserError` where it is none."""
    try:
        return kind(
            str(folder),
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}: sentence-transformers cannot load it ({why(error)}); name another model "
            f"under `{key}`"
        ) from None


def unsaved(model: Any) -> list[str]:
    """The weights that a loaded model's files lack, by name.

    transformers draws them anew in each run, and says so in no error.
    """
    from transformers import PreTrainedModel

    own = next((part for part in model.modules() if isinstance(part, PreTrainedModel)), None)
    if own is None:  # words that each have a vector
        return []
    _, about = type(own).from_pretrained(
        own.name_or_path, output_loading_info=True, device_map="meta", local_files_only=True
    )
    return sorted(about["missing_keys"])
