"""Calibration figures against hand-computed values and scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, confusion_matrix, recall_score

from eval.metrics.calibration import Bin, brier, confusion, ece, recalls, reliability, rstd


def test_by_hand() -> None:
    bins = reliability([0.5, 0.41, 0.95, 1.0], [True, False, True, True])
    assert bins == [
        Bin(0.4, 0.5, 2, pytest.approx(0.455), 0.5),
        Bin(0.9, 1.0, 2, pytest.approx(0.975), 1.0),
    ]
    assert ece(bins) == pytest.approx(0.5 * 0.045 + 0.5 * 0.025)
    assert brier([[0.7, 0.2, 0.1]], [0]) == pytest.approx(0.09 + 0.04 + 0.01)
    assert brier([[0.25] * 4, [0.25] * 4], [3, 0]) == pytest.approx(1 - 1 / 4)


def test_a_confidence_of_nothing_is_in_the_first_bin() -> None:
    assert reliability([0.0, 0.1], [False, False]) == [Bin(0.0, 0.1, 2, 0.05, 0.0)]


def test_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 400)
    golds = [int(rng.choice(3, p=row)) for row in probabilities]
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == golds
    accuracy, mean = calibration_curve(right, confidence, n_bins=10, strategy="uniform")
    bins = reliability(confidence.tolist(), right.tolist())
    assert [one.accuracy for one in bins] == pytest.approx(accuracy.tolist(), abs=1e-12)
    assert [one.confidence for one in bins] == pytest.approx(mean.tolist(), abs=1e-12)
    expected = brier_score_loss(golds, probabilities, labels=[0, 1, 2], scale_by_half=False)
    assert brier(probabilities.tolist(), golds) == pytest.approx(expected, abs=1e-12)


def test_confusion_and_recall_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth, chosen = rng.choice(list("ABC"), 90), rng.choice(list("ABC"), 90)
    table = confusion(truth.tolist(), chosen.tolist(), "ABC")
    found = [[row[name] for name in "ABC"] for row in table.values()]
    assert found == confusion_matrix(truth, chosen).tolist()
    expected = recall_score(truth, chosen, average=None)
    assert list(recalls(table).values()) == pytest.approx(expected.tolist(), abs=1e-12)
    assert rstd(recalls(table)) == pytest.approx(expected.std(), abs=1e-12)


def test_no_answer_lowers_recall_and_a_position_never_right_has_none() -> None:
    table = confusion(["A", "A", "B"], ["A", None, "A"], ["A", "B", "C"])
    assert table["A"] == {"A": 1, "B": 0, "C": 0, "none": 1}
    assert recalls(table) == {"A": 0.5, "B": 0.0}
    assert rstd(recalls(table)) == 0.25
