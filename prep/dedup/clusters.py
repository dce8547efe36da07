"""Which texts of a list are duplicates of which: exact ones by hash, near ones by a method.

Keep rule: of two near-duplicates the one of the first source stays, then the longer, then the one
with the smaller id. A text is removed only if it is near to one that stays; nothing depends on the
order of the list, as long as ids differ.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.ray_session import Ray
from core.text import nfc
from prep.dedup import join
from prep.dedup.meaning import difference, form
from prep.dedup.methods import Method, MinHash, Signatures, sign
from prep.dedup.ngrams import Indices

MEMBERS = 8  # texts of one signature that others are compared with
PARTNERS = 20  # closest texts before it in keep order that a text is verified against


class Document(NamedTuple):
    """A text, the place of its source in the mix (the first has priority), and its id."""

    text: str
    priority: int
    id: str


@dataclass(frozen=True)
class Near:
    """The place of the text that stays, and how near to it: the bits in which signatures differ
    (Simhash) or the Jaccard similarity (MinHash)."""

    kept: int
    reason: Literal["exact-duplicate", "near-duplicate"]
    distance: int | None = None
    similarity: float | None = None


@dataclass(frozen=True)
class Deduplication:
    """Places removed and why; clusters of places (connected components), the one to stay first.

    `counts` holds `short` texts (only ever equal), `distinct` signatures, `candidates` compared,
    `capped` buckets and `crowded` texts (not compared with all that are close to them), pairs
    `verified` as near and pairs `refused` as hard negatives.
    """

    removed: dict[int, Near]
    clusters: list[list[int]]
    counts: dict[str, int]


@dataclass
class _Edges:
    """Near pairs of texts by rank, and the texts that go with another (same form)."""

    near: dict[tuple[int, int], float] = field(default_factory=dict)
    follows: dict[int, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def duplicates(items: Sequence[Document], method: Method, ray: Ray | None = None) -> Deduplication:
    """Find the duplicates among items; many are signed on Ray, if it is given."""
    texts = [nfc(item.text) for item in items]
    order = sorted(
        range(len(items)),
        key=lambda i: (items[i].priority, -len(texts[i]), items[i].id, texts[i]),
    )
    first: dict[str, int] = {}
    for i in order:
        first.setdefault(texts[i], len(first))
    places = dict.fromkeys(range(len(first)), -1)
    for i in reversed(order):
        places[first[texts[i]]] = i
    edges = _near_edges(list(first), method, ray)
    keeper = _keepers(len(first), edges)

    removed = {}
    for i in order:
        rank = first[texts[i]]
        kept = keeper.get(rank, rank)
        if places[kept] != i:
            leader = edges.follows.get(rank, rank)
            score = None if leader == kept else edges.near[kept, leader]
            removed[i] = _near(places[kept], kept == rank, score, method)
    counts = {"short": 0, "distinct": 0, "candidates": 0, "capped": 0, "crowded": 0}
    counts |= {"verified": 0, "refused": 0, **edges.counts}
    return Deduplication(removed, _clusters(order, [first[texts[i]] for i in order], edges), counts)


def _near(kept: int, exact: bool, score: float | None, method: Method) -> Near:
    reason = "exact-duplicate" if exact else "near-duplicate"
    if isinstance(method, MinHash):
        return Near(kept, reason, similarity=1.0 if score is None else score)
    return Near(kept, reason, distance=int(score or 0))


def _near_edges(texts: list[str], method: Method, ray: Ray | None) -> _Edges:
    """The near pairs of distinct texts, given in keep order."""
    edges = _Edges()
    signed = sign(texts, method, ray)
    long = np.flatnonzero(signed.grams)
    edges.counts["short"] = len(texts) - len(long)
    # Equal signatures are set apart first: their pairs would be quadratic in their number.
    identity = method.identity(signed.at(long))
    _, heads, group = np.unique(identity, return_index=True, return_inverse=True)
    edges.counts["distinct"] = len(heads)
    leaders = _leaders(texts, long, heads, group, method, edges)
    distinct = signed.at(long[heads])
    pairs = join.within(method.tables(distinct), method.close(distinct, distinct), method.widest)
    edges.counts |= {"candidates": pairs.candidates, "capped": pairs.capped}
    _accept(*_expanded(leaders, pairs), texts, signed, method, edges)
    return edges


def _leaders(
    texts: list[str],
    long: np.ndarray,
    heads: np.ndarray,
    group: np.ndarray,
    method: Method,
    edges: _Edges,
) -> list[list[int]]:
    """The texts of each signature, less those that follow another of the same form.

    Where hard negatives are not kept, a Simhash signature has one leader alone.
    """
    leaders = [[int(rank)] for rank in long[heads]]
    one = method.method == "simhash" and method.hard_negatives == "remove"
    sizes = np.bincount(group, minlength=len(heads))
    by_form: dict[int, dict[str, int]] = defaultdict(dict)
    for k in np.flatnonzero(sizes[group] > 1).tolist():
        rank, g = int(long[k]), int(group[k])
        leader = by_form[g].setdefault("" if one else form(texts[rank]), rank)
        if leader != rank:
            edges.follows[rank] = leader
        elif leaders[g][0] != rank:
            leaders[g].append(rank)
    edges.counts["crowded"] = sum(max(0, len(group) - MEMBERS) for group in leaders)
    return leaders


def _expanded(leaders: list[list[int]], pairs: join.Pairs) -> tuple[Indices, Indices]:
    """Pairs of texts for pairs of signatures: each text with the first `MEMBERS` of the other."""

    def packed() -> Iterator[int]:
        for group in leaders:
            for k, i in enumerate(group[:MEMBERS]):
                for j in group[k + 1 :]:
                    yield i << 32 | j
        for g, h in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
            a, b = leaders[g], leaders[h]
            for k, i in enumerate(a):
                for j in b if k < MEMBERS else b[:MEMBERS]:
                    yield min(i, j) << 32 | max(i, j)

    return join.unpacked(np.fromiter(packed(), np.uint64))


def _accept(
    left: Indices,
    right: Indices,
    texts: list[str],
    signed: Signatures,
    method: Method,
    edges: _Edges,
) -> None:
    """Keep the pairs that are near and no hard negatives, of the `PARTNERS` closest of each."""
    closest = np.lexsort((left, -method.likeness(signed, left, right).astype(float), right))
    left, right = left[closest], right[closest]
    _, first, count = np.unique(right, return_index=True, return_counts=True)
    nth = np.arange(len(right)) - np.repeat(first, count)
    edges.counts["crowded"] += int((count > PARTNERS).sum())
    near = method.near(texts, signed, texts, signed)
    left, right = left[nth < PARTNERS], right[nth < PARTNERS]
    for i, j in zip(left.tolist(), right.tolist(), strict=True):
        score = near(i, j)
        if score is None:
            continue
        edges.counts["verified"] += 1
        if method.hard_negatives == "keep" and difference(texts[i], texts[j]):
            edges.counts["refused"] += 1
        else:
            edges.near[i, j] = score


def _keepers(count: int, edges: _Edges) -> dict[int, int]:
    """For every removed text the first of those that stay and are near to it, by rank."""
    earlier: dict[int, list[int]] = defaultdict(list)
    for i, j in edges.near:
        earlier[j].append(i)
    keeper: dict[int, int] = {}
    for rank in range(count):
        if rank in edges.follows:
            leader = edges.follows[rank]
            keeper[rank] = keeper.get(leader, leader)
        elif stay := [i for i in earlier.get(rank, ()) if i not in keeper]:
            keeper[rank] = min(stay)
    return keeper


def _clusters(order: list[int], ranks: list[int], edges: _Edges) -> list[list[int]]:
    """Connected components of at least two places."""
    count = max(ranks, default=-1) + 1
    joined = [*edges.near, *edges.follows.items()]
    left, right = np.array(joined, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1] if count else []
    members: dict[int, list[int]] = defaultdict(list)
    for place, rank in zip(order, ranks, strict=True):
        members[int(labels[rank])].append(place)
    return [places for places in members.values() if len(places) > 1]


def copies(texts: Iterable[object]) -> dict[int, int]:
    """For every item that equals an earlier one: its place, and that of the first such."""
    first: dict[object, int] = {}
    return {i: place for i, text in enumerate(texts) if (place := first.setdefault(text, i)) != i}


def near_any(
    texts: Sequence[str], scored: Sequence[str], method: Method, ray: Ray | None = None
) -> dict[int, int]:
    """For every text equal or near to a scored one: its place, and the first such one's.

    A change of number, name or polarity does not excuse a text, and no bucket is capped.
    """
    if not scored:
        return {}
    places: dict[str, int] = {}
    numbers = [places.setdefault(nfc(text), len(places)) for text in texts]
    targets: dict[str, int] = {}
    for j, text in enumerate(scored):
        targets.setdefault(nfc(text), j)
    distinct, aims, first = list(places), list(targets), list(targets.values())
    found = {i: targets[text] for i, text in enumerate(distinct) if text in targets}
    left, right = sign(distinct, method, ray), sign(aims, method)
    pairs = join.between(method.tables(left), method.tables(right), method.close(left, right))
    near = method.near(distinct, left, aims, right)
    for i, j in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
        if left.grams[i] and right.grams[j] and near(i, j) is not None:
            found[i] = min(first[j], found.get(i, first[j]))
    return {i: found[number] for i, number in enumerate(numbers) if number in found}
