"""The folder of a model that a user names: one here, or one of the hub, downloaded."""

import re
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError

NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # of a model of the hub


def model_folder(
    model: str, files: Sequence[str], revision: str | None = None, wanted: str = "a model"
) -> Path:
    """The folder of a model given as a folder or a hub name; of a hub name `files` are downloaded.

    Raises `UserError` where there is no such model; `wanted` says what a folder is to be of.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    if folder.exists() or not NAME.fullmatch(model):
        raise UserError(
            f"{model}: no such model folder; name {wanted}, or a hub model as owner/name"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(files)))
    except Exception as error:
        raise UserError(
            f"{model}: neither a folder here nor a model that can be downloaded ({why(error)}); "
            "check the name, your access to it (hf auth login) and the network"
        ) from None


def why(error: Exception) -> str:
    """A library's error in one line: its first, and the next where the first ends in a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]) or type(error).__name__
