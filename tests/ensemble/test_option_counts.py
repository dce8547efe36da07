"""Items of two to five options in one vote: every rule and every fit takes each as if alone."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from core.files import sha256
from core.jsonl import read_json, write_records
from core.records import CATEGORIES, LABELS, Prediction, Row
from ensemble import diagnose, fit, member_weights
from ensemble.fit import by_accuracy, greedy, stacking
from ensemble.member_answers import MemberAnswers
from ensemble.rules import RULES, SURE, Outcome, Tally
from eval import predictions
from eval.options import choose, gold
from tests.support.scored_rows import rows

UNLIKELY = -46.0  # log-probability that adds nothing to a sum of six decimals
COUNTS = st.lists(st.integers(2, 5), min_size=4, max_size=12)
SEEDS = st.integers(0, 2**32 - 1)


class Case(NamedTuple):
    """What members say of items, item by item, and the right options."""

    members: list[list[Prediction]]
    gold: list[int]


def case(counts: Sequence[int], seed: int, members: int = 3, silent: float = 0.0) -> Case:
    """Members that know the answer more or less well and say nothing now and then."""
    rng = np.random.default_rng(seed)
    right = [int(rng.integers(count)) for count in counts]
    said = []
    for _ in range(members):
        skill = rng.uniform(0, 2)
        of_member = []
        for number, count in enumerate(counts):
            shares = rng.dirichlet(np.ones(count) + skill * (np.arange(count) == right[number]))
            logprobs = np.log(np.maximum(shares, 1e-12)).round(6).tolist()
            said_ = None if rng.random() < silent else choose(logprobs)
            order = rng.permutation(count).tolist()
            of_member.append(
                Prediction(id=f"합성-{number}", order=order, logprobs=logprobs, choice=said_)
            )
        said.append(of_member)
    return Case(said, right)


def answers(members: Sequence[Sequence[Prediction]]) -> dict[str, MemberAnswers]:
    return {f"m{n}": MemberAnswers.of(member) for n, member in enumerate(members)}


def decided(rule: str, members: Sequence[MemberAnswers], by: np.ndarray) -> Outcome:
    """The vote; `by` [members, items] is what they weigh, of stacking alone another by item."""
    tally = Tally(RULES[rule], members[0].options, -0.5 if rule == "stacking" else 0.0)
    for member, weight in zip(members, by, strict=True):
        tally.add(member, weight if rule == "stacking" else float(weight[0]))
    return tally.decide()


def shown(outcome: Outcome, place: int, count: int) -> list[float] | None:
    """What a vote says of an item's options; a rule that counts votes says nothing."""
    return None if outcome.logprobs is None else outcome.logprobs[place, :count].tolist()


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None, max_examples=40)
@given(COUNTS, SEEDS)
def test_a_vote_on_many_items_is_the_votes_on_each(rule: str, counts: list[int], seed: int) -> None:
    members, _ = case(counts, seed, members=6, silent=0.3)
    by = np.random.default_rng(seed).uniform(0.1, 2, (6, len(counts)))
    by[:, :] = by if rule == "stacking" else by[:, :1]
    together = decided(rule, [MemberAnswers.of(member) for member in members], by)
    for place, count in enumerate(counts):
        alone = decided(
            rule, [MemberAnswers.of([m[place]]) for m in members], by[:, place : place + 1]
        )
        assert together.choice[place] == alone.choice[0] < count
        assert shown(together, place, count) == shown(alone, 0, count)
        assert together.answered[place] == alone.answered[0]
        assert together.unanimous[place] == alone.unanimous[0]


@pytest.mark.parametrize("beyond", [math.nan, -math.inf, 3.0])
@given(COUNTS, SEEDS)
@settings(deadline=None, max_examples=20)
def test_what_stands_beyond_the_options_counts_nowhere(
    beyond: float, counts: list[int], seed: int
) -> None:
    members, right = case(counts, seed, members=6, silent=0.2)
    plain, gold_ = answers(members), np.array(right)
    filled = {
        name: MemberAnswers(one.options, one.choice, np.where(one.offered, one.logprobs, beyond))
        for name, one in plain.items()
    }
    with np.errstate(all="ignore"):
        for rule in RULES:
            by = np.ones((6, len(counts)))
            first, second = (decided(rule, [*b.values()], by) for b in (plain, filled))
            assert first.choice.tolist() == second.choice.tolist()
            assert [shown(first, n, k) for n, k in enumerate(counts)] == [
                shown(second, n, k) for n, k in enumerate(counts)
            ]
        for name, find in fit.FITS.items():
            found = find(filled, gold_, [""] * len(counts))
            assert found == find(plain, gold_, [""] * len(counts)), name


@settings(deadline=None, max_examples=40)
@given(COUNTS, SEEDS)
def test_greedy_weights_are_those_of_items_widened_by_an_option_nobody_believes(
    counts: list[int], seed: int
) -> None:
    members, right = case(counts, seed)
    wide = [
        [
            one.model_copy(
                update={
                    "order": list(range(5)),
                    "logprobs": one.logprobs + [UNLIKELY] * (5 - len(one.order)),
                }
            )
            for one in member
        ]
        for member in members
    ]
    none = [""] * len(counts)
    found = greedy(answers(members), np.array(right), none)
    assert found == greedy(answers(wide), np.array(right), none)


@settings(deadline=None, max_examples=40)
@given(COUNTS, SEEDS, st.sampled_from([0.0, 0.3]))
def test_greedy_weights_vote_no_worse_than_the_best_member(
    counts: list[int], seed: int, silent: float
) -> None:
    members, right = case(counts, seed, silent=silent)
    given_, gold_ = answers(members), np.array(right)
    found = greedy(given_, gold_, [""] * len(counts))
    best = max(int((one.choice == gold_).sum()) for one in given_.values())
    assert int((fit.weighed(found, given_, []) == gold_).sum()) >= best


@settings(deadline=None, max_examples=40)
@given(COUNTS, SEEDS, st.sampled_from([0.0, 0.3]))
def test_weights_by_accuracy_take_the_chance_of_each_item(
    counts: list[int], seed: int, silent: float
) -> None:
    members, right = case(counts, seed, silent=silent)
    found = by_accuracy(answers(members), np.array(right), [""] * len(counts)).weights
    for name, member in zip(found, members, strict=True):
        said = [
            (one.choice == answer, 1 / count)
            for one, answer, count in zip(member, right, counts, strict=True)
            if one.choice is not None
        ]
        chance = math.fsum(chance for _, chance in said) / len(said) if said else 0.5
        worth = logit((sum(hit for hit, _ in said) + 1) / (len(said) + 2)) - logit(chance)
        assert found[name] == pytest.approx(max(0.0, worth), abs=2e-6)


@settings(deadline=None, max_examples=30)
@given(COUNTS, SEEDS)
def test_stacking_has_a_row_for_each_option_on_offer(counts: list[int], seed: int) -> None:
    members, right = case(counts, seed, silent=0.1)
    found = stacking(answers(members), np.array(right), [""] * len(counts))
    features, targets = [], []
    for place, count in enumerate(counts):
        for option in range(count):
            of_option = []
            for one in (member[place] for member in members):
                odds = float(logit(min(math.exp(one.logprobs[option]), 1 - 5e-7)))
                odds = max(-SURE, min(SURE, odds))
                of_option.append(odds if one.choice is not None else 0.0)
            features.append(of_option)
            targets.append(option == right[place])
    expected = LogisticRegression(C=1.0, max_iter=10_000).fit(features, targets)
    assert list(found.weights.values()) == pytest.approx(expected.coef_[0], abs=1e-4)
    assert found.intercept == pytest.approx(expected.intercept_[0], abs=1e-4)


def save(folder: Path, counts: Sequence[int], wrong: dict[str, set[int]]) -> list[Path]:
    """Rows of dev (dev.jsonl), two a group, and members that are sure, and wrong on some rows."""
    made: list[Row] = [
        row.model_copy(
            update={
                "split": "dev",
                "group": f"g{number // 2}",
                "labels": list(LABELS[:count]),
                "options": None,
                "order": list(range(count)),
                "answer": LABELS[number % count],
                "category": CATEGORIES[0],
            }
        )
        for number, (count, row) in enumerate(zip(counts, rows(len(counts)), strict=True))
    ]
    data = folder / "dev.jsonl"
    write_records(data, made)
    paths = []
    for name, places in wrong.items():
        said = []
        for number, row in enumerate(made):
            count, answer = len(row.order), gold(row)
            picked = (answer + 1) % count if number in places else answer
            logprobs = [math.log(0.1 / (count - 1))] * count
            logprobs[picked] = math.log(0.9)
            said.append(
                Prediction(id=row.id, order=row.order, logprobs=logprobs, choice=choose(logprobs))
            )
        about = {"path": str(data), "sha256": sha256(data), "rows": len(made)}
        meta = {"method": "letter", "weights_sha256": name, "data": about}
        predictions.write(folder / f"{name}.jsonl", said, meta)
        paths.append(folder / f"{name}.jsonl")
    return paths


def fitted(folder: Path, paths: list[Path], rule: str) -> member_weights.Weights:
    out = folder / "weights.json"
    data = ["--data", str(folder / "dev.jsonl"), "--dev"]
    fit.main([*map(str, paths), *data, "--rule", rule, "--out", str(out)])
    return member_weights.read(out)


MIXED = {
    "4 and 5": [4, 5] * 20,
    "12 of 5": [5] * 12 + [4] * 28,
    "one of 5": [4] * 38 + [5] * 2,  # which no fit of the estimate sees but those of its group
    "2 to 5": [2, 3, 4, 5] * 10,
}


@pytest.mark.parametrize("rule", ["weighted", "greedy", "stacking"])
@pytest.mark.parametrize("counts", MIXED.values(), ids=MIXED)
def test_fitted_weights_are_no_worse_than_the_best_member(
    tmp_path: Path, counts: list[int], rule: str
) -> None:
    # best has 30 of 40 right, few of the widest among them; the other has the widest alone
    widest_first = sorted(range(40), key=lambda place: -counts[place])
    widest = [place for place in range(40) if counts[place] == 5]
    wrong = {"other": set(range(40)) - set(widest), "best": set(widest_first[:10])}
    found = fitted(tmp_path, save(tmp_path, counts, wrong), rule)
    assert found.fitted.estimate["best member"] == 0.75
    assert found.fitted.estimate["fitted"] >= 0.75
    assert found.weights["best"] == max(found.weights.values()) > 0


def test_greedy_counts_no_item_right_that_nobody_answers() -> None:
    # option 0, the first of equal ones, is right; one member is silent and the other right on one
    said = [
        Prediction(id=str(n), order=[0, 1], logprobs=logs, choice=choose(logs))
        for n, logs in enumerate([[-0.1, -2.35217], *[[-2.35217, -0.1]] * 3])
    ]
    silent = [one.model_copy(update={"logprobs": None, "choice": None}) for one in said]
    for order in (("a", "b"), ("b", "a")):
        members = dict(zip(order, (MemberAnswers.of(silent), MemberAnswers.of(said)), strict=True))
        found = greedy(members, np.zeros(4, int), [""] * 4)
        assert found.weights[order[1]] == 1.0


def test_greedy_counts_no_tie_right() -> None:
    # b undoes what a has right, equally sure; the option that comes first would win such ties
    right, wrong = [-0.1, -2.35217], [-2.35217, -0.1]
    said = {"b": [wrong] * 3 + [right], "a": [right] * 3 + [wrong]}
    members = {
        name: MemberAnswers.of(
            [
                Prediction(id=str(n), order=[0, 1], logprobs=logs, choice=choose(logs))
                for n, logs in enumerate(given_)
            ]
        )
        for name, given_ in said.items()
    }
    found = greedy(members, np.zeros(4, int), [""] * 4)
    assert fit.weighed(found, members, []).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("counts", MIXED.values(), ids=MIXED)
def test_a_diagnosis_leaves_members_out_of_items_of_any_width(
    tmp_path: Path, counts: list[int]
) -> None:
    # the members disagree on narrow items only, so that those alone are voted on again
    wrong = {"a": {0, 4}, "b": {0, 8}, "c": {4, 12}}
    paths = save(tmp_path, counts, wrong)
    out = tmp_path / "found.json"
    diagnose.main([*map(str, paths), "--data", str(tmp_path / "dev.jsonl"), "--json", str(out)])
    found = read_json(out)
    assert found["items"] == 40
    assert found["vote"]["correct"] == 38
