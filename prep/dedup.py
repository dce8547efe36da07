"""Near-duplicates by Simhash, and what stands too near to a scored question.

Texts are compared as 64-bit signatures over their character 4-grams, of which whitespace,
punctuation and case are no part. Simhash says little about short texts: at 3 bits it finds most
edited copies of a long text and few of one below 200 characters. A text of fewer than 4 characters
has no signature; it can only be equal to another.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from simhash import Simhash

GRAM = 4
MOST = 255  # simhash overflows where one gram counts for more
MANY = 5000  # texts whose signing is worth a pool of processes
CHUNK = 4_000_000  # candidate pairs compared at a time
Signatures = NDArray[np.uint64]
Indices = NDArray[np.int64]


def kept_characters(text: str) -> str:
    """What of a text is compared: NFC, lower case, letters and digits only."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", text).lower())


def signature(text: str) -> int | None:
    """The Simhash of a text, 64 bits, or None where it is too short to compare."""
    kept = kept_characters(text)
    if len(kept) < GRAM:
        return None
    grams = Counter(kept[i : i + GRAM] for i in range(len(kept) - GRAM + 1))
    return Simhash({gram: min(count, MOST) for gram, count in grams.items()}).value


@dataclass(frozen=True)
class Signed:
    """The signatures of those of a list's texts that have one, and their places in the list."""

    values: Signatures
    places: Indices

    @classmethod
    def of(cls, texts: Sequence[str], doing: str) -> "Signed":
        """Sign texts; where there are many, on all cores and with a progress bar."""
        if len(texts) < MANY:
            signs = [signature(text) for text in texts]
        else:
            with ProcessPoolExecutor() as pool:
                done = pool.map(signature, texts, chunksize=100)
                signs = list(track(done, doing, len(texts), console=Console(stderr=True)))
        places = [i for i, sign in enumerate(signs) if sign is not None]
        return cls(
            np.array([signs[i] for i in places], dtype=np.uint64), np.array(places, dtype=np.int64)
        )


def near_pairs(left: Signatures, right: Signatures, bits: int) -> Iterator[tuple[Indices, Indices]]:
    """All (i, j) whose signatures differ in at most `bits` bits, in chunks, some more than once.

    Of bits + 1 disjoint bands of a signature, `bits` differing bits leave one band equal: only
    pairs that share a band are compared (Manku, Jain and Das Sarma, WWW 2007).
    """
    width = 64 // (bits + 1)
    for band in range(bits + 1):
        shift = np.uint64(band * width)
        mask = np.uint64(2 ** (64 - band * width if band == bits else width) - 1)
        keys = (right >> shift) & mask
        by_key = np.argsort(keys, kind="stable")
        wanted = (left >> shift) & mask
        start = np.searchsorted(keys[by_key], wanted, "left")
        count = np.searchsorted(keys[by_key], wanted, "right") - start
        ends = np.cumsum(count)
        first = 0
        while first < len(left):
            done = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + CHUNK, "right")))
            counts = count[first:last]
            i = np.repeat(np.arange(first, last), counts)
            within = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
            j = by_key[np.repeat(start[first:last], counts) + within]
            near = np.bitwise_count(left[i] ^ right[j]) <= bits
            yield i[near], j[near]
            first = last


def copies(texts: Iterable[object]) -> dict[int, int]:
    """For every item that equals an earlier one: its place, and that of the first such."""
    first: dict[object, int] = {}
    return {i: place for i, text in enumerate(texts) if (place := first.setdefault(text, i)) != i}


def near_copies(texts: Sequence[str], bits: int) -> dict[int, int]:
    """For every text within `bits` of an earlier one that is kept: its place, and that one's.

    Whoever calls puts the texts into the order in which they are to be kept.
    """
    signed = Signed.of(texts, "near-duplicates")
    # Equal signatures are set apart first: their pairs would be quadratic in their number.
    keeper = copies(signed.values.tolist())
    alone = np.array([i for i in range(len(signed.values)) if i not in keeper], dtype=np.int64)
    values = signed.values[alone]
    earlier: dict[int, set[int]] = defaultdict(set)
    for i, j in near_pairs(values, values, bits):
        forward = i < j
        for first, second in zip(i[forward].tolist(), j[forward].tolist(), strict=True):
            earlier[second].add(first)
    near: dict[int, int] = {}
    for second in sorted(earlier):
        if kept := [first for first in earlier[second] if first not in near]:
            near[second] = min(kept)
    removed = {int(alone[second]): int(alone[first]) for second, first in near.items()}
    removed |= {i: removed.get(first, first) for i, first in keeper.items()}
    return {int(signed.places[i]): int(signed.places[first]) for i, first in removed.items()}


def near_any(texts: Sequence[str], scored: Sequence[str], bits: int) -> dict[int, int]:
    """For every text equal to a scored one or within `bits` of it: its place, and the first's."""
    equal: dict[str, int] = {}
    for j, text in enumerate(scored):
        equal.setdefault(text, j)
    result = {i: equal[text] for i, text in enumerate(texts) if text in equal}
    if not scored:
        return result
    left, right = Signed.of(texts, "near scored"), Signed.of(scored, "scored")
    for rows, columns in near_pairs(left.values, right.values, bits):
        for i, j in zip(left.places[rows].tolist(), right.places[columns].tolist(), strict=True):
            result[i] = min(j, result.get(i, j))
    return result
