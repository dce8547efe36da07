"""What a report counts and refuses: figures by hand, breakdowns, comparisons."""

import csv
import json
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from core.errors import UserError
from core.jsonl import write_records
from core.records import Message, Prediction, Question, Row, Turn
from eval import report
from eval.metrics.accuracy import wilson
from eval.options import gold
from eval.reporting.breakdowns import breakdowns, lengths
from eval.reporting.runs import questions_of
from tests.support.reported_runs import reported, save_run, two_runs
from tests.support.scored_rows import rows, save_predictions, save_rows


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, list[Path], list[list[bool]]]:
    return two_runs(tmp_path)


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


def test_calibration_and_positions(two, tmp_path: Path) -> None:
    data, paths, (right, _) = two
    one = reported(tmp_path / "figures.json", data, *paths)["results"]["가"]
    share = sum(right) / 40
    assert one["calibration"] == [
        {"low": 0.7, "high": 0.8, "n": 40, "confidence": 0.8, "accuracy": share}
    ]
    assert one["ece"] == pytest.approx(0.8 - share)
    assert one["brier"] == pytest.approx(share * 0.06 + (1 - share) * (0.81 + 0.64 + 0.01))
    letters = one["confusion_letters"]
    read = rows(40)
    assert {name: sum(row.values()) for name, row in letters.items()} == {
        label: sum(row.answer == label for row in read) for label in "ABC"
    }
    hits = sum(ok and row.answer == "B" for ok, row in zip(right, read, strict=True))
    assert letters["B"]["B"] == hits
    assert one["positions"]["B"]["correct"] == hits
    assert one["recall"]["B"] == pytest.approx(hits / sum(letters["B"].values()), abs=1e-6)


def test_no_answer_is_wrong_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "dev.jsonl"
    made = save_rows(data, 10)
    given = [
        Prediction(id=row.id, order=row.order, logprobs=None, choice=gold(row) if n else None)
        for n, row in enumerate(made)
    ]
    path = save_run(tmp_path / "cot.jsonl", data, given, permutations="cyclic")
    one = reported(tmp_path / "figures.json", data, path)["results"]["cot"]
    assert (one["correct"], one["no_answer"]) == (9, [made[0].id])
    assert (one["ece"], one["brier"], one["calibration"]) == (None, None, [])
    assert "recall" not in one  # an option was shown under every letter
    assert sum(row["none"] for row in one["confusion_published"].values()) == 1
    assert "no answer" in capsys.readouterr().out


def test_a_run_without_any_answer_prefers_no_letter(tmp_path: Path) -> None:
    data = tmp_path / "dev.jsonl"
    given = [
        Prediction(id=row.id, order=row.order, logprobs=None, choice=None)
        for row in save_rows(data, 6)
    ]
    path = save_run(tmp_path / "cot.jsonl", data, given)
    one = reported(tmp_path / "figures.json", data, path)["results"]["cot"]
    assert (one["correct"], len(one["no_answer"])) == (0, 6)
    assert "rstd" not in one  # it would be 0, as of a run that prefers none


def test_tables_for_plots(two, tmp_path: Path) -> None:
    data, paths, _ = two
    report.main([*map(str, paths), "--data", str(data), "--plots", str(tmp_path / "plots")])
    lines = list(csv.DictReader((tmp_path / "plots/categories.csv").open(encoding="utf-8")))
    assert [line["category"] for line in lines[:5]] == ["원인", "후행사건", "전제", "동기", "반응"]
    assert sum(int(line["n"]) for line in lines) == 80
    (curve, _) = csv.DictReader((tmp_path / "plots/calibration.csv").open(encoding="utf-8"))
    assert curve == {"run": "가", "n": "40", "confidence": "0.8", "accuracy": "0.65"}


def question(row: Row, references: int = 1, **fields) -> Question:
    turns = [Turn(speaker="화자1", text=f"말 {k}", id=f"{k}") for k in range(3)]
    record = {
        "id": row.id,
        "source": row.source,
        "split": row.split,
        "group": row.group,
        "turns": turns,
        "focus": [turn.id for turn in turns[:references]],
        "category": row.category,
        "options": ["비가 온다.", "눈이 온다.", "맑다."],
        "answer": gold(row),
    }
    return Question.model_validate(record | fields)


def test_breakdowns_are_shown_where_rows_differ() -> None:
    made = rows(8)
    titles = {one.name: one.order for one in breakdowns(made, {})}
    assert titles["positions"] == sorted({row.answer for row in made})
    assert titles["published"] == [str(k) for k in sorted({gold(row) + 1 for row in made})]
    assert not {"references", "options", "splits", "sources"} & set(titles)
    plain = [row.model_copy(update={"order": [0, 1, 2]}) for row in made]
    assert "published" not in {one.name for one in breakdowns(plain, {})}
    asked = {row.id: question(row, references=1 + n % 2) for n, row in enumerate(made)}
    found = {one.name: one for one in breakdowns(made, asked)}["references"]
    assert found.values == ["1", "2"] * 4
    counts = found.tallies([True] * 5 + [False] * 3)
    assert {name: (part.correct, part.n) for name, part in counts.items()} == {
        "1": (3, 4),
        "2": (2, 4),
    }


def test_lengths_are_quartiles_of_the_prompts_characters() -> None:
    made = [
        row.model_copy(update={"messages": [Message(role="user", content="가" * (10 * n))]})
        for n, row in enumerate(rows(8), start=1)
    ]
    found = lengths(made)
    assert found.order == ["10–20", "30–40", "50–60", "70–80"]
    assert found.values[2] == "30–40"


def test_questions_must_be_those_of_the_rows(tmp_path: Path) -> None:
    made, path = rows(3), tmp_path / "questions.jsonl"
    write_records(path, [question(row) for row in made])
    assert [*questions_of(made, path)] == [row.id for row in made]
    write_records(path, [question(row, answer=None) for row in made])
    assert len(questions_of(made, path)) == 3
    write_records(path, [question(row) for row in made[1:]])
    with pytest.raises(UserError, match="no question for row 합성-000"):
        questions_of(made, path)
    write_records(path, [question(row, answer=(gold(row) + 1) % 3) for row in made])
    with pytest.raises(UserError, match="question 합성-000 has other options or another answer"):
        questions_of(made, path)


def test_labels_are_those_of_the_rows(tmp_path: Path) -> None:
    data, korean = tmp_path / "dev.jsonl", dict(zip("ABC", "가나다", strict=True))
    made = [
        row.model_copy(update={"labels": [*korean.values()], "answer": korean[row.answer]})
        for row in save_rows(data, 6)
    ]
    write_records(data, made)
    path = save_predictions(tmp_path / "a.jsonl", data, {r.id: [-1.0, -2.0, -3.0] for r in made})
    out = tmp_path / "figures.json"
    report.main([str(path), "--data", str(data), "--json", str(out)])
    [found] = json.loads(out.read_text("utf-8"))["results"].values()
    assert list(found["confusion_letters"]) == ["가", "나", "다"]
