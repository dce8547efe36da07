"""A folder that takes another's place whole, so that a kill leaves the old one or the new one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, which takes the place of `folder` when the block ends without error.

    The old one steps aside, and is removed only when the new one is in its place.
    """
    part, old = (folder.with_name(f".{folder.name}.{what}") for what in ("part", "old"))
    _settle(folder, part, old)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            os.replace(folder, old)
        os.replace(part, folder)
    finally:
        _settle(folder, part, old)


def _settle(folder: Path, part: Path, old: Path) -> None:
    """Put back an old folder that a kill left aside, and remove what has no place."""
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    for rest in (part, old):
        shutil.rmtree(rest, ignore_errors=True)
