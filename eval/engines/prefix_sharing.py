"""Prompts that begin alike: which to score together, and which before others."""

from collections.abc import Sequence

from core.prefix_tree import Ids, alike

PASS = 32  # tokens that one more forward pass is worth: what it costs whatever it holds


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
