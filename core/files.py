"""Files read in full and written all or nothing, folders too; and what is asked before."""

import fcntl
import filecmp
import hashlib
import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

from core.errors import UserError, full_disk


@contextmanager
def atomic_file(path: Path, binary: bool = False) -> Iterator[IO[Any]]:
    """Open a file, of text or bytes, that takes the place of `path` only when it is complete.

    A killed run leaves either the old file or the new one, never half of one.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    require_room(path)
    try:
        text = {} if binary else {"encoding": "utf-8", "newline": "\n"}
        with part.open("wb" if binary else "w", **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def require_room(path: Path) -> None:
    """Make the folder of a file to write; raises `UserError` where no such file can be there."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if full_disk(error):
            raise
        raise UserError(
            f"{path}: its folder cannot be made ({error.strerror}); name another place"
        ) from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"{path}: its folder cannot be written to; name another place")


@contextmanager
def locked(path: Path, sentence: str) -> Iterator[int]:
    """Hold a lock file for this process and what it starts; yields its descriptor.

    Raises `UserError` with the sentence where another process holds it.
    """
    require_room(path)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(sentence) from None
        yield file.fileno()


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; raises `UserError` where it is missing, a folder or not UTF-8."""
    return decoded(read_bytes(path), path).replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; raises `UserError` where it is missing or a folder."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a file in it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its rights") from None


def decoded(content: bytes, path: Path) -> str:
    """UTF-8 as text, without its byte order mark; raises `UserError` where it is another."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith((b"PK\3\4", b"PAR1", b"\x1f\x8b")):
            raise UserError(
                f"{path}: is a workbook, a Parquet file or an archive, where text is read; name "
                "the text file that is meant"
            ) from None
        raise UserError(
            f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8"
        ) from None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_place(out: Path | None, *others: Path | None) -> None:
    """Raise `UserError` where `out` cannot be written or is one of `others`; None is no file.

    Commands ask before they begin, so that no file that is read is lost under what is written.
    """
    if out is None:
        return
    require_room(out)
    if out.resolve() in {other.resolve() for other in others if other is not None}:
        raise UserError(f"{out}: is named twice, so it would be written over; name another file")


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
def atomic_dir(folder: Path, mark: str, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield an empty folder, which takes the place of `folder` when the block ends without error.

    The old one is moved to `.stale`, unless the new one holds the same files. Raises `UserError`,
    before anything is done, where `folder` holds one of `inputs`, or files but none called `mark`,
    or folders: what this command did not make.
    """
    require_apart(folder, inputs)
    folder = folder.resolve()  # of a link, what it leads to is replaced
    part, old = (folder.with_name(f".{folder.name}.{what}") for what in ("part", "old"))
    _settle(folder, part, old)
    _require_made(folder, mark)
    require_room(part)
    part.mkdir()
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


def same_name(name: str, other: str) -> bool:
    """Whether two names differ at most in how Hangul is composed."""
    return unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)


def as_spelled(path: Path) -> Path:
    """A path as the file system spells it, where its Hangul is composed otherwise there.

    macOS decomposes the names of files (NFD), and keyboards compose them (NFC). A path that is not
    there in either spelling is given back as it is.
    """
    if path.exists() or path == path.parent:
        return path
    folder = as_spelled(path.parent)
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if same_name(entry.name, path.name):
                return entry
    return path
