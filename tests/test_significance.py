"""Tests and intervals against hand-computed values and the libraries that have them."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar as reference

from eval.significance import (
    cluster_bootstrap,
    difference,
    distinguishable,
    holm,
    mcnemar,
    paired_bootstrap,
    resampled,
    told,
)


@pytest.mark.parametrize(("first", "second"), [(0, 5), (5, 0), (3, 7), (12, 12), (40, 61)])
def test_mcnemar_is_that_of_statsmodels(first: int, second: int) -> None:
    expected = reference([[90, first], [second, 8]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-12)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)  # both tails of five heads


def test_holm_by_hand() -> None:
    # the smallest times 3, the next times 2, none below one before it
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


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

    found = cluster_bootstrap(right[:, 0], groups, samples=20_000)
    assert found == pytest.approx(expected(right[:, 0]), abs=0.004)
    gap = paired_bootstrap(right[:, 0], right[:, 1], groups, samples=20_000)
    assert (gap.low, gap.high) == pytest.approx(
        expected(right[:, 0] * 1.0 - right[:, 1]), abs=0.004
    )
    assert gap.value == right[:, 0].mean() - right[:, 1].mean()


def test_whole_groups_are_drawn() -> None:
    """Ten copies of every item tell no more than one: the interval must not shrink."""
    right, groups = grouped(4)
    alone = cluster_bootstrap(right[:, 0], groups)
    assert cluster_bootstrap(np.repeat(right[:, 0], 10), np.repeat(groups, 10)) == alone
    one_group_each = [f"{n}" for n in range(len(right))]
    items = cluster_bootstrap(right[:, 0], one_group_each)
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
    monkeypatch.setattr("eval.significance.BATCH", 7 * len(set(groups)))
    assert np.array_equal(drawn, resampled(right, groups, samples=50))


def test_a_difference_that_is_never_crossed_has_the_least_p() -> None:
    assert difference(0.2, np.full(99, 0.2)).p == pytest.approx(2 / 100)
    assert difference(0.0, np.zeros(99)) == (0.0, 0.0, 0.0, 1.0)


def test_items_without_groups_are_a_defect() -> None:
    with pytest.raises(ValueError, match="2 items, but 1 groups"):
        resampled([[1], [0]], ["a"])


def test_sentences() -> None:
    names = ("gemma", "exaone")
    assert (
        distinguishable(11, 7, 151, names)
        == "gemma and exaone are not distinguishable at n=151 (McNemar p = 0.48)"
    )
    assert (
        distinguishable(2, 30, 151, names)
        == "exaone is better than gemma at n=151 (McNemar p < 0.001)"
    )
    assert (
        distinguishable(12, 2, 605, names, corrected=0.039)
        == "gemma is better than exaone at n=605 (Holm-corrected McNemar p = 0.039)"
    )
    assert told(1.0) == "p = 1"
