"""The hard vote: one ballot a model, ties settled by a stated rule; no file, no model."""

import math
from collections import Counter
from collections.abc import Sequence

from prep.records import Prediction

DECIMALS = 6  # as stored log-probabilities: sums that differ by less are equal


def winner(ballots: Sequence[Prediction]) -> int:
    """Published index of the option that most models chose.

    A tie goes to the tied option with the greatest sum of log-probabilities over all models; if
    that ties too, to the one among them that the earliest of `ballots` chose.
    """
    votes = Counter(ballot.choice for ballot in ballots)
    most = max(votes.values())
    tied = [choice for choice, count in votes.items() if count == most]
    sums = {
        choice: round(math.fsum(ballot.logprobs[choice] for ballot in ballots), DECIMALS)
        for choice in tied
    }
    best = max(sums.values())
    return next(ballot.choice for ballot in ballots if sums.get(ballot.choice) == best)


def vote_logprobs(ballots: Sequence[Prediction]) -> list[float]:
    """Log of each option's share of the votes, by published option.

    One is added to every count (Laplace's rule), so that an option without a vote stays finite.
    """
    votes = Counter(ballot.choice for ballot in ballots)
    options = range(len(ballots[0].logprobs))
    total = len(ballots) + len(options)
    return [round(math.log((votes[option] + 1) / total), DECIMALS) for option in options]
