"""Paths as people write them, and as file systems spell them."""

import unicodedata
from pathlib import Path


def same(name: str, other: str) -> bool:
    """Whether two names differ at most in how Hangul is composed."""
    return unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)


def spelled(path: Path) -> Path:
    """A path as the file system spells it, where its Hangul is composed otherwise there.

    macOS decomposes the names of files (NFD), and keyboards compose them (NFC). A path that is not
    there in either spelling is given back as it is.
    """
    if path.exists() or path == path.parent:
        return path
    folder = spelled(path.parent)
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if same(entry.name, path.name):
                return entry
    return path
