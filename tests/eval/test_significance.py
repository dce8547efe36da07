"""Tests and intervals against hand-computed values and the libraries that have them."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar as reference

from eval.metrics.significance import (
    LEVEL,
    Difference,
    Interval,
    differences,
    intervals,
    p_value_text,
    resampled,
    too_few,
    verdict,
)


def two_runs(only_first: int, only_second: int, both: int = 20) -> np.ndarray:
    """Right answers of two runs, items × 2."""
    parts = [[1, 0]] * only_first + [[0, 1]] * only_second + [[1, 1]] * both + [[0, 0]] * 5
    return np.array(parts, dtype=bool)


def each_alone(right: np.ndarray) -> list[str]:
    """A dialogue for each item."""
    return [f"{number}" for number in range(len(right))]


@pytest.mark.parametrize(("first", "second"), [(0, 5), (5, 0), (3, 7), (12, 12), (40, 61), (2, 13)])
def test_with_one_item_a_dialogue_p_is_mcnemars(first: int, second: int) -> None:
    right = two_runs(first, second)
    (found,) = differences(right, each_alone(right), [(0, 1)])
    expected = reference([[90, first], [second, 8]], exact=True).pvalue
    assert found.p == pytest.approx(expected, abs=0.015)
    assert found.value == pytest.approx((first - second) / len(right))


def test_signs_of_dialogues_by_hand() -> None:
    """Ten dialogues of 3 items, one run always right: only all signs alike are as far from 0."""
    right = np.repeat([[1, 0]], 30, axis=0)
    groups = [f"{number // 3}" for number in range(30)]
    (found,) = differences(right, groups, [(0, 1)])
    assert found.value == 1
    assert found.p == pytest.approx(2 / 2**10, abs=0.001)
    assert found.interval.high == 1
    assert 0 < found.interval.low < 1


def test_copies_of_an_item_in_its_dialogue_add_no_evidence() -> None:
    right = two_runs(9, 3)
    groups = each_alone(right)
    (once,) = differences(right, groups, [(0, 1)])
    (often,) = differences(np.repeat(right, 10, axis=0), np.repeat(groups, 10), [(0, 1)])
    assert often.p == once.p > LEVEL
    assert often.interval == pytest.approx(once.interval)


@pytest.mark.parametrize("runs", [2, 3, 8])
@pytest.mark.parametrize("seed", range(4))
def test_interval_p_and_verdict_never_disagree(runs: int, seed: int) -> None:
    """For pairs clearly apart, close and equal, alone and many at once."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 8, 50)
    level = np.repeat(rng.beta(2, 1, 50), sizes)[:, None]
    right = rng.random((sizes.sum(), runs)) < level * np.linspace(0.7, 1, runs)
    right[:, -1] = right[:, 0] if seed == 3 else right[:, -1]
    groups = [f"{k}" for k in np.repeat(np.arange(50), sizes)]
    pairs = [(a, b) for a in range(runs) for b in range(a)]
    for one in differences(right, groups, pairs):
        outside = one.interval is not None and not one.interval.low <= 0 <= one.interval.high
        assert outside == one.differs == (one.p <= LEVEL)
        assert ("not distinguishable" in verdict(one, "a", "b", len(right))) == (not outside)
        assert one.interval is None or one.interval.low < one.value < one.interval.high


def test_many_equal_runs_seldom_differ() -> None:
    """Of 10 runs equally good, some pair differs in 1 of 20 draws, not in 45 chances of 1 of 20."""
    pairs = [(a, b) for a in range(10) for b in range(a)]
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        level = np.repeat(rng.beta(2, 1, 40), 4)[:, None]
        right = rng.random((160, 10)) < level
        groups = [f"{k}" for k in np.repeat(np.arange(40), 4)]
        wrong += any(one.differs for one in differences(right, groups, pairs, samples=999))
    assert wrong <= 12


def test_the_interval_holds_the_true_difference() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        level = np.repeat(rng.beta(4, 2, 40), 4)[:, None]
        right = rng.random((160, 2)) < level * [1, 0.75]
        groups = [f"{k}" for k in np.repeat(np.arange(40), 4)]
        (one,) = differences(right, groups, [(0, 1)], samples=999)
        held += one.interval.low <= 0.25 * 4 / 6 <= one.interval.high
    assert held >= 0.93 * 200


def test_few_dialogues_say_nothing_and_say_why() -> None:
    for count in (1, 2, 9):
        right = np.repeat([[1, 0]], 30 * count, axis=0)
        groups = [f"{number % count}" for number in range(len(right))]
        assert differences(right, groups, [(0, 1)]) == [Difference(1.0, None, None)]
        assert intervals(right, groups) == [None, None]
        assert str(count) in too_few(groups)
    assert too_few([f"{number}" for number in range(10)]) is None
    assert too_few(["a"]).startswith("1 dialogue or passage is too few")


def test_what_does_not_vary_has_no_interval() -> None:
    right = np.repeat([[1, 1, 0]], 40, axis=0)
    same, apart = differences(right, each_alone(right), [(0, 1), (0, 2)])
    assert same == Difference(0.0, None, 1.0)
    assert (apart.differs, apart.p) == (True, pytest.approx(1e-4, abs=1e-5))
    assert apart.interval.low < 1
    assert intervals(right, each_alone(right)) == [None] * 3


def grouped(seed: int, groups: int = 60) -> tuple[np.ndarray, list[str]]:
    """Two runs on dialogues of one to five items, alike within a dialogue."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, groups)
    level = np.repeat(rng.beta(2, 1, groups), sizes)
    right = rng.random((sizes.sum(), 2)) < np.column_stack([level, level * 0.85])
    return right, [f"g{k}" for k in np.repeat(np.arange(groups), sizes)]


def test_the_bootstrap_over_groups_is_that_of_scipy() -> None:
    right, groups = grouped(3)
    names = sorted(set(groups))
    members = np.array([[g == name for g in groups] for name in names], dtype=float)

    def share(sums, sizes, axis):
        return sums.sum(axis) / sizes.sum(axis)

    def expected(values):
        data = (members @ values, members.sum(1))
        options = {"paired": True, "method": "percentile", "n_resamples": 20_000, "rng": 1}
        return bootstrap(data, share, vectorized=True, **options).confidence_interval

    for run, found in enumerate(intervals(right, groups, samples=20_000)):
        assert found == pytest.approx(expected(right[:, run]), abs=0.004)


def test_groups_are_drawn() -> None:
    """Ten copies of every item tell no more than one: the interval must not shrink."""
    right, groups = grouped(4)
    alone, _ = intervals(right, groups)
    assert intervals(np.repeat(right, 10, axis=0), np.repeat(groups, 10))[0] == alone
    items, _ = intervals(right, each_alone(right))
    assert alone.high - alone.low > 1.2 * (items.high - items.low)


def test_draws_are_the_same_every_time_and_in_any_order_of_items() -> None:
    right, groups = grouped(5)
    drawn = resampled(right, groups, samples=50)
    assert drawn.shape == (50, 2)
    assert np.array_equal(drawn, resampled(right[::-1], groups[::-1], samples=50))
    assert not np.array_equal(drawn, resampled(right, groups, samples=50, seed=1))


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    right, groups = grouped(6)
    drawn = resampled(right, groups, samples=50)
    found = differences(right, groups, [(0, 1)])
    monkeypatch.setattr("eval.metrics.significance.BATCH", 8 * len(set(groups)))
    assert np.array_equal(drawn, resampled(right, groups, samples=50))
    assert differences(right, groups, [(0, 1)]) == found


def test_items_without_groups_are_a_defect() -> None:
    with pytest.raises(ValueError, match="2 items, but 1 groups"):
        resampled([[1], [0]], ["a"])


def test_sentences() -> None:
    names = ("gemma", "exaone")
    close, far = Interval(-0.01, 0.06), Interval(-0.25, -0.1)
    assert (
        verdict(Difference(0.026, close, 0.48), *names, 151)
        == "gemma and exaone are not distinguishable at n=151 (p = 0.48)"
    )
    assert (
        verdict(Difference(-0.18, far, 0.0001), *names, 151)
        == "exaone is better than gemma at n=151 (p < 0.001)"
    )
    assert (
        verdict(Difference(0.3, None, None), *names, 4)
        == "gemma and exaone are not compared: too few dialogues or passages"
    )
    assert p_value_text(1.0) == "p = 1"
