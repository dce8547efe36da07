"""The prefix tree of token sequences: each distinct beginning stands in it once.

Nothing but token ids is looked at, so that questions on one dialogue, permuted options and the
continuations of one prompt all share what they can: laid out as a pack, sorted into trees, into
parts to score together, or into waves one before another. No model, no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Ids = Sequence[int]
PASS = 32  # tokens that one more forward pass is worth: what it costs whatever it holds


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


def cut(shared: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Cut a row of neighbours into parts (start, stop) of at most `most`, losing the least.

    `shared` as `alike` gives it; a cut loses what the two sides share, and a pass of its own.
    """
    # dynamic programming over where the last part starts: best[k] is the least loss of the first k
    # rows, and the start of the last part by which it is reached
    best: list[tuple[int, int]] = [(0, 0)]
    for stop in range(1, len(shared) + 1):
        starts = range(max(0, stop - most), stop)
        best.append(min((best[start][0] + shared[start] + PASS, start) for start in starts))
    parts, stop = [], len(shared)
    while stop:  # back from the end, part by part
        parts.append((best[stop][1], stop))
        stop = best[stop][1]
    return parts[::-1]


def parts(prompts: Sequence[Ids], most: int) -> list[list[int]]:
    """Places of the prompts in parts of at most `most`, those that begin alike together.

    A prompt that is the beginning of another stands with it and does not count.
    """
    order, shared = alike(prompts)
    # a prompt all of whose tokens are shared is the beginning of the one before it: no part of its
    # own begins there, and it stays with that one
    heads = [k for k, place in enumerate(order) if not k or shared[k] < len(prompts[place])]
    ends = [*heads[1:], len(order)]
    return [
        order[heads[start] : ends[stop - 1]]
        for start, stop in cut([shared[head] for head in heads], most)
    ]


def waves(prompts: Sequence[Ids], block: int) -> list[list[int]]:
    """Places of the prompts in waves: what a prompt shares with others stands in an earlier wave.

    For an engine that finds a beginning only once it is completely computed, in blocks of `block`.
    """
    found: list[list[int]] = []
    path: list[tuple[int, int]] = []  # up to which token, computed in which wave
    for place, common in zip(*alike(prompts), strict=True):
        usable = common // block * block  # only full blocks can be taken from the cache
        # one wave after the first on the path that has computed that far
        wave = next((1 + wave for end, wave in path if end >= usable), 0) if usable else 0
        # no later prompt shares more than `common` with what came before this one; the common part
        # itself is there from the wave before this prompt's
        path = [(end, number) for end, number in path if end < common]
        path += [(common, wave - 1)] * (wave > 0) + [(len(prompts[place]), wave)]
        found += [[] for _ in range(wave + 1 - len(found))]
        found[wave].append(place)
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
