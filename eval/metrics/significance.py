"""How sure is an accuracy, and is one run better than another? Right and wrong answers; no file.

Items of one dialogue rise and fall together, so dialogues are drawn, never single items: with
replacement for the interval of an accuracy, with a random sign for the difference of two. Whether
two runs differ is decided in one place, `Difference.differs`, which its interval and p-value agree
with by construction.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.bilingual import Both, korean
from core.particles import attach

LEVEL = 0.05  # a difference whose p-value is no greater is reported as one
FEWEST = 10  # groups; a bootstrap of fewer holds the truth less than 9 times in 10, not 95 in 100
SAMPLES = 10_000
BATCH = 4_000_000  # draws held at a time: 32 MB
DECIMALS = 6  # of a figure in JSON


class Interval(NamedTuple):
    """The two ends of a 95 % interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """How much more often the first of two runs is right, as a share.

    `interval` is None where there are too few groups and where the runs are right on the same
    items; `p` where there are too few groups.
    """

    value: float
    interval: Interval | None
    p: float | None

    @property
    def differs(self) -> bool:
        """Whether one run is better: the interval leaves 0 out, and p is at most `LEVEL`."""
        return self.p is not None and self.p <= LEVEL

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "difference": round(self.value, DECIMALS),
            "interval95": rounded(self.interval),
            "p": None if self.p is None else round(self.p, DECIMALS),
        }


def too_few(groups: Sequence[str]) -> Both | None:
    """Why nothing can be said beyond these items, or None where there are groups enough."""
    count = len(set(groups))
    if count >= FEWEST:
        return None
    what = "1 dialogue or passage is" if count == 1 else f"{count} dialogues or passages are"
    return Both(
        f"{what} too few for intervals over dialogues and for comparisons: {FEWEST} are needed",
        f"대화나 지문이 {count}개뿐이라 대화 단위 구간과 비교를 낼 수 없음: {FEWEST}개가 필요함",
    )


def resampled(
    right: ArrayLike, groups: Sequence[str], samples: int = SAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Accuracies over draws of groups with replacement: the bootstrap with groups as its units.

    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 8; of groups Davison &
    Hinkley (1997), section 3.8.

    Args:
        right: whether each run is right, 0 or 1, of shape (items, runs).
        groups: the dialogue or passage of each item.
        samples: how many draws.
        seed: of the draws.

    Returns:
        Shares from 0 to 1, of shape (samples, runs).

    Raises:
        ValueError: where there is no item, or where items and groups are not as many.
    """
    sums = _sums(right, groups)
    rng = np.random.default_rng(seed)
    parts = []
    for size in _batches(samples, len(sums)):
        drawn = rng.integers(len(sums), size=(size, len(sums)))
        drawn += len(sums) * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        parts.append(times @ sums)
    totals = np.concatenate(parts)
    return totals[:, :-1] / totals[:, -1:]


def intervals(
    right: ArrayLike, groups: Sequence[str], samples: int = SAMPLES, seed: int = 0
) -> list[Interval | None]:
    """95 % percentile interval of each run's accuracy over `resampled` groups.

    None where there are too few groups, and where all draws are alike, as of a run without errors:
    the bootstrap then knows nothing of what it has not seen. Efron & Tibshirani (1993), chapter 13.
    """
    runs = np.asarray(right).shape[1]
    if too_few(groups):
        return [None] * runs
    ends = np.quantile(resampled(right, groups, samples, seed), [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return [Interval(low, high) if low < high else None for low, high in ends.T.tolist()]


def differences(
    right: ArrayLike,
    groups: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    samples: int = SAMPLES,
    seed: int = 0,
) -> list[Difference]:
    """The first's accuracy less the second's for pairs of the runs, all of them true at once.

    Were two runs equally good, a group's difference could as well have the other sign: p is the
    share of the draws of signs whose greatest difference of all pairs, each by its own spread, is
    at least the observed one's, and the interval is as wide as to leave 0 out where p is at most
    `LEVEL`. With one pair and one item a group this is McNemar's exact test (1947). Canay, Romano &
    Shaikh (2017), Econometrica 85(3), 1013-1030, for signs of groups; Westfall & Young (1993),
    Resampling-Based Multiple Testing, for the greatest of several.

    Args:
        right: whether each run is right, 0 or 1, of shape (items, runs).
        groups: the dialogue or passage of each item.
        pairs: columns of `right`, (first, second).
        samples: how many draws of a sign for each group.
        seed: of the draws.

    Returns:
        One difference for each pair; without interval and p where there are too few groups.

    Raises:
        ValueError: where there is no item, or where items and groups are not as many.
    """
    sums = _sums(right, groups)
    gaps = [sums[:, first] - sums[:, second] for first, second in pairs]
    totals = [float(gap.sum()) for gap in gaps]
    if too_few(groups):
        return [Difference(total / len(groups), None, None) for total in totals]
    spreads = [math.sqrt(float((gap**2).sum())) for gap in gaps]
    drawn = _signed(sums[:, :-1], samples, seed)
    greatest = np.zeros(samples)
    for (first, second), spread in zip(pairs, spreads, strict=True):
        if spread:
            one = np.abs(drawn[:, first] - drawn[:, second]) / spread
            np.maximum(greatest, one, out=greatest)
    greatest.sort()
    limit = greatest[-int(LEVEL * (samples + 1))]
    found = []
    for total, spread in zip(totals, spreads, strict=True):
        if not spread:
            found.append(Difference(0.0, None, 1.0))
            continue
        beyond = samples - int(np.searchsorted(greatest, abs(total) / spread))
        ends = (total - limit * spread, total + limit * spread)
        low, high = (max(-1.0, min(1.0, end / len(groups))) for end in ends)
        p = (beyond + 1) / (samples + 1)
        found.append(Difference(total / len(groups), Interval(low, high), p))
    return found


def verdict(found: Difference, first: str, second: str, n: int) -> Both:
    """The sentence a person needs about two runs over the same `n` items."""
    pair = f"{attach(korean(first), '과')} {attach(korean(second), '은')}"
    if found.p is None:
        return Both(
            f"{first} and {second} are not compared: too few dialogues or passages",
            f"{pair} 비교하지 않음: 대화나 지문이 너무 적음",
        )
    reason = f"n={n}", f"({p_value_text(found.p)})"
    if not found.differs:
        return Both(
            f"{first} and {second} are not distinguishable at {' '.join(reason)}",
            f"{pair} {reason[0]}에서 구별되지 않음 {reason[1]}",
        )
    better, worse = (first, second) if found.value > 0 else (second, first)
    return Both(
        f"{better} is better than {worse} at {' '.join(reason)}",
        f"{attach(korean(better), '이')} {korean(worse)}보다 나음, {' '.join(reason)}",
    )


def p_value_text(p: float) -> str:
    """A p-value as it is read: "p = 0.42", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def rounded(found: Interval | None) -> list[float] | None:
    """An interval for JSON."""
    return found and [round(end, DECIMALS) for end in found]


def _sums(right: ArrayLike, groups: Sequence[str]) -> NDArray[np.float64]:
    """Right answers of each run, and in the last column items: groups × (runs + 1)."""
    table = np.asarray(right, dtype=np.float64)
    if len(table) != len(groups) or not len(table):
        raise ValueError(f"{len(table)} items, but {len(groups)} groups; both must be as many")
    names, place = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), table.shape[1] + 1))
    np.add.at(sums, place, np.column_stack([table, np.ones(len(table))]))
    return sums


def _signed(sums: NDArray[np.float64], samples: int, seed: int) -> NDArray[np.float64]:
    """The groups' sums added up with random signs, samples × runs; integers, so exact."""
    rng = np.random.default_rng(seed)
    parts = []
    for size in _batches(samples, len(sums)):
        signs = 2.0 * rng.integers(2, size=(size, len(sums)), dtype=np.int8) - 1.0
        parts.append(signs @ sums)
    return np.concatenate(parts)


def _batches(samples: int, groups: int) -> Iterator[int]:
    """How many samples are drawn at a time."""
    most = max(1, BATCH // groups)
    for start in range(0, samples, most):
        yield min(most, samples - start)
