"""The files of a downloaded set: one, several of a folder or a zip file, gzipped, or from the hub.

Whatever is wrong with a file ends as one `UserError`, and what is unpacked is bounded.
"""

import gzip
import hashlib
import lzma
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from core.errors import UserError
from core.files import as_spelled, same_name, sha256
from prep.sources import forms
from prep.sources.forms import SUFFIXES, Found

WILD = set("*?[")  # what makes a name a pattern
# what reading and unpacking raise; EOFError and NotImplementedError come from zipfile
BROKEN = (OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


def records(path: Path, member: str | None = None) -> Iterator[Found]:
    """The records of a file, or of members of a zip file or a folder, each with number and place.

    `member` names one, or several by a pattern, as the path of a folder's own may: corpus/*/test.*;
    those are read by name, and their numbers go on from one to the next. Raises `UserError` naming
    file, line and remedy.
    """
    path, member = parted(path, member)
    before = number = 0
    try:
        for opened, called in _opened(as_spelled(path), member):
            with _unzipped(opened, called) as (file, name):
                before = number
                for own, where, record in forms.read(file, name):
                    number = before + own
                    yield number, where, record
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except BROKEN as error:
        cause = str(error) or type(error).__name__
        raise UserError(f"{path}: cannot be read ({cause}); download it again") from None
    if not number:
        raise UserError(f"{path}: holds no records; name a file that has some")


def parted(path: Path, member: str | None = None) -> tuple[Path, str | None]:
    """A path that is a pattern, as the folder that it leads through and the pattern of members."""
    for place, part in enumerate(path.parts):
        if WILD & set(part) and not path.exists():
            return Path(*path.parts[:place]), "/".join(path.parts[place:])
    return path, member


def is_there(path: Path) -> bool:
    """Whether there is such a file, or for a pattern one that fits it."""
    folder, member = parted(path)
    if member is None:
        return as_spelled(path).is_file()
    return bool(folder.is_dir() and _fitting(_inside(folder), member))


def fingerprint(path: Path, member: str | None = None) -> str:
    """Hexadecimal SHA-256 of a file, or of the names and contents of those read of a folder."""
    path, member = parted(path, member)
    path = as_spelled(path)
    if not path.is_dir():
        return sha256(path)
    lines = (f"{sha256(path / name)}  {name}\n" for name in _chosen(_inside(path), path, member))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def hub_records(name: str, revision: str, subset: str | None, split: str) -> Iterator[Found]:
    """The rows of one split of a hub data set; no code of the data set is ever run."""
    from datasets import load_dataset  # slow to import, and a local set does not need it

    try:
        rows = load_dataset(name, subset, revision=revision, split=split)
        for number, row in enumerate(rows, start=1):
            yield number, f"{name}, row {number}", row
    except Exception as error:  # the hub's client raises errors of three libraries
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{name}@{revision}: cannot be loaded from the hub ({cause}); check name, revision and "
            "network, or download the set and give its `path`"
        ) from None


def _opened(path: Path, member: str | None) -> Iterator[tuple[IO[bytes], str]]:
    """What is to be read, one file after another, and the name by which errors call it."""
    if path.is_dir():
        for name in _chosen(_inside(path), path, member):
            with (path / name).open("rb") as file:
                yield file, str(path / name)
    elif path.suffix.lower() == ".zip":
        with path.open("rb") as packed, zipfile.ZipFile(_archive(packed, path)) as archive:
            infos = {
                _name(info): info
                for info in archive.infolist()
                if not info.is_dir() and not info.filename.startswith("__MACOSX/")
            }
            for name in _chosen([*infos], path, member):
                with archive.open(_readable(infos[name], f"{path}!{name}")) as file:
                    yield file, f"{path}!{name}"
    else:
        with path.open("rb") as file:
            yield file, str(path)


def _archive(file: IO[bytes], path: Path) -> IO[bytes]:
    """An open zip file; raises `UserError` where something else was downloaded."""
    forms.refuse_others(file, str(path))
    return file


def _inside(folder: Path) -> list[str]:
    """The data files of a folder and of those in it, by their path in it."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [path.as_posix() for path in paths if not any(p.startswith(".") for p in path.parts)]


def _chosen(names: Sequence[str], path: Path, member: str | None) -> list[str]:
    """The members asked for, or the only one there is, in the order of their names."""
    data = [name for name in names if name.lower().removesuffix(".gz").endswith(SUFFIXES)]
    known = sorted(data or names)
    exact = [name for name in known if member is None or same_name(name, member)]
    fitting = _fitting(known, member) if member and not exact and WILD & set(member) else []
    if fitting:
        return fitting
    if not known:
        raise UserError(f"{path}: holds no {', '.join(SUFFIXES)}; name a file that can be read")
    if len(exact) != 1:
        first = ", ".join(known[:5])
        stem = "*/train" if any(Path(name).stem == "train" for name in known) else "*"
        pattern = stem + Path(known[0]).suffix
        raise UserError(
            f"{path}: {len(exact)} members to read{f' named {member}' if member else ''}; "
            f"give one as `member`, or several by a pattern such as '{pattern}' "
            f"(there are {len(known)}: {first})"
        )
    return exact


def _fitting(names: Sequence[str], pattern: str) -> list[str]:
    """The names that fit a pattern, however Hangul is composed in either."""
    composed = unicodedata.normalize("NFC", pattern)
    return [name for name in names if fnmatchcase(unicodedata.normalize("NFC", name), composed)]


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name: UTF-8 where it says so or can be read so, else CP949, as Windows writes."""
    if not info.flag_bits & 0x800:
        data = info.filename.encode("cp437")
        for encoding in ("utf-8", "cp949"):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
    return info.filename


def _readable(info: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    """A member that can be unpacked; raises `UserError` where it cannot."""
    if info.flag_bits & 1:
        raise UserError(f"{name}: is encrypted; unpack it and give its own path")
    if info.file_size > forms.FILE:  # zipfile unpacks no more than the size that is declared
        raise UserError(
            f"{name}: {info.file_size} bytes unpacked, more than the {forms.FILE} that are read; "
            "unpack and split it"
        )
    return info


@contextmanager
def _unzipped(file: IO[bytes], name: str) -> Iterator[tuple[IO[bytes], str]]:
    """A file as it is, or unpacked where it is gzipped, whatever it is called.

    Browsers unpack one and leave it its name.
    """
    packed = forms.refuse_others(file, name).startswith(b"\x1f\x8b")
    inside = name[:-3] if name.lower().endswith(".gz") else name
    if not packed:
        yield file, inside
        return
    with tempfile.TemporaryFile() as plain, gzip.open(file) as unpacked:
        while block := unpacked.read(2**20):
            plain.write(block)
            if plain.tell() > forms.FILE:
                raise UserError(
                    f"{name}: more than the {forms.FILE} bytes unpacked that are read; "
                    "unpack and split it"
                )
        plain.seek(0)
        yield plain, inside
