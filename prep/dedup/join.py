"""The banded join: which signatures share one of their keys and are close.

Signatures are given as places in an array; keys as one array for each table, aligned with it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prep.dedup.ngrams import Hashes, Indices

CHUNK = 1_000_000  # candidate pairs compared at a time
Close = Callable[[Indices, Indices], NDArray[np.bool_]]


@dataclass(frozen=True)
class Pairs:
    """Close pairs of places, each once and in order; `capped` buckets left pairs uncompared."""

    left: Indices
    right: Indices
    candidates: int = 0
    capped: int = 0


def within(tables: Iterable[Hashes], close: Close, widest: int) -> Pairs:
    """The close pairs (i < j) of one array of distinct signatures.

    A bucket of more than `widest` signatures is capped: each is compared with the `widest` that
    follow it in the array, so that the work stays linear. Lost is a close pair that stands further
    apart in every bucket it shares.

    Args:
        tables: arrays of keys, each of shape (signatures,); two signatures with one key in the same
            table share a bucket.
        close: whether signatures are close, given the places of the left and of the right ones.
        widest: how many later signatures of its bucket one is compared with.
    """
    found, candidates, capped = _nothing(), 0, 0
    for table in tables:
        if not len(table):
            break
        # sorted by key a bucket is a run, in which the stable sort keeps the order of the array
        order = np.argsort(table, kind="stable")
        ordered = table[order]
        # a run begins where the key changes; the first key's complement differs from it in any case
        edges = np.flatnonzero(np.diff(ordered, prepend=~ordered[:1]))
        sizes = np.diff(np.append(edges, len(order)))
        place = np.arange(len(order))
        # how many signatures follow each one in its run: the partners still to be compared
        count = np.repeat(edges + sizes, sizes) - place - 1
        capped += int((sizes > widest + 1).sum())
        count = np.minimum(count, widest)
        candidates += int(count.sum())
        for i, j in _chunks(place + 1, count):
            i, j = order[i], order[j]  # from places in the sorted table to those in the array
            near = close(i, j)
            found.append(_packed(np.minimum(i[near], j[near]), np.maximum(i[near], j[near])))
        found = [_unique(found)]  # a pair found by several tables counts once; memory stays small
    return Pairs(*unpacked(_unique(found)), candidates, capped)


def between(left: Iterable[Hashes], right: Iterable[Hashes], close: Close) -> Pairs:
    """The close pairs (i, j) of two arrays of signatures; no bucket is capped."""
    found, candidates = _nothing(), 0
    for wanted, table in zip(left, right, strict=True):
        order = np.argsort(table, kind="stable")
        # the run of each left key in the sorted right keys; of length 0 where there is none
        start = np.searchsorted(table[order], wanted, "left")
        count = np.searchsorted(table[order], wanted, "right") - start
        candidates += int(count.sum())
        for i, j in _chunks(start, count):
            near = close(i, order[j])
            found.append(_packed(i[near], order[j][near]))
        found = [_unique(found)]
    return Pairs(*unpacked(_unique(found)), candidates)


def _chunks(start: Indices, count: Indices) -> Iterator[tuple[Indices, Indices]]:
    """All (i, start[i] + n) with n < count[i], about `CHUNK` pairs at a time.

    No i is divided between two chunks, so that one with more than `CHUNK` partners is a chunk of
    its own.
    """
    ends = np.cumsum(count)
    first = 0
    while first < len(count):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + CHUNK, "right")))
        counts = count[first:last]
        i = np.repeat(np.arange(first, last), counts)
        # 0, 1, ... within each i: the running number less that of the first pair of the same i
        nth = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield i, start[i] + nth
        first = last


def _packed(i: Indices, j: Indices) -> Hashes:
    """Pairs as one number each, i in the upper 32 bits and j in the lower.

    So one sort orders pairs by i and then j, and one `unique` drops those found twice. Places must
    be below 2**32: an array of so many signatures would take 32 GiB.
    """
    return (i.astype(np.uint64) << np.uint64(32)) | j.astype(np.uint64)


def unpacked(pairs: Hashes) -> tuple[Indices, Indices]:
    """Places i and j of pairs packed as i * 2**32 + j."""
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(2**32 - 1)).astype(
        np.int64
    )


def _unique(found: list[Hashes]) -> Hashes:
    return np.unique(np.concatenate(found))


def _nothing() -> list[Hashes]:
    return [np.zeros(0, np.uint64)]
