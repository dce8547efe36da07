"""What a vote of given members can reach, and what it would reach if they erred independently."""

import numpy as np


def count_votes(choices: np.ndarray, options: int) -> np.ndarray:
    """Votes by item and option, (items, options), of choices (members, items).

    A choice that is none of the options, as an abstention, counts for none.
    """
    return np.stack([(choices == option).sum(axis=0) for option in range(options)], axis=1)


def lead(votes: np.ndarray) -> np.ndarray:
    """By how many votes the first option of each item leads the second; 0 where they tie."""
    ordered = np.sort(votes, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def ladder(votes: np.ndarray, gold: np.ndarray, members: int) -> dict[str, int]:
    """How many items meet each of ever weaker conditions, so that the figures never fall.

    all: every member is right; majority: more than half are; plurality: the right option has more
    votes than any other; tie: as many as any other, so that a tie rule could find it; any: one
    member is right (the oracle). A rule that follows the most votes ends between plurality and
    tie, whatever it does with ties. `votes` (items, options) are those of `count_votes`.
    """
    items = np.arange(len(gold))
    right = votes[items, gold]
    others = votes.copy()
    others[items, gold] = 0
    conditions = {
        "all": right == members,
        "majority": 2 * right > members,
        "plurality": right > others.max(axis=1),
        "tie": (right >= others.max(axis=1)) & (right > 0),
        "any": right > 0,
    }
    return {name: int(met.sum()) for name, met in conditions.items()}


def wrong_if_independent(accuracies: np.ndarray) -> np.ndarray:
    """Probability that 0, 1 ... all members are wrong on an item if they err independently.

    The Poisson binomial distribution, shape (members + 1,), by convolving one member after the
    other: the binomial where all accuracies are equal.
    """
    chances = np.ones(1)
    for accuracy in accuracies:
        chances = np.convolve(chances, [accuracy, 1 - accuracy])
    return chances


def majority_if_independent(accuracies: np.ndarray) -> float:
    """Probability that more than half of independent members are right (Condorcet, 1785)."""
    chances = wrong_if_independent(accuracies)
    return float(chances[2 * np.arange(len(chances)) < len(accuracies)].sum())
