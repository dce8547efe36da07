"""What of a text is compared: its letters and digits in lower case, as character 4-grams.

Whitespace, punctuation, signs and composition (NFC or NFD) are no part; two texts that differ in
the signs alone are distinguished afterwards (`meaning`). A text with fewer than four such
characters has no grams. Batches are of a size that a processor's cache holds.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

GRAM = 4
FILLERS = "\u115f\u1160\u3164\uffa0"  # of Hangul: letters by their category, but they show nothing
BATCH = 200_000  # characters compared at a time; a longer text is a batch of its own
Indices = NDArray[np.int64]
Hashes = NDArray[np.uint64]
# One odd multiplier a place of a gram, and two that stir the sum (fractions of pi and e in hex)
PLACES = np.array(
    [0x243F6A8885A308D3, 0x13198A2E03707345, 0xA4093822299F31D1, 0xB7E151628AED2A6B], np.uint64
)
STIR = np.array([0xBF7158809CF4F3C7, 0x62E7160F38B4DA57], np.uint64)


@dataclass(frozen=True)
class Kept:
    """The compared characters of some texts in one array; text i is codes[starts[i]:ends[i]]."""

    codes: NDArray[np.uint32]
    starts: Indices
    ends: Indices

    @property
    def grams(self) -> Indices:
        """How many 4-grams each text has."""
        return np.maximum(self.ends - self.starts - GRAM + 1, 0)


def kept_characters(text: str) -> str:
    """What of a text is compared: NFC, lower case, letters and digits only."""
    return re.sub(rf"[\W_{FILLERS}]+", "", unicodedata.normalize("NFC", text).lower())


@cache
def _table(underscore: bool) -> NDArray[np.uint32]:
    """The compared character for each code point, 0 for those that are not compared."""
    table = np.zeros(0x110000, np.uint32)
    for match in re.finditer(r"\w", "".join(map(chr, range(0x110000)))):
        # İ alone becomes two characters, of which the second, a mark, is not compared
        table[match.start()] = ord(match[0].lower()[0])
    if not underscore:
        for char in f"_{FILLERS}":
            table[ord(char)] = 0
    return table


def kept(texts: Sequence[str], underscore: bool = False) -> Kept:
    """The compared characters of texts; `underscore` compares "_" too, as `simhash` does."""
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    # a sigma's lower case depends on its neighbours, any other character's on itself alone
    composed = [text.lower() if "Σ" in text else text for text in composed]
    raw = "".join(composed).encode("utf-32-le", "surrogatepass")
    codes = _table(underscore)[np.frombuffer(raw, np.uint32)]
    compared = codes != 0
    before = np.concatenate(([0], np.cumsum(compared)))
    lengths = np.array([len(text) for text in composed], dtype=np.int64)
    edges = before[np.concatenate(([0], np.cumsum(lengths)))]
    return Kept(codes[compared], edges[:-1], edges[1:])


def batches(texts: Sequence[str], size: int = BATCH) -> Iterator[Sequence[str]]:
    """Cut a list into runs of texts of about `size` characters together."""
    first = total = 0
    for i, text in enumerate(texts):
        total += len(text)
        if total >= size:
            yield texts[first : i + 1]
            first, total = i + 1, 0
    if first < len(texts):
        yield texts[first:]


def gram_hashes(codes: NDArray[np.uint32]) -> Hashes:
    """A 64-bit hash of the 4-gram that begins at each character but the last three."""
    wide = codes.astype(np.uint64)
    count = len(wide) - GRAM + 1
    hashes = wide[:count] * PLACES[0]
    for place in range(1, GRAM):
        hashes += wide[place : place + count] * PLACES[place]
    return stir(hashes)


def stir(hashes: Hashes) -> Hashes:
    """Hashes whose every bit depends on every bit of what came in (in place).

    Shift-xor and multiply, as in the finaliser of MurmurHash3 (Appleby, 2011).
    """
    for factor in STIR:
        hashes ^= hashes >> np.uint64(32)
        hashes *= factor
    hashes ^= hashes >> np.uint64(29)
    return hashes
