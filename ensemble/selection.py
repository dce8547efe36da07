"""Weights fitted on answers that are known: accuracy, greedy selection, stacking. No file.

All take the member answers by name and the right options, and give a `Weights`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from ensemble.member_answers import MemberAnswers
from ensemble.member_weights import Weights
from ensemble.rules import DECIMALS, Floats, log_odds, probabilities

ROUNDS = 50  # of greedy selection: no member's share is finer than 1 in 50
Ints = NDArray[np.int64]
Fit = Callable[[Mapping[str, MemberAnswers], Ints, Sequence[str]], Weights]


def by_accuracy(
    members: Mapping[str, MemberAnswers], gold: Ints, categories: Sequence[str]
) -> Weights:
    """Weights for votes: the log-odds of a member's accuracy less those of chance, none below 0.

    The best weights where members err independently (Nitzan and Paroush 1982, for two options;
    for more, wrong ones being alike). Accuracy is over what the member answers, by Laplace's rule.
    """
    weights = {}
    for name, answers in members.items():
        answered = answers.answered
        right = int((answers.choice == gold)[answered].sum())
        chances = np.reciprocal(answers.options, dtype=float)[answered]
        chance = float(chances.mean()) if answered.any() else 0.5
        worth = logit((right + 1) / (answered.sum() + 2)) - logit(chance)
        weights[name] = round(max(0.0, float(worth)), DECIMALS)
    return Weights(rule="weighted", weights=weights)


def greedy(members: Mapping[str, MemberAnswers], gold: Ints, categories: Sequence[str]) -> Weights:
    """Weights for the soft vote: members added one by one, with replacement (Caruana et al. 2004).

    Each round adds the member whose addition makes most answers right; of equal ones that with the
    greatest mean log-probability of the right options, then the first. What stood best after any
    round stays. A tie counts as wrong: what settles it in a vote, no weight has earned.
    """
    given = [probabilities(answers) for answers in members.values()]
    items = np.arange(len(gold))

    def quality(summed: Floats) -> tuple[int, float]:
        total = np.maximum(summed.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        share = summed[items, gold] / total[:, 0]
        others = (summed / total).round(DECIMALS)
        others[items, gold] = 0
        right = int((share.round(DECIMALS) > others.max(axis=1)).sum())
        return right, round(float(np.log(np.maximum(share, 1e-12)).mean()), DECIMALS)

    summed, taken = np.zeros_like(given[0]), np.zeros(len(given), int)
    best, kept = (-1, -np.inf), taken
    for _ in range(ROUNDS):
        found = [quality(summed + one) for one in given]
        place = found.index(max(found))
        summed += given[place]
        taken = taken + np.eye(len(given), dtype=int)[place]
        if found[place] > best:
            best, kept = found[place], taken
    shares = kept / kept.sum()
    weights = {name: round(float(w), DECIMALS) for name, w in zip(members, shares, strict=True)}
    return Weights(rule="soft", weights=weights)


def stacking(
    members: Mapping[str, MemberAnswers], gold: Ints, categories: Sequence[str]
) -> Weights:
    """A logistic regression (Wolpert 1992): is this option right, by the members' log-odds of it?

    Options are rows of their own, so that items of any number of options fit and no position is
    learnt. A member has one coefficient for all categories and one more for each, both drawn to
    0 (L2, C = 1), so that a category with few questions keeps near the common one.
    """
    offered = next(iter(members.values())).offered
    odds = np.stack([log_odds(answers)[offered] for answers in members.values()], axis=1)
    names = sorted(set(categories))
    of_row = np.repeat(np.searchsorted(names, list(categories)), offered.sum(axis=1))
    own = [odds * (of_row == number)[:, None] for number in range(len(names))]
    features = np.hstack([odds, *own]) if len(names) > 1 else odds
    right = (np.arange(offered.shape[1]) == gold[:, None])[offered]
    from sklearn.linear_model import LogisticRegression  # seconds to import, and only wanted here

    fitted = LogisticRegression(C=1.0, max_iter=10_000).fit(features, right)
    common, *more = fitted.coef_[0].reshape(-1, len(members)).round(DECIMALS).tolist()
    return Weights(
        rule="stacking",
        weights=dict(zip(members, common, strict=True)),
        by_category={
            category: dict(zip(members, of_category, strict=True))
            for category, of_category in zip(names, more, strict=bool(more))
        },
        intercept=round(float(fitted.intercept_[0]), DECIMALS),
    )


FITS: dict[str, Fit] = {"weighted": by_accuracy, "greedy": greedy, "stacking": stacking}
