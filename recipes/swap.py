"""Folders that take another's place: complete or not at all, and nothing finished is deleted.

What has to go is moved into `.stale` next to it, where patterns such as `members/*` do not find it.
"""

import filecmp
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from prep.errors import UserError

STALE = ".stale"


def set_aside(folder: Path, name: str | None = None) -> Path:
    """Move a folder into `.stale` next to it, under a name of its own; returns where it is now.

    Raises `UserError` where it cannot be moved: a disk of its own above all.
    """
    names = (f"{name or folder.name}-{number}" for number in count(1))
    aside = next(a for a in (folder.parent / STALE / one for one in names) if not a.exists())
    try:
        aside.parent.mkdir(exist_ok=True)
        folder.rename(aside)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be moved to {aside} ({error.strerror}); name another folder"
        ) from None
    return aside


def require_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Raise `UserError` where a folder to write is, or holds, one of `inputs` or where we stand."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder of its own")
    for one in (*inputs, Path()):
        if one.resolve().is_relative_to(out.resolve()):
            what = f"holds {one}, which is read" if one.name else "holds the folder you stand in"
            raise UserError(f"{out}: {what}; name a folder of its own for what is written")


@contextmanager
def replacing_folder(folder: Path, mark: str, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield an empty folder, which takes the place of `folder` when the block ends without error.

    The old one goes to `.stale`, unless the new one holds the same files. Raises `UserError`,
    before anything is done, where `folder` holds one of `inputs`, or files but none called `mark`,
    or folders: what this command did not make.
    """
    require_apart(folder, inputs)
    folder = folder.resolve()  # of a link, what it leads to is replaced
    part, old = (folder.with_name(f".{folder.name}.{what}") for what in ("part", "old"))
    _settle(folder, part, old)
    _require_made(folder, mark)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            os.replace(folder, old)
        os.replace(part, folder)
    finally:
        _settle(folder, part, old)


def _require_made(folder: Path, mark: str) -> None:
    """Raise `UserError` for a folder with contents of another making."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    odd = there if there and folder / mark not in there else [one for one in there if one.is_dir()]
    if odd:
        raise UserError(
            f"{folder}: holds {odd[0].name}, which this command did not make; name a new folder"
        )


def _settle(folder: Path, part: Path, old: Path) -> None:
    """Put back an old folder that a kill left aside, or set it aside; remove half a new one."""
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    shutil.rmtree(part, ignore_errors=True)
    if not old.exists():
        return
    if all(_same(path, folder / path.name) for path in old.iterdir()):
        shutil.rmtree(old)
    else:
        print(f"{folder}: what it held is now in {set_aside(old, folder.name)}")


def _same(one: Path, other: Path) -> bool:
    """Whether both are files of the same bytes."""
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
