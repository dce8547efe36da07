"""A hard vote in figures: counts, bounds, each member left out, members two by two; arrays only.

`choices` and `right` have a line a member and a column an item; a choice below 0 is none. Measures
of two members come back as arrays (members, members), symmetric, NaN where one is not defined.
L. I. Kuncheva and C. J. Whitaker (2003), Machine Learning 51, 181-207, compare those of `right`.
"""

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


def agreement(choices: np.ndarray) -> np.ndarray:
    """Share of equal choices among the items that both members answered, 0 to 1."""
    same, both, _ = _answers(choices)
    return _ratio(same, both)


def kappa(choices: np.ndarray) -> np.ndarray:
    """Agreement beyond chance, at most 1: J. Cohen (1960), Educ. Psychol. Meas. 20(1), 37-46.

    Chance is what two members would agree on that choose each published option as often as these
    do. Of the items that both answered; not defined where both always choose one and the same.
    """
    same, both, by_chance = _answers(choices)
    return _ratio(same - by_chance, both - by_chance)


def double_fault(right: np.ndarray) -> np.ndarray:
    """Share of the items that both have wrong, 0 to 1; on the diagonal each member's error.

    G. Giacinto and F. Roli (2001), Image and Vision Computing 19(9-10), 699-707.
    """
    wrong = (~right).astype(float)
    return wrong @ wrong.T / right.shape[1]


def disagreement(right: np.ndarray) -> np.ndarray:
    """Share of the items that exactly one of the two has right: D. B. Skalak (1996), AAAI."""
    one = _only_first(right)
    return (one + one.T) / right.shape[1]


def q_statistic(right: np.ndarray) -> np.ndarray:
    """Association of two members' errors, -1 to 1, 0 where independent: G. U. Yule (1900).

    Not defined where the two are never both right or both wrong, nor ever apart.
    """
    hits = right.astype(float)
    alike = (hits @ hits.T) * ((1 - hits) @ (1 - hits).T)
    one = _only_first(right)
    apart = one * one.T
    return _ratio(alike - apart, alike + apart)


def _only_first(right: np.ndarray) -> np.ndarray:
    """On how many items the member of the line is right and that of the column wrong."""
    hits = right.astype(float)
    return hits @ (1 - hits).T


def _answers(choices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts: equal choices, items that both answered, equal choices expected by chance."""
    answered = (choices >= 0).astype(float)
    both = answered @ answered.T
    same, by_chance = np.zeros_like(both), np.zeros_like(both)
    for option in range(choices.max(initial=0) + 1):
        chosen = (choices == option).astype(float)
        same += chosen @ chosen.T
        of_both = chosen @ answered.T
        by_chance += of_both * of_both.T
    return same, both, _ratio(by_chance, both)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)
