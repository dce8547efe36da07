"""How alike every two members answer and err; arrays only.

`choices` and `right` have a line a member and a column an item; a choice below 0 is none. Measures
come back as arrays (members, members), symmetric, NaN where one is not defined. L. I. Kuncheva and
C. J. Whitaker (2003), Machine Learning 51, 181-207, compare those of `right`.
"""

import numpy as np


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
