"""What is found of members whose agreement, bounds and vote are known beforehand."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import cohen_kappa_score

from ensemble.diagnosis import vote_statistics
from ensemble.diagnosis.diagnosis import Diagnosis
from ensemble.diagnosis.labelled_answers import LabelledAnswers, elect
from ensemble.member_answers import MemberAnswers
from tests.support.scored_rows import rows
from tests.support.vote_table import independent, read, two_options


def majority(members: int, accuracy: float) -> float:
    """Probability that more than half of independent members are right."""
    return float(binom.sf(members // 2, members, accuracy))


def random_answers(members: int, items: int, seed: int) -> LabelledAnswers:
    """Members of 2 to 4 options that abstain now and then, some without log-probabilities."""
    rng = np.random.default_rng(seed)
    options = rng.integers(2, 5, items).astype(np.int8)
    answers = []
    for number in range(members):
        choice = (rng.random(items) * options).astype(np.int8)
        choice[rng.random(items) < 0.15] = -1
        logprobs = np.where(np.arange(4) < options[:, None], -rng.integers(1, 4, (items, 4)), 0.0)
        answers.append(MemberAnswers(options, choice, None if number % 3 == 2 else logprobs))
    return LabelledAnswers(rows(items), options, [f"m{n}" for n in range(members)], answers)


def test_agreement_and_kappa_are_those_of_scikit_learn_on_what_both_answered() -> None:
    choices = random_answers(5, 200, seed=1).choices
    found, kappas = vote_statistics.agreement(choices), vote_statistics.kappa(choices)
    for i in range(5):
        for j in range(5):
            both = (choices[i] >= 0) & (choices[j] >= 0)
            one, other = choices[i][both], choices[j][both]
            assert found[i, j] == pytest.approx((one == other).mean(), abs=1e-12)
            assert kappas[i, j] == pytest.approx(cohen_kappa_score(one, other), abs=1e-12)


def test_measures_of_errors_by_hand() -> None:
    # both right on 3 items, both wrong on 2, only the first right on 1, only the second on 4
    right = np.array([[1, 1, 1, 0, 0, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 1, 1, 1, 1]], dtype=bool)
    assert vote_statistics.double_fault(right).tolist() == [[0.6, 0.2], [0.2, 0.3]]
    assert vote_statistics.disagreement(right).tolist() == [[0.0, 0.5], [0.5, 0.0]]
    assert vote_statistics.q_statistic(right)[0, 1] == pytest.approx(
        (3 * 2 - 1 * 4) / (3 * 2 + 1 * 4)
    )


def test_what_is_not_defined_is_said_to_be_so() -> None:
    always = np.zeros((2, 6), dtype=int)
    assert np.isnan(vote_statistics.kappa(always)).all()
    assert np.isnan(vote_statistics.q_statistic(np.ones((2, 6), dtype=bool))).all()
    never_both = np.array([[0, 1, -1, -1], [-1, -1, 0, 1]])
    assert np.isnan(vote_statistics.agreement(never_both)[0, 1])
    assert np.isnan(vote_statistics.kappa(never_both)[0, 1])


def test_the_ladder_by_hand() -> None:
    # five members, three options, the first is right on every item
    votes = np.array([[5, 0, 0], [3, 2, 0], [2, 1, 1], [2, 2, 1], [1, 4, 0], [0, 5, 0], [0, 0, 0]])
    steps = vote_statistics.ladder(votes, np.zeros(7, dtype=int), members=5)
    assert steps == {"all": 1, "majority": 2, "plurality": 3, "tie": 4, "any": 5}


@pytest.mark.parametrize("seed", range(5))
def test_the_vote_ends_between_plurality_and_tie(seed: int) -> None:
    found = Diagnosis.of(random_answers(4, 300, seed))
    steps = list(found.ladder.values())
    assert list(found.ladder) == ["all", "majority", "plurality", "vote", "tie", "any"]
    assert steps == sorted(steps)
    assert found.ladder["plurality"] < found.ladder["tie"]


@pytest.mark.parametrize("members", [2, 3, 4, 7])
def test_leaving_a_member_out_is_voting_with_the_others(members: int) -> None:
    labelled = random_answers(members, 400, seed=members)
    found = labelled.elected_without_each
    for member in range(members):
        others = [answers for place, answers in enumerate(labelled.answers) if place != member]
        assert found[member].tolist() == elect(others).tolist()
    assert (found != found[0]).any()


def test_independent_wrongs_are_binomial_where_members_are_equal() -> None:
    chances = vote_statistics.wrong_if_independent(np.full(9, 0.7))
    assert chances == pytest.approx(binom.pmf(range(10), 9, 0.3), abs=1e-12)
    assert vote_statistics.majority_if_independent(np.full(9, 0.7)) == pytest.approx(
        majority(9, 0.7)
    )
    # one sure member and one that guesses: half of the items have one wrong
    assert vote_statistics.wrong_if_independent(np.array([1.0, 0.5])).tolist() == [0.5, 0.5, 0.0]


def test_independent_members_reach_what_condorcet_says(tmp_path: Path) -> None:
    found = Diagnosis.of(read(tmp_path, *two_options(independent(5))))
    assert found.score.accuracy == majority(5, 0.75) == 918 / 1024
    assert found.majority_if_independent == pytest.approx(found.ladder["majority"] / 1024)
    assert found.wrong.tolist() == pytest.approx(found.wrong_if_independent.tolist())
    pairs = np.triu_indices(5, k=1)
    assert set(found.pairs["double_fault"][pairs]) == {1 / 16}
    assert set(found.pairs["q"][pairs]) == {0.0}
    assert found.pairs["kappa"][pairs] == pytest.approx(np.full(10, 0.25))
    # four independent members whose ties the first decides are as good as three
    for member in found.members:
        assert member.score.accuracy == 0.75
        assert member.without.value == majority(3, 0.75) - majority(5, 0.75)
        assert member.verdict == "helps"
        assert member.gain.value == (member.won - member.lost) / 1024 == majority(5, 0.75) - 0.75
        assert member.gain.p < 0.001
    assert found.gain.value == majority(5, 0.75) - 0.75
    assert (len(found.gained) - len(found.lost)) / 1024 == found.gain.value
    assert found.gain.differs
    assert found.gain.interval.low > 0


@pytest.mark.parametrize("members", [3, 5])
def test_what_all_have_alike_caps_the_vote(members: int, tmp_path: Path) -> None:
    """On half of the items all members do as the first does, on the others as they like."""
    free = independent(members)
    found = Diagnosis.of(read(tmp_path, *two_options(np.hstack([free, free[[0] * members]]))))
    assert found.score.accuracy == (0.75 + majority(members, 0.75)) / 2
    assert found.ladder["any"] / found.score.n == (0.75 + 1 - 0.25**members) / 2
    assert found.double_faults == pytest.approx(((1 / 4 + 1 / 16) / 2, 1 / 16))
    pairs = np.triu_indices(members, k=1)
    # of 32 items both are right on 21, both wrong on 5, one is on 3 and the other on 3
    assert found.pairs["q"][pairs] == pytest.approx((21 * 5 - 3 * 3) / (21 * 5 + 3 * 3))


def test_independent_members_worse_than_chance_are_made_worse(tmp_path: Path) -> None:
    found = Diagnosis.of(read(tmp_path, *two_options(independent(5, right_in_4=1))))
    assert found.score.accuracy == pytest.approx(majority(5, 0.25))
    assert found.gain.interval.high < 0
    assert {member.verdict for member in found.members} == {"harms"}


def test_members_that_err_alike_add_nothing(tmp_path: Path) -> None:
    found = Diagnosis.of(read(tmp_path, *two_options(independent(4)[[0, 0, 0, 0, 0]])))
    assert found.score.accuracy == 0.75
    assert found.majority_if_independent == pytest.approx(majority(5, 0.75))
    assert found.double_faults == pytest.approx((0.25, 0.0625))
    assert found.pairs["q"].tolist() == found.pairs["kappa"].tolist() == [[1.0] * 5] * 5
    assert (*found.gain, found.gained, found.lost) == (0, None, 1, [], [])
    assert {member.verdict for member in found.members} == {"only noise"}
    assert found.wrong.tolist() == [192, 0, 0, 0, 0, 64]


def test_a_member_that_guesses_is_found_among_good_ones(tmp_path: Path) -> None:
    right = independent(4)
    guess = np.arange(256) // 128 % 2 == 0  # independent of the last three, whose sum decides
    found = Diagnosis.of(read(tmp_path, *two_options(np.vstack([right[1:], guess]))))
    assert [member.verdict == "only noise" for member in found.members] == [False] * 3 + [True]


def test_flips_hardest_items_and_categories(tmp_path: Path) -> None:
    gold = np.array([0, 1, 2, 0, 1, 2])
    choices = np.array(
        [
            [0, 1, 2, 0, 0, 1],  # the best: wrong on the last two
            [1, 1, 0, 1, 1, -1],
            [1, 1, 0, 0, 1, -1],
        ]
    )
    found = Diagnosis.of(read(tmp_path, choices, gold, options=3))
    assert found.labelled.elected.tolist() == [1, 1, 0, 0, 1, 1]
    assert (found.best.name, found.best.score.correct, found.score.correct) == ("m1", 4, 3)
    assert [item.id for item in found.lost] == ["합성-000", "합성-002"]
    (won,) = found.gained
    assert (won.id, won.category, won.answer, won.vote, won.best) == ("합성-004", "반응", 1, 1, 0)
    assert won.votes == [1, 2, 0]
    assert [item.id[-1] for item in found.hardest] == ["5", "0", "2", "3", "4"]
    assert (found.hardest[0].votes, found.hardest[0].best) == ([0, 1, 0], 1)
    assert [member.abstained for member in found.members] == [[], ["합성-005"], ["합성-005"]]
    cause = found.categories["원인"]  # items 0 and 5
    assert (cause.n, cause.vote, cause.none, cause.gained, cause.lost) == (2, 0, 1, 0, 1)
    assert cause.members == pytest.approx(1 / 6)
    assert math.isclose(found.gain.value, -1 / 6)
    for member, answered in zip(found.members, found.labelled.right, strict=True):
        assert member.won == (found.right & ~answered).sum()
        assert member.lost == (answered & ~found.right).sum()
        assert math.isclose(member.gain.value, found.right.mean() - answered.mean())


def test_an_item_that_nobody_answers_has_no_vote_and_is_wrong(tmp_path: Path) -> None:
    found = Diagnosis.of(read(tmp_path, np.array([[-1, 0], [-1, 0]]), np.array([0, 0])))
    assert found.score.correct == 1
    assert found.tied == 0
    assert found.hardest[0].vote is None
