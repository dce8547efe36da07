"""Do probabilities mean what they say? Calibration and errors by position; no model, no file."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Items whose chosen option's probability lies in (low, high]: means over its n items."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(confidence: Sequence[float], right: Sequence[bool], count: int = BINS) -> list[Bin]:
    """The non-empty ones of `count` bins of equal width over 0 to 1, for the calibration curve.

    `confidence` is the probability of the option chosen. DeGroot & Fienberg (1983), The
    Statistician 32, 12-22; in this form Guo et al. (2017), On Calibration of Modern Neural
    Networks, section 2.
    """
    members: dict[int, list[int]] = {}
    for item, value in enumerate(confidence):
        members.setdefault(min(max(math.ceil(value * count) - 1, 0), count - 1), []).append(item)
    return [
        Bin(
            place / count,
            (place + 1) / count,
            len(items),
            math.fsum(confidence[item] for item in items) / len(items),
            sum(right[item] for item in items) / len(items),
        )
        for place, items in sorted(members.items())
    ]


def ece(bins: Sequence[Bin]) -> float:
    """Expected calibration error, 0 to 1: Guo et al. (2017), equation 3.

    The mean distance of confidence and accuracy over the bins, each weighted by its items.
    """
    total = sum(one.n for one in bins)
    return math.fsum(one.n * abs(one.accuracy - one.confidence) for one in bins) / total


def brier(probabilities: Sequence[Sequence[float]], golds: Sequence[int]) -> float:
    """Mean squared distance of an item's probabilities from the right answer, summed over options.

    From 0 to 2, the lower the better; guessing evenly over k options scores 1 - 1/k. Brier (1950),
    Monthly Weather Review 78(1), 1-3, in its original form of several classes.
    """
    return math.fsum(
        (value - (option == gold)) ** 2
        for item, gold in zip(probabilities, golds, strict=True)
        for option, value in enumerate(item)
    ) / len(golds)


def confusion(
    truth: Sequence[str], chosen: Sequence[str | None], names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How often each right name (outer) was answered by each name; "none" counts no answer."""
    table = {one: dict.fromkeys((*names, "none"), 0) for one in names}
    for right, given in zip(truth, chosen, strict=True):
        table[right][given or "none"] += 1
    return table


def recalls(table: dict[str, dict[str, int]]) -> dict[str, float]:
    """Of each name that is ever right, the share of its items answered by it."""
    return {name: row[name] / sum(row.values()) for name, row in table.items() if sum(row.values())}


def rstd(recall: dict[str, float]) -> float:
    """Standard deviation of the recalls, 0 to 0.5: how much a model prefers positions.

    Zheng et al. (2024), Large Language Models Are Not Robust Multiple Choice Selectors, section 2.2
    (RStd). 0 where every position is found equally often.
    """
    return statistics.pstdev(recall.values())
