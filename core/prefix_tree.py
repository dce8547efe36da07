"""The prefix tree of token sequences: each distinct beginning stands in it once.

Nothing but token ids is looked at, so that questions on one dialogue, permuted options and the
continuations of one prompt all share what they can. No model, no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Ids = Sequence[int]


def alike(prompts: Sequence[Ids]) -> tuple[list[int], list[int]]:
    """Places of the prompts in the order of their ids, neighbours alike, longer before shorter.

    The second list holds how many first tokens each shares with the one before it there.
    """
    # descending by ids, so that a prompt that another begins with comes after it; of equal ones
    # the earlier place comes first
    order = sorted(range(len(prompts)), key=lambda place: (list(prompts[place]), -place))[::-1]
    shared = [_common(prompts[one], prompts[other]) for one, other in pairwise(order)]
    return order, [0, *shared][: len(order)]


@dataclass(frozen=True)
class Segment:
    """Tokens `start` to `stop` of a pack, and the earlier stretches of it that they continue."""

    start: int
    stop: int
    before: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Pack:
    """Sequences laid end to end, each without the beginning it shares with the one before it.

    `positions[k]` is the place of `ids[k]` in its own sequence, `last[s]` is where the last token
    of sequence s stands. Every token sees its segment up to itself and what that continues. Since
    sequences that begin alike stand together, all tokens that continue token k stand in one run
    after it, up to `ends[k]`: token q sees token k where k <= q < ends[k].
    """

    ids: list[int]
    positions: list[int]
    ends: list[int]
    segments: list[Segment]
    last: list[int]


def pack(sequences: Sequence[Ids]) -> Pack:
    """Pack sequences so that each distinct beginning stands there once; none may be empty."""
    ids: list[int] = []
    positions: list[int] = []
    ends: list[int] = []
    segments: list[Segment] = []
    last = [0] * len(sequences)
    path: list[int] = []  # where the tokens of the sequence before stand, token by token
    for place, shared in zip(*alike(sequences), strict=True):
        sequence = sequences[place]
        start, stop = len(ids), len(ids) + len(sequence) - shared
        # neighbours begin alike, so a token that this sequence does not continue is continued by
        # none of those that follow: its run ends here
        for left in path[shared:]:
            ends[left] = start
        path = [*path[:shared], *range(start, stop)]
        if stop > start:  # else the sequence is the beginning of the one before
            segments.append(Segment(start, stop, _stretches(path[:shared])))
        ids += sequence[shared:]
        positions += range(shared, len(sequence))
        ends += [0] * (stop - start)  # known once a sequence leaves these tokens
        last[place] = path[-1]
    for left in path:
        ends[left] = len(ids)
    return Pack(ids, positions, ends, segments, last)


@dataclass
class Tree:
    """Rows that begin alike, by their numbers, and how many tokens they have without repeats."""

    rows: list[int] = field(default_factory=list)
    tokens: int = 0


def trees(rows: Sequence[Ids], most: int) -> list[Tree]:
    """Sort rows into trees of at most `most` tokens; a longer row has one of its own.

    A row joins the one it is most alike where they share at least half of it: the questions on a
    dialogue in all their orders, and not all rows that begin with the same words of a template.
    """
    found: list[Tree] = []
    for row, shared in zip(*alike(rows), strict=True):
        length = len(rows[row])
        new = length - shared
        if not found or 2 * shared < length or found[-1].tokens + new > most:
            found.append(Tree())
            new = length
        found[-1].rows.append(row)
        found[-1].tokens += new
    return found


def _common(one: Ids, other: Ids) -> int:
    """How many first tokens two prompts share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((k for k, (a, b) in pairs if a != b), min(len(one), len(other)))


def _stretches(path: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Maximal runs of consecutive numbers, as (first, one after the last)."""
    ends = [k for k in range(1, len(path)) if path[k] != path[k - 1] + 1]
    return tuple(
        (path[start], path[stop - 1] + 1)
        for start, stop in zip([0, *ends], [*ends, len(path)], strict=True)
        if stop > start
    )
