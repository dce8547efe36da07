"""Which chunks answer a query best: by words (BM25), by meaning (vectors), or by both.

Both are joined by their ranks: Cormack, Clarke & Buettcher (2009), Reciprocal Rank Fusion
outperforms Condorcet and individual Rank Learning Methods, with their constant of 60.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from prep.retrieval.chunks import Chunk
from prep.retrieval.knowledge import Knowledge
from prep.retrieval.settings import Ranking
from prep.retrieval.vectors import Vectors

CONSTANT = 60
DEPTH = 100  # chunks of each ranking that are joined
DECIMALS = 6  # of a joined score


class Wanted(NamedTuple):
    """What is searched for, as a text and as words."""

    text: str
    words: list[str]


@dataclass(frozen=True)
class Hit:
    """A chunk found, its score, and why: what each word of the query gave to its BM25 score, and
    its rank by each of the rankings that were joined."""

    chunk: Chunk
    score: float
    words: dict[str, float]
    ranks: dict[str, int] = field(default_factory=dict)


def ranked(
    wanted: Wanted,
    knowledge: Knowledge,
    vectors: Vectors | None,
    method: Ranking,
    k: int,
    threshold: float = 0.0,
) -> list[Hit]:
    """The `k` chunks with the highest scores above `threshold`; of equal ones, the first.

    The score is BM25's, a cosine, or the sum of 1 / (60 + rank) over both.
    """
    if method == "bm25" or vectors is None:
        best = knowledge.best(knowledge.scores(wanted.words), k, threshold)
        return [_hit(knowledge, wanted, place, score) for place, score in best]
    depth = k if method == "dense" else DEPTH
    found = vectors.scores(wanted.text, depth + knowledge.left_out)
    if method == "dense":
        best = knowledge.best(found, k, threshold)
        return [Hit(knowledge.chunks[place], score, {}) for place, score in best]
    rankings = {"bm25": knowledge.scores(wanted.words), "dense": found}
    ranks: dict[int, dict[str, int]] = {}
    joined: dict[int, float] = defaultdict(float)
    for name, scores in rankings.items():
        for rank, (place, _) in enumerate(knowledge.best(scores, DEPTH), start=1):
            ranks.setdefault(place, {})[name] = rank
            joined[place] += 1 / (CONSTANT + rank)
    total = np.zeros(len(knowledge.chunks))
    for place, score in joined.items():
        total[place] = round(score, DECIMALS)
    return [
        _hit(knowledge, wanted, place, score, ranks[place])
        for place, score in knowledge.best(total, k, threshold)
    ]


def _hit(
    knowledge: Knowledge,
    wanted: Wanted,
    place: int,
    score: float,
    ranks: dict[str, int] | None = None,
) -> Hit:
    words = knowledge.parts(wanted.words, place)
    return Hit(knowledge.chunks[place], score, words, ranks or {})
