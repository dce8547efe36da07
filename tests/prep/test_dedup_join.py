"""The banded join against brute force."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prep.dedup import join, simhash


def close_to(left: np.ndarray, right: np.ndarray, bits: int) -> join.Close:
    return lambda i, j: simhash.distance(left[i], right[j]) <= bits


def within(signs: np.ndarray, bits: int, widest: int = simhash.WIDEST) -> join.Pairs:
    return join.within(simhash.keys(signs, bits), close_to(signs, signs, bits), widest)


def pairs(found: join.Pairs) -> list[tuple[int, int]]:
    return list(zip(found.left.tolist(), found.right.tolist(), strict=True))


@st.composite
def signatures(draw: st.DrawFn) -> np.ndarray:
    """Distinct signatures, many of them within some bits of others."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    base = [rng.getrandbits(64) for _ in range(draw(st.integers(0, 12)))]
    flipped = {
        value ^ sum(1 << bit for bit in rng.sample(range(64), rng.randrange(10)))
        for value in base
        for _ in range(6)
    }
    return np.array(sorted(flipped | set(base)), np.uint64)


@pytest.mark.parametrize("bits", range(8))
@given(left=signatures(), right=signatures(), data=st.data())
@settings(max_examples=25)
def test_the_join_finds_what_brute_force_finds(
    bits: int, left: np.ndarray, right: np.ndarray, data: st.DataObject
) -> None:
    right = np.concatenate([right, left[::2] ^ np.uint64(2**bits - 1)])
    a, b = left.tolist(), right.tolist()
    wanted = [(i, j) for j in range(len(a)) for i in range(j) if (a[i] ^ a[j]).bit_count() <= bits]
    assert pairs(within(left, bits)) == sorted(wanted)
    wanted = [
        (i, j) for i in range(len(a)) for j in range(len(b)) if (a[i] ^ b[j]).bit_count() <= bits
    ]
    between = join.between(
        simhash.keys(left, bits), simhash.keys(right, bits), close_to(left, right, bits)
    )
    assert pairs(between) == wanted
    assert len(wanted) >= len(left[::2])


def test_the_join_in_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "CHUNK", 5)
    signs = np.array([1, 2, 3, 4, 1 << 40], dtype=np.uint64)
    # 3 differs from 4 and from 2**40 in three bits
    assert pairs(within(signs, 2)) == [
        (i, j) for i in range(5) for j in range(i + 1, 5) if (i, j) not in ((2, 3), (2, 4))
    ]


def test_a_crowded_bucket_is_capped_and_counted() -> None:
    signs = np.arange(600, dtype=np.uint64) << np.uint64(33)  # one bucket in two of four tables
    every = within(signs, 3)
    assert every.capped == 0
    capped = within(signs, 3, 20)
    assert capped.capped >= 2
    assert capped.candidates < 4 * 20 * 600 < every.candidates
    assert set(pairs(capped)) < set(pairs(every))


@pytest.mark.slow
def test_two_hundred_thousand_signatures_in_one_bucket() -> None:
    signs = np.random.default_rng(1).permutation(2**18)[:100_000].astype(np.uint64)
    found = within(np.sort(signs), 0)
    assert len(found.left) == 0
    crowded = within(np.sort(signs) << np.uint64(40), 1)
    assert crowded.capped == 1
