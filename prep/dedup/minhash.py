"""MinHash signatures by `rensa`, their banded keys, and the true Jaccard similarity.

Broder (1997); banding after Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
Two texts whose 4-gram sets have Jaccard similarity J agree in a share J of their signatures on
average, and share a band with probability 1 - (1 - J^5)^51: .93 at J = .55, .98 at .6, .9999 at .7.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from prep.dedup.ngrams import (
    GRAM,
    PLACES,
    Hashes,
    Indices,
    batches,
    gram_hashes,
    kept,
    kept_characters,
    stir,
)

BANDS, ROWS = 51, 5
SEED = 42
SLACK = 0.12  # how far below the threshold an estimate is still verified: four deviations
WIDEST = 100  # later signatures of its bucket, in each of the bands, that one is compared with
SLAB = 50_000  # pairs estimated at a time
Signatures = NDArray[np.uint32]


def sign(texts: Sequence[str]) -> tuple[Signatures, Indices]:
    """The signatures, (texts, BANDS * ROWS), and the number of grams of each text."""
    width = BANDS * ROWS
    signs, grams = [np.zeros((0, width), np.uint32)], [np.zeros(0, np.int64)]
    for batch in batches(texts):
        part = kept(batch)
        hashes = gram_hashes(part.codes) if part.grams.any() else np.zeros(0, np.uint64)
        rows = np.concatenate(([0], np.cumsum(part.grams)))
        inside = np.repeat(part.starts - rows[:-1], part.grams) + np.arange(rows[-1])
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes[inside], rows, width, SEED)
        signs.append(np.array(matrix.to_rows(), np.uint32).reshape(-1, width))
        grams.append(part.grams)
    return np.concatenate(signs), np.concatenate(grams)


def keys(signs: Signatures) -> Iterator[Hashes]:
    """One hash a band and signature."""
    for first in range(0, BANDS * ROWS, ROWS):
        yield _hash(signs[:, first : first + ROWS])


def identity(signs: Signatures) -> Hashes:
    """One hash a signature."""
    return _hash(signs)


def estimate(left: Signatures, right: Signatures, i: Indices, j: Indices) -> NDArray[np.float64]:
    """The estimated Jaccard similarity of left[i] and right[j]."""
    slabs = range(0, len(i), SLAB)
    shares = [(left[i[k : k + SLAB]] == right[j[k : k + SLAB]]).mean(axis=1) for k in slabs]
    return np.concatenate([np.zeros(0), *shares])


def gram_set(text: str) -> frozenset[str]:
    """The 4-grams of a text."""
    compared = kept_characters(text)
    return frozenset(compared[i : i + GRAM] for i in range(len(compared) - GRAM + 1))


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """The share of the grams of either that both have."""
    both = len(left & right)
    return both / (len(left) + len(right) - both)


def _hash(columns: Signatures) -> Hashes:
    hashes = np.zeros(len(columns), np.uint64)
    for column in columns.T:
        hashes += column
        hashes *= PLACES[0]
        hashes ^= hashes >> np.uint64(29)
    return stir(hashes)
