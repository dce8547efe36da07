"""The report's intervals, figures and refusals."""

import json
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from eval import report
from eval.accuracy import wilson
from eval.options import gold
from prep.errors import UserError
from tests.scoring import save_predictions, save_rows


@pytest.mark.parametrize(("correct", "n"), [(0, 1), (1, 1), (0, 30), (199, 600), (594, 600)])
def test_wilson_is_that_of_statsmodels(correct: int, n: int) -> None:
    expected = proportion_confint(correct, n, alpha=0.05, method="wilson")
    assert wilson(correct, n) == pytest.approx(expected, abs=1e-12)


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Path, Path]:
    """Ten rows and predictions that are right on the first seven."""
    data = tmp_path / "dev.jsonl"
    logprobs = {}
    for number, row in enumerate(save_rows(data, 10)):
        values = [-2.0, -2.0, -2.0]
        values[(gold(row) + (number >= 7)) % 3] = -0.5
        logprobs[row.id] = values
    return data, save_predictions(tmp_path / "model-a.jsonl", data, logprobs)


def test_figures(
    scored: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, predictions = scored
    report.main([str(predictions), "--data", str(data), "--json", str(tmp_path / "figures.json")])
    found = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert found["chance"] == 0.333333
    result = found["results"]["model-a"]
    assert (result["correct"], result["n"], result["accuracy"]) == (7, 10, 0.7)
    assert result["wilson95"] == [0.396778, 0.892209]
    assert result["letter_mass"] == 0.9
    # rows go through the five categories in turn, so that rows 7, 8 and 9 spoil the last three
    shares = {name: part["accuracy"] for name, part in result["categories"].items()}
    assert shares == {"원인": 1.0, "후행사건": 1.0, "전제": 0.5, "동기": 0.5, "반응": 0.5}


def test_table(scored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    data, predictions = scored
    report.main([str(predictions), "--data", str(data)])
    printed = capsys.readouterr().out
    for part in ("model-a", "7/10", "70.0%", "39.7%–89.2%", "전제", "0.900", "chance level 33.3%"):
        assert part in printed


def test_what_cannot_be_reported_is_refused(scored: tuple[Path, Path], tmp_path: Path) -> None:
    data, predictions = scored
    ids = [row.id for row in save_rows(data, 10)]

    def refused(match: str, path: Path, of: Path = data) -> None:
        with pytest.raises(UserError, match=match):
            report.main([str(path), "--data", str(of)])

    refused("none.jsonl: no such file", tmp_path / "none.jsonl")
    save_rows(tmp_path / "blind.jsonl", 10, answered=False)
    refused("no row has an answer", predictions, tmp_path / "blind.jsonl")
    save_rows(tmp_path / "other.jsonl", 10, seed=1)
    refused("made from an earlier", predictions, tmp_path / "other.jsonl")
    few = save_predictions(tmp_path / "few.jsonl", data, {ids[0]: [-1.0, -1.0, -1.0]})
    refused("no prediction for 9 of 10 ids of .*dev.jsonl, the first is 합성-001", few)
    equal = {id_: [-1.0, -1.0, -1.0] for id_ in [*ids, "합성-x"]}
    more = save_predictions(tmp_path / "more.jsonl", data, equal)
    refused("1 ids are not in .*dev.jsonl, the first is 합성-x", more)
    text = predictions.read_text(encoding="utf-8")
    predictions.write_text(text.replace("합성-009", "합성-010"), encoding="utf-8")
    refused("not the file that .*model-a.meta.json describes", predictions)
    predictions.with_suffix(".meta.json").unlink()
    refused("model-a.meta.json: missing", predictions)
