"""Is one run better than another? Tests and intervals over right and wrong answers; no file.

Items of one dialogue rise and fall together, so the bootstraps draw whole groups. McNemar's test
takes items as independent: where the two disagree, believe the bootstrap.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05  # below which a difference is told as one
SAMPLES = 10_000
BATCH = 4_000_000  # draws held at a time: 32 MB


class Interval(NamedTuple):
    """The two ends of a 95 % interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """How much more often the first run is right, as a share, with its interval and p-value."""

    value: float
    low: float
    high: float
    p: float


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value that two runs are equally often right: McNemar (1947).

    `only_first` items were right in the first run alone, `only_second` in the second alone; where
    the runs are equal each such item falls to either side with probability 1/2. 1 where there is
    none. McNemar, Psychometrika 12(2), 153-157; exact by the binomial distribution.
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being several: Holm (1979), Scand. J. Stat. 6(2), 65-70."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, alpha=LEVEL, method="holm")[1]]


def resampled(
    right: ArrayLike, groups: Sequence[str], samples: int = SAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Accuracies (samples × runs) over `samples` draws of whole groups with replacement.

    `right` is items × runs, 0 or 1; `groups` names the dialogue of each item. All runs see the same
    draws, so that columns can be subtracted. Efron & Tibshirani (1993), An Introduction to the
    Bootstrap, chapter 8, with groups as the units: Davison & Hinkley (1997), section 3.8.
    """
    table = np.asarray(right, dtype=np.float64)
    if len(table) != len(groups) or not len(table):
        raise ValueError(f"{len(table)} items, but {len(groups)} groups; both must be as many")
    names, place = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), table.shape[1] + 1))
    np.add.at(sums, place, np.column_stack([table, np.ones(len(table))]))
    rng = np.random.default_rng(seed)
    batch = max(1, BATCH // len(names))
    parts = []
    for start in range(0, samples, batch):
        drawn = rng.integers(len(names), size=(min(batch, samples - start), len(names)))
        drawn += len(names) * np.arange(len(drawn))[:, None]
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        parts.append(times @ sums)
    totals = np.concatenate(parts)
    return totals[:, :-1] / totals[:, -1:]


def interval(sampled: ArrayLike) -> Interval:
    """95 % percentile interval of resampled values (Efron & Tibshirani 1993, chapter 13)."""
    low, high = np.quantile(np.asarray(sampled), [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(low), float(high))


def difference(value: float, sampled: ArrayLike) -> Difference:
    """An observed difference with the interval and the two-sided p-value of its resamples.

    p is twice the smaller share of resamples at or beyond 0, the observed one counted in, so that
    it is never 0 (Davison & Hinkley 1997, section 4.2).
    """
    draws = np.asarray(sampled)
    beyond = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return Difference(value, *interval(draws), min(1.0, 2 * (beyond + 1) / (len(draws) + 1)))


def cluster_bootstrap(
    right: Sequence[bool], groups: Sequence[str], samples: int = SAMPLES, seed: int = 0
) -> Interval:
    """95 % interval of one run's accuracy, whole groups resampled (see `resampled`)."""
    return interval(resampled(np.asarray(right)[:, None], groups, samples, seed))


def paired_bootstrap(
    first: Sequence[bool],
    second: Sequence[bool],
    groups: Sequence[str],
    samples: int = SAMPLES,
    seed: int = 0,
) -> Difference:
    """First accuracy less second over the same items, whole groups resampled (see `resampled`)."""
    drawn = resampled(np.column_stack([first, second]), groups, samples, seed)
    value = float(np.mean(first) - np.mean(second))
    return difference(value, drawn[:, 0] - drawn[:, 1])


def distinguishable(
    only_first: int,
    only_second: int,
    n: int,
    names: tuple[str, str] = ("the first", "the second"),
    corrected: float | None = None,
) -> str:
    """The sentence a person needs about two runs over the same `n` items.

    Judged by McNemar's p-value, or by `corrected` where the pair is one of several (`holm`).
    """
    p = mcnemar(only_first, only_second) if corrected is None else corrected
    what = "McNemar" if corrected is None else "Holm-corrected McNemar"
    reason = f"at n={n} ({what} {told(p)})"
    if p >= LEVEL:
        return f"{names[0]} and {names[1]} are not distinguishable {reason}"
    better, worse = names if only_first > only_second else names[::-1]
    return f"{better} is better than {worse} {reason}"


def told(p: float) -> str:
    """A p-value as it is read: "p = 0.42", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
