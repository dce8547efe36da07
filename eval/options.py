"""Arithmetic over a row's letters and options; no model, no tokenizer, no file.

Letters are as shown (`labels[k]`), options as published; `order[k]` is the published index of the
option shown as label k.
"""

import math
from collections.abc import Sequence

from core.records import Row

DECIMALS = 6  # of a stored log-probability: finer than two engines agree, coarse enough to read


def letter_mass(letter_logprobs: Sequence[float]) -> float:
    """Share of the next token's probability that falls on the row's letters, 0 to 1."""
    return math.fsum(math.exp(value) for value in letter_logprobs)


def log_sum(logprobs: Sequence[float]) -> float:
    """Logarithm of the sum of the probabilities whose logarithms (nats) are given."""
    top = max(logprobs)
    return top + math.log(math.fsum(math.exp(value - top) for value in logprobs))


def option_logprobs(letter_logprobs: Sequence[float], order: Sequence[int]) -> list[float]:
    """Log-probabilities in nats by published option, normalised so that they sum to one.

    `letter_logprobs[k]` belongs to label k and may have any common offset.
    """
    total = log_sum(letter_logprobs)
    published = [0.0] * len(order)
    for shown, index in enumerate(order):
        published[index] = round(letter_logprobs[shown] - total, DECIMALS)
    return published


def share_logprobs(choices: Sequence[int], options: int) -> list[float]:
    """Log of each option's share of the votes, by published option.

    One is added to every count (Laplace's rule), so that an option without a vote stays finite.
    """
    total = len(choices) + options
    return [round(math.log((choices.count(k) + 1) / total), DECIMALS) for k in range(options)]


def choose(logprobs: Sequence[float]) -> int:
    """Published index of the most probable option; of equals, the one published first."""
    return max(range(len(logprobs)), key=lambda index: (logprobs[index], -index))


def gold(row: Row) -> int | None:
    """Published index of the right option, or None where no answer is given."""
    if row.answer is None or row.labels is None or row.order is None:
        return None
    return row.order[row.labels.index(row.answer)]
