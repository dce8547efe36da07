"""The voting rules, against sums worked by hand and the known systems' own rules written out."""

import math
import random

import numpy as np
import pytest

from core.records import Prediction
from ensemble.member_answers import MemberAnswers
from ensemble.rules import NLP_13, RULES, Outcome, Tally


def predicted(
    choice: int | None, logprobs: list[float] | None = None, options: int = 3
) -> Prediction:
    order = list(range(len(logprobs) if logprobs else options))
    return Prediction(id="합성-1", order=order, logprobs=logprobs, choice=choice)


def decided(
    rule: str, *members: list[Prediction], weights: tuple = (), start: float = 0
) -> Outcome:
    options = np.array([len(one.order) for one in members[0]], np.int8)
    tally = Tally(RULES[rule], options, start)
    for place, member in enumerate(members):
        tally.add(MemberAnswers.of(member), weights[place] if weights else 1.0)
    return tally.decide()


def winner(answers: list[Prediction]) -> int | None:
    """The hard vote on one item, or None where every model abstains."""
    choice = int(decided("hard", *([one] for one in answers)).choice[0])
    return None if choice < 0 else choice


def logs(*shares: float) -> list[float]:
    return [math.log(share) for share in shares]


def test_most_votes_win_whatever_the_log_probabilities() -> None:
    answers = [
        predicted(2, [-1.2, -1.3, -0.9]),
        predicted(0, [-0.01, -9.0, -9.0]),
        predicted(2, [-1.2, -1.3, -0.9]),
    ]
    assert winner(answers) == 2


def test_the_greater_sum_of_log_probabilities_settles_a_tie() -> None:
    # one vote each; sums over all three: option 0 −5.1, option 1 −5.0, option 2 −5.2
    answers = [
        predicted(0, [-0.1, -2.0, -2.6]),
        predicted(1, [-2.5, -0.5, -2.5]),
        predicted(2, [-2.5, -2.5, -0.1]),
    ]
    assert winner(answers) == 1
    assert winner(answers[::-1]) == 1


def test_the_sum_is_over_the_tied_options_only() -> None:
    # options 0 and 1 have two votes each; option 2, with one, has the greatest sum
    answers = [
        predicted(0, [-0.5, -3.0, -0.6]),
        predicted(0, [-0.5, -3.0, -0.6]),
        predicted(1, [-3.0, -0.4, -0.6]),
        predicted(1, [-3.0, -0.4, -0.6]),
        predicted(2, [-3.0, -3.1, -0.1]),
    ]
    assert winner(answers) == 1


def test_the_file_named_first_settles_a_tie_of_sums() -> None:
    answers = [predicted(2, [-3.0, -1.0, -0.5]), predicted(1, [-3.0, -0.5, -1.0])]
    assert winner(answers) == 2
    assert winner(answers[::-1]) == 1


def test_sums_that_differ_by_noise_alone_are_equal() -> None:
    # in floats −0.1 − 0.2 is less than −0.3
    answers = [predicted(1, [-0.2, -0.3]), predicted(0, [-0.1, -0.0])]
    assert -0.2 - 0.1 != -0.3
    assert winner(answers) == 1
    assert winner(answers[::-1]) == 0


def test_abstentions_and_answers_without_log_probabilities() -> None:
    silent, greedy = predicted(None), predicted(1)
    assert winner([silent, greedy, predicted(0, [-0.1, -2.0, -3.0])]) == 0
    assert winner([silent, greedy]) == 1
    assert winner([silent, silent]) is None
    # an answer that cannot be read takes its log-probabilities with it
    unread = predicted(None, [-0.01, -9.0, -9.0])
    tied = [predicted(1, [-3.0, -0.1, -3.0]), predicted(0, [-0.2, -3.0, -3.0])]
    assert winner([*tied, unread]) == winner(tied) == 1


def test_what_settled_the_ties_is_counted() -> None:
    one = [
        predicted(0, [-0.1, -3.0]),
        predicted(1, [-1.0, -0.5]),
        predicted(0, [-0.5, -1.0]),
        predicted(0),
    ]
    two = [
        predicted(0, [-0.1, -3.0]),
        predicted(0, [-0.5, -1.0]),
        predicted(1, [-2.0, -0.2]),
        predicted(None),
    ]
    two[3] = two[3].model_copy(update={"order": [0, 1]})
    one[3] = one[3].model_copy(update={"order": [0, 1]})
    found = decided("hard", one, two)
    assert found.choice.tolist() == [0, 1, 1, 0]
    assert found.settled == {
        "log-probabilities": 1,
        "the file named first": 1,
        "the option published first": 0,
    }
    assert found.unanimous.tolist() == [True, False, False, False]
    assert found.answered.tolist() == [2, 2, 2, 1]


@pytest.mark.parametrize("rule", [name for name, one in RULES.items() if not one.needs_logprobs])
def test_counted_votes_make_no_probabilities(rule: str) -> None:
    sure = [predicted(0, [-0.1, -3.0, -3.0])]
    assert decided(rule, sure, sure, sure).logprobs is None


def test_weights_count_and_ties_of_weights_are_exact() -> None:
    members = [[predicted(0)], [predicted(1)], [predicted(1)]]
    assert decided("weighted", *members, weights=(0.5, 0.2, 0.2)).choice[0] == 0
    assert decided("weighted", *members, weights=(0.4, 0.3, 0.2)).choice[0] == 1
    # .1 + .2 is .3, although not in floats: the file named first decides
    assert decided("weighted", *members, weights=(0.3, 0.1, 0.2)).choice[0] == 0
    assert decided("weighted", *members[::-1], weights=(0.2, 0.1, 0.3)).choice[0] == 1


def test_soft_is_the_mean_probability_and_log_odds_the_mean_logit() -> None:
    # two unsure votes for 0, one sure vote for 1
    members = [[predicted(0, logs(0.5, 0.4, 0.1))]] * 2 + [[predicted(1, logs(0.02, 0.97, 0.01))]]
    assert decided("hard", *members).choice[0] == 0
    soft = decided("soft", *members)
    assert soft.choice[0] == 1
    assert np.exp(soft.logprobs[0]) == pytest.approx([1.02 / 3, 1.77 / 3, 0.21 / 3], abs=1e-5)
    # weights 3, 3, 1: option 0 (3.0 + .02) / 7, option 1 (2.4 + .97) / 7
    assert decided("soft", *members, weights=(3.0, 3.0, 1.0)).choice[0] == 1
    assert decided("soft", *members, weights=(9.0, 9.0, 1.0)).choice[0] == 0

    # mean probability prefers 0 (.9 + .2 against .09 + .79), and so does the product of odds not:
    # logits of 0 are log 9 − log 4 = .81, of 1 log(9/91) + log(79/21) = −.99
    pair = [predicted(0, logs(0.9, 0.09, 0.01))], [predicted(1, logs(0.2, 0.79, 0.01))]
    odds = decided("log-odds", *pair)
    logits = [(math.log(9) - math.log(4)) / 2, (math.log(9 / 91) + math.log(79 / 21)) / 2]
    shares = [1 / (1 + math.exp(-x)) for x in (*logits, math.log(1 / 99))]
    assert np.exp(odds.logprobs[0]) == pytest.approx(np.array(shares) / sum(shares), abs=1e-5)


def test_one_sure_member_does_not_decide_the_log_odds_for_good() -> None:
    sure = [predicted(0, [-0.0, -500.0, -700.0])]
    others = [[predicted(1, logs(0.001, 0.998, 0.001))]] * 3
    found = decided("log-odds", sure, *others)
    assert found.choice[0] == 1
    assert np.isfinite(found.logprobs).all()


def test_abstainers_leave_means_as_they_are() -> None:
    voice = [predicted(1, logs(0.2, 0.7, 0.1))]
    for rule in ("soft", "log-odds"):
        alone = decided(rule, voice)
        assert decided(rule, voice, [predicted(None)]).logprobs.tolist() == alone.logprobs.tolist()


def test_stacking_takes_weights_by_item_and_an_intercept() -> None:
    a = [predicted(0, logs(0.6, 0.4)), predicted(0, logs(0.6, 0.4))]
    b = [predicted(1, logs(0.3, 0.7)), predicted(1, logs(0.3, 0.7))]
    weights = (np.array([2.0, 0.0]), np.array([0.5, 1.0]))
    found = decided("stacking", a, b, weights=weights, start=-1.0)
    assert found.choice.tolist() == [0, 1]
    scores = [2 * math.log(1.5) + 0.5 * math.log(3 / 7), -2 * math.log(1.5) - 0.5 * math.log(3 / 7)]
    shares = [1 / (1 + math.exp(1 - score)) for score in scores]
    assert np.exp(found.logprobs[0]) == pytest.approx(np.array(shares) / sum(shares), abs=1e-5)


def test_items_of_two_to_five_options_share_a_vote() -> None:
    members = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        member = []
        for options in (2, 5, 3, 4):
            shares = rng.dirichlet(np.ones(options))
            member.append(predicted(int(shares.argmax()), np.log(shares).tolist()))
        members.append(member)
    for rule in ("hard", "soft", "log-odds", "pohanghang"):
        together = decided(rule, *members)
        for place in range(4):
            alone = decided(rule, *([member[place]] for member in members))
            options = len(members[0][place].order)
            assert together.choice[place] == alone.choice[0]
            if RULES[rule].needs_logprobs:
                found = together.logprobs[place, :options].tolist()
                assert found == alone.logprobs[0].tolist()
                assert math.fsum(np.exp(found)) == pytest.approx(1, abs=1e-5)


def rounds(members: int, options: int) -> list[list[int]]:
    rng = random.Random(members)
    return [[rng.randrange(options) for _ in range(members)] for _ in range(500)]


def test_pohanghang_is_the_first_listed_class_among_those_with_most_votes() -> None:
    votes = rounds(11, 3)
    members = [[predicted(choice) for choice in column] for column in zip(*votes, strict=True)]
    expected = [max(of_item, key=of_item.count) for of_item in votes]
    assert decided("pohanghang", *members).choice.tolist() == expected
    assert decided("hard", *members).choice.tolist() == expected  # where no one gives more


def test_nlp_13_adds_its_weights_as_floats_and_takes_the_lowest_number() -> None:
    votes = rounds(6, 5)
    members = [
        [predicted(choice, options=5) for choice in column] for column in zip(*votes, strict=True)
    ]
    expected, noisy = [], 0
    for of_item in votes:
        sums = dict.fromkeys(range(5), 0.0)
        for choice, weight in zip(of_item, NLP_13, strict=True):
            sums[choice] += weight
        expected.append(max(sums, key=lambda choice: sums[choice]))  # the first of equal ones
        noisy += 0 < max(sums.values()) - sorted(sums.values())[-2] < 1e-9
    assert noisy  # there are sums that only their noise tells apart
    found = decided("nlp-13", *members, weights=NLP_13)
    assert found.choice.tolist() == expected
    assert found.settled["the option published first"] > 0
