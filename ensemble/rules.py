"""Voting rules: running sums over the members' answers, and what they decide; no file, no model.

A rule says what an answer gives to each option; a tally adds that up member by member, so that its
memory depends on the items alone, and decides at the end.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ensemble.member_answers import MemberAnswers, offered

Floats = NDArray[np.float64]
DECIMALS = 6  # as stored log-probabilities: sums that differ by less are equal
SURE = math.log((1 - 5e-7) / 5e-7)  # log-odds of the greatest probability below 1 that has DECIMALS


def one_vote(answers: MemberAnswers) -> Floats:
    """1 for the option chosen and 0 for the others, [items, options]."""
    return (answers.choice[:, None] == np.arange(answers.width, dtype=np.int8)).astype(np.float64)


def probabilities(answers: MemberAnswers) -> Floats:
    """The probability of each option, [items, options]; 0 for all where the member abstains."""
    if answers.logprobs is None:
        return np.zeros(answers.offered.shape)  # of a member that never answers
    return answers.where_answered(np.exp(answers.logprobs))


def log_odds(answers: MemberAnswers) -> Floats:
    """log(p / (1 - p)) of each option, at most `SURE` from 0; 0 where the member abstains."""
    if answers.logprobs is None:
        return np.zeros(answers.offered.shape)
    logprobs = np.minimum(answers.logprobs, -5e-7)
    odds = np.clip(logprobs - np.log(-np.expm1(logprobs)), -SURE, SURE)
    return answers.where_answered(odds)


@dataclass(frozen=True)
class Rule:
    """What an answer gives to each option, and what settles a tie, one after the other.

    After the last of `ties`, the option published first wins. `mean` divides the sums by the
    weights of those who answered. `exact` compares sums as floats, with the noise they have.
    """

    what: str
    gives: Callable[[MemberAnswers], Floats]
    mean: bool = False
    ties: tuple[str, ...] = ("log-probabilities", "the file named first")
    exact: bool = False

    @property
    def needs_logprobs(self) -> bool:
        """Whether a member that gives a choice alone cannot take part."""
        return self.gives is not one_vote

    @property
    def gives_probabilities(self) -> bool:
        """Whether the vote's own log-probabilities are those of probabilities, as its members'."""
        return self.gives is probabilities


K_FOLD = "k-fold"
NLP_13 = (0.3, 0.2, 0.2, 0.2, 0.1, 0.1)  # as in its code, for six files; they sum to 1.1
RULES = {
    "hard": Rule("the option that most models chose", one_vote),
    "weighted": Rule("the option whose voters have the greatest sum of weights", one_vote),
    "soft": Rule("the greatest mean probability", probabilities, mean=True),
    K_FOLD: Rule(
        "the greatest mean over recipes of the mean probability over the folds of each",
        probabilities,
        mean=True,
    ),
    "log-odds": Rule(
        "the greatest mean of log(p / (1 - p)), each at most 14.5 from 0", log_odds, mean=True
    ),
    "stacking": Rule("the greatest score of a logistic regression on the log-odds", log_odds),
    "nlp-13": Rule(
        "six files with weights .3, .2, .2, .2, .1, .1; of equal options the lowest number",
        one_vote,
        ties=(),
        exact=True,
    ),
    "pohanghang": Rule(
        "most votes; of equal options the one that the file named first among them chose",
        one_vote,
        ties=("the file named first",),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What was decided, [items] each, and how many ties each step settled.

    `choice` is -1 where no member answered. `logprobs` [items, options] are 0 beyond an item's
    options, and None of rules that count votes: shares of votes are no probabilities.
    """

    members: int
    choice: NDArray[np.int8]
    logprobs: Floats | None
    answered: NDArray[np.int32]
    unanimous: NDArray[np.bool_]
    settled: dict[str, int]


class Tally:
    """The running sums of a rule over some items."""

    def __init__(self, rule: Rule, options: NDArray[np.int8], intercept: float = 0.0) -> None:
        """`options` [items]: how many each item has. `intercept`: of a logistic regression."""
        self.rule, self.options, self.intercept = rule, options, intercept
        self.offered = offered(options)
        self.members = 0
        shape = self.offered.shape
        self.answered = np.zeros(len(options), np.int32)
        self.weight = np.zeros(len(options))  # of the members that answered
        self.score = np.zeros(shape)
        self.logprobs = np.zeros(shape)  # summed, for ties
        self.first = np.zeros(shape, np.int32)  # -1 - place of its first voter, or 0

    def add(self, answers: MemberAnswers, weight: float | Floats = 1.0) -> None:
        """Count one member's answers; `weight` may differ from item to item.

        An abstention adds nothing: no vote, no log-probability, no weight.
        """
        answered = answers.answered
        self.answered += answered
        self.weight += answered * weight
        of_item = weight[:, None] if isinstance(weight, np.ndarray) else weight
        self.score += self.rule.gives(answers) * of_item
        if answers.logprobs is not None:
            known = answers.where_answered(answers.logprobs)
            self.logprobs += np.where(np.isnan(known), 0.0, known)
        voted, chosen = np.flatnonzero(answered), answers.choice[answered]
        new = self.first[voted, chosen] == 0
        self.first[voted[new], chosen[new]] = -1 - self.members
        self.members += 1

    def decide(self) -> Outcome:
        """The choice of each item, by the rule and then by what settles its ties."""
        weight = np.maximum(self.weight, np.finfo(float).tiny)[:, None]
        score = self.score / weight if self.rule.mean else self.score
        steps = {
            "": score if self.rule.exact else score.round(DECIMALS),
            "log-probabilities": self.logprobs.round(DECIMALS),
            "the file named first": np.where(self.first, self.first, -np.inf),
        }
        left, settled = self.offered, {}
        tied = len(self.options)
        for name in ("", *self.rule.ties):
            key = np.where(left, steps[name], -np.inf)
            left = left & (key == key.max(axis=1, keepdims=True))
            before, tied = tied, int((left.sum(axis=1) > 1).sum())
            settled[name] = before - tied
        settled["the option published first"] = tied
        del settled[""]  # those were no ties
        choice = np.where(self.answered > 0, left.argmax(axis=1), -1).astype(np.int8)
        unanimous = ((self.first < 0).sum(axis=1) == 1) & (self.answered == self.members)
        logprobs = self._logprobs(score) if self.rule.needs_logprobs else None
        return Outcome(self.members, choice, logprobs, self.answered, unanimous, settled)

    def _logprobs(self, score: Floats) -> Floats:
        """What the vote itself says of each option, normalised."""
        share = expit(score + self.intercept) if self.rule.gives is log_odds else score
        share = np.where(self.offered, np.maximum(share, np.finfo(float).tiny), 0.0)
        share /= share.sum(axis=1, keepdims=True)
        return np.log(share, where=self.offered, out=np.zeros_like(share)).round(DECIMALS)
