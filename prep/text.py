"""What every reader does to text before it becomes a record."""

import hashlib
import json
import re
import unicodedata
from typing import Any

from prep.errors import UserError


def nfc(text: str) -> str:
    """The text with composed Hangul and without outer whitespace."""
    return unicodedata.normalize("NFC", text).strip()


def one_line(text: str) -> str:
    """`nfc`, and every run of whitespace as one space."""
    return " ".join(nfc(text).split())


def short(value: object) -> str:
    """A value as errors quote it: on one line, printable, at most 60 characters."""
    text = "".join(char if char.isprintable() else "�" for char in str(value)[:61])
    return text if len(text) <= 60 else f"{text[:59]}…"


def digest(text: str) -> str:
    """16 hexadecimal digits that texts share which differ in case, spaces or punctuation alone."""
    kept = re.sub(r"[\W_]+", "", nfc(text).casefold()) or nfc(text)
    return hashlib.sha256(kept.encode()).hexdigest()[:16]


def writable(record: Any, where: str) -> Any:
    r"""A parsed record as it is; raises `UserError` where it holds half a surrogate pair.

    JSON can escape one ("\ud800"), but no UTF-8 file can hold it.
    """
    try:
        json.dumps(record, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: holds half a character (\\ud800 to \\udfff); mend it") from None
    return record
