"""The card of a model: made of what its run left, and of nothing else."""

import json
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from core.errors import UserError
from core.files import sha256
from recipes import model_card
from tests.support.trained_place import built, trained

REPORT = {
    "chance": 0.333333,
    "results": {
        "second": {
            "method": "letter",
            "correct": 595,
            "n": 600,
            "accuracy": 0.991667,
            "wilson95": [0.980588, 0.996433],
            "bootstrap95": [0.983, 0.998],
        }
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages: the second starts from the first's export."""
    place = tmp_path_factory.mktemp("place")
    built(place)
    trained(place, "first", "stage1")
    trained(place, "second", "stage2", "./outputs/first/model")
    (place / "metrics").mkdir()
    (place / "metrics/demo.json").write_text(json.dumps(REPORT))
    return place


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def write(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> ModelCard:
    monkeypatch.setattr(sys, "argv", ["model_card.py", *arguments])
    model_card.main()
    return ModelCard.load(str(model_card.card_of(Path(arguments[0]).parent / "model")))


def test_a_card_names_base_data_recipe_and_accuracy(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write(monkeypatch, "outputs/second/recipe.yml", "--report", "metrics/demo.json")
    assert written.data.license == "apache-2.0"
    assert written.data.maerak["base"] == {"name": "recipes/tiny/base", "licence": "Apache-2.0"}
    assert written.data.maerak["weights"] == {
        "model.safetensors": sha256(place / "outputs/second/model/model.safetensors")
    }
    assert [(one.metric_value, one.metric_args) for one in written.data.eval_results] == [
        (0.991667, {"n": 600})
    ]
    text = written.text
    figures = "| demo.json | 600 | 595 | 99.2 % | 98.1–99.6 | 33.3 % |"
    assert figures in text
    assert "it is 98.3–99.8" in text
    report = json.loads((place / "data/demo/build.json").read_text())
    for number, stage in ((1, "stage1"), (2, "stage2")):
        for source, counts in report["stages"][stage]["sources"].items():
            line = f"| {number} | {source} | made by prep/demo/synthetic.py | Apache-2.0 |"
            assert f"{line} {counts['rows']:,} |" in text
    assert report["settings"]["prompt"] in text
    assert "base_model: ./outputs/first/model" in text
    assert "commit" in text
    assert str(place) not in text


def test_what_was_not_measured_is_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write(monkeypatch, "outputs/first/recipe.yml")
    assert written.data.eval_results is None
    assert "## Accuracy\n\nNot measured.\n" in written.text


def test_a_report_of_other_runs_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"demo.json: no run first in it, only second; .* --name"):
        write(monkeypatch, "outputs/first/recipe.yml", "--report", "metrics/demo.json")


def test_rows_that_changed_since_are_not_said_to_be_the_models(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = place / "data/demo/build.json"
    before = report.read_text()
    figures = json.loads(before)
    figures["outputs"]["stage1.jsonl"]["sha256"] = "0" * 64
    report.write_text(json.dumps(figures))
    with pytest.raises(UserError, match=r"stage1\.jsonl: not the rows that the training saw"):
        write(monkeypatch, "outputs/second/recipe.yml")
    report.write_text(before)


def test_weights_without_a_record_have_no_card(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = place / "outputs/first/trained/run.json"
    record.rename(place / "away.json")
    with pytest.raises(UserError, match=r"trained: holds no run.json of a training; train the"):
        write(monkeypatch, "outputs/first/recipe.yml")
    (place / "away.json").rename(record)
