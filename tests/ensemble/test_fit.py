"""Fitted weights: what they find where it is known, what they refuse, and that votes apply them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.files import sha256
from core.jsonl import read_json, write_json, write_records
from core.records import Prediction
from ensemble import fit, vote
from ensemble.fit import by_accuracy, greedy, stacking
from ensemble.member_answers import MemberAnswers
from eval import predictions
from eval.options import choose
from tests.support.out_of_fold_case import FOLDS, Study
from tests.support.scored_rows import in_bits, rows


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def columns(*members: tuple[list[int], float]) -> dict[str, MemberAnswers]:
    """Members a, b ... by their choices and the probability that they give them, of two options."""
    made = {}
    for name, (choices, sure) in zip("abcdef", members, strict=False):
        logprobs = np.full((len(choices), 2), math.log(1 - sure))
        logprobs[np.arange(len(choices)), choices] = math.log(sure)
        options = np.full(len(choices), 2, np.int8)
        made[name] = MemberAnswers(options, np.array(choices, np.int8), logprobs)
    return made


def test_weights_by_accuracy_are_log_odds_over_chance() -> None:
    gold_ = np.zeros(8, int)
    members = columns(([0] * 7 + [1], 0.9), ([0] * 4 + [1] * 4, 0.9), ([1] * 8, 0.9))
    found = by_accuracy(members, gold_, [""] * 8)
    # (7 + 1) / (8 + 2) right: odds 4 against 1 of chance; half right is worth nothing
    assert found.weights == {"a": round(math.log(4), 6), "b": 0.0, "c": 0.0}
    five = np.full(8, 5, np.int8)
    of_five = by_accuracy(
        {name: MemberAnswers(five, answers.choice, None) for name, answers in members.items()},
        gold_,
        [""] * 8,
    )
    assert of_five.weights["b"] == round(math.log(4), 6)  # odds 1 against 1/4
    members["a"] = MemberAnswers(
        members["a"].options, np.array([0, -1, -1, -1, -1, -1, -1, 1], np.int8), None
    )
    assert by_accuracy(members, gold_, [""] * 8).weights["a"] == 0.0


def test_greedy_selection_takes_members_that_complement_each_other() -> None:
    gold_ = np.zeros(6, int)
    # b alone is best; a and c are each right where the other is wrong, and surer of it
    members = columns(
        ([0, 0, 0, 1, 1, 1], 0.6), ([0, 0, 0, 0, 1, 1], 0.9), ([1, 1, 1, 0, 0, 0], 0.6)
    )
    members["a"].logprobs[:3] = np.log([0.9, 0.1])
    members["c"].logprobs[3:] = np.log([0.9, 0.1])
    found = greedy(members, gold_, [""] * 6)
    assert found.rule == "soft"
    assert sum(found.weights.values()) == pytest.approx(1)
    summed = sum(found.weights[n] * np.exp(answers.logprobs) for n, answers in members.items())
    assert (summed.argmax(axis=1) == 0).all()
    assert found.weights["a"] > 0
    assert found.weights["c"] > 0
    # a member alone in being right gets all
    alone = columns(([0] * 6, 0.9), ([1] * 6, 0.9))
    assert greedy(alone, gold_, [""] * 6).weights == {"a": 1.0, "b": 0.0}


def test_stacking_learns_whom_to_trust_in_which_category() -> None:
    rng = np.random.default_rng(0)
    gold_ = rng.integers(0, 2, 400)
    categories = ["원인", "반응"] * 200
    first = np.arange(400) % 2 == 0
    noise = rng.integers(0, 2, 400)
    members = columns(
        (np.where(first, gold_, noise).tolist(), 0.8), (np.where(first, noise, gold_).tolist(), 0.8)
    )
    found = stacking(members, gold_, categories)
    of = {(n, c): found.weights[n] + more[n] for c, more in found.by_category.items() for n in "ab"}
    assert of["a", "원인"] > 5 * abs(of["b", "원인"])
    assert of["b", "반응"] > 5 * abs(of["a", "반응"])
    right = fit.weighed(found, members, categories) == gold_
    assert right.all()
    # the sign of a member that is always wrong is turned
    wrong = stacking(columns(((1 - gold_).tolist(), 0.8)), gold_, ["원인"] * 400)
    assert wrong.weights["a"] < 0
    assert not wrong.by_category


def test_a_single_calibrated_member_keeps_its_probabilities_under_stacking() -> None:
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.5, 0.99, 20_000)
    right = rng.random(20_000) < sure
    logprobs = np.log(np.stack([sure, 1 - sure], axis=1))
    members = {"a": MemberAnswers(np.full(20_000, 2, np.int8), np.zeros(20_000, np.int8), logprobs)}
    found = stacking(members, (~right).astype(int), ["원인"] * 20_000)
    assert found.weights["a"] == pytest.approx(1, abs=0.05)
    assert found.intercept == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("rule", ["weighted", "greedy", "stacking"])
def test_fitting_trusts_the_better_member_and_repeats_to_the_byte(
    study: Study, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [*study.member("good", 0.9), *study.member("poor", 0.4), *study.member("bad", 0.4)]
    found = study.fit(rule, *files)
    assert found.weights["good"] > 2 * max(found.weights["poor"], found.weights["bad"])
    written = (study.folder / "weights.json").read_bytes()
    study.fit(rule, *files)
    assert (study.folder / "weights.json").read_bytes() == written
    printed = capsys.readouterr().out
    assert "more right than without weights, over 240 questions" in printed
    estimate = found.fitted.estimate
    assert estimate["fitted"] > estimate["hard"]
    assert estimate["best member"] == pytest.approx(0.9, abs=0.05)
    assert found.fitted.by == rule
    assert found.fitted.data[1].sha256 == sha256(study.data[1])
    assert {one.sha256 for one in found.fitted.members["poor"]} == {
        sha256(path) for path in files[FOLDS : 2 * FOLDS]
    }
    assert len(found.fitted.ids) == 240
    assert len(found.fitted.groups) == 80


def official(study: Study, ids: list[str], dialogue: str) -> Path:
    items = [
        {
            "id": id_,
            "input": {
                "conversation": [{"utterance_id": f"{dialogue}.{n}"}],
                "category": "원인",
                "inference_1": "첫째",
                "inference_2": "둘째",
                "inference_3": "셋째",
            },
        }
        for n, id_ in enumerate(ids)
    ]
    write_json(study.folder / "test.json", items)
    return study.folder / "test.json"


@pytest.mark.parametrize("rule", ["weighted", "greedy", "stacking"])
def test_a_vote_applies_what_was_fitted_by_name_and_refuses_what_it_was_fitted_on(
    study: Study, rule: str
) -> None:
    study.fit(rule, *study.member("good", 0.9), *study.member("poor", 0.4))
    data = study.folder / "test.jsonl"
    new = rows(6, seed=5)  # numbered as those that were fitted on are
    write_records(data, new)
    members = []
    for name, picked in (("poor", 0), ("good", 2)):
        logprobs = [math.log(0.15)] * 3
        logprobs[picked] = math.log(0.7)
        made = [
            Prediction(id=row.id, order=row.order, logprobs=logprobs, choice=choose(logprobs))
            for row in new
        ]
        members.append(study.folder / f"{name}.jsonl")
        study.save(members[-1], made, data, name)

    def voted(ids: list[str], dialogue: str) -> list[str]:
        test = official(study, ids, dialogue)
        out = study.folder / "submission.json"
        by = ["--weights", str(study.folder / "weights.json")]
        votes = ["--votes", str(study.folder / "vote.jsonl")]
        files = map(str, members)
        vote.main([*files, "--test", str(test), "--out", str(out), *by, *votes])
        return [item["output"] for item in json.loads(out.read_text(encoding="utf-8"))]

    ids = [row.id for row in new]
    assert voted(ids, "new.1") == ["inference_3"] * 6
    meta = predictions.read(study.folder / "vote.jsonl")[1]
    assert meta.model_extra["weights"]["sha256"] == sha256(study.folder / "weights.json")
    with pytest.raises(UserError, match=r"the answers of 1 dialogues or .*the first is g7;"):
        voted(ids, "g7")
    for path in members:
        in_bits(path, "8bit")
    with pytest.raises(
        UserError, match=r"poor.jsonl: scored in 8 bits, and .*weights.json was fitted on .* stored"
    ):
        voted(ids, "new.1")


def test_a_member_is_fitted_in_one_precision(study: Study) -> None:
    good = study.member("good", 0.9)
    in_bits(good[1], "4bit")
    study.refused("1/good.jsonl: scored in 4 bits, and .*0/good.jsonl as stored; score", *good)
    found = study.fit("weighted", *(in_bits(path, "4bit") for path in good))
    assert found.fitted.load_in == {"good": "4bit"}


def test_what_is_not_out_of_fold_is_refused(study: Study) -> None:
    good = study.member("good", 0.9)
    study.refused(
        "good.jsonl: the weights that scored it scored", *study.member("good", 0.9, same=True)
    )
    good = study.member("good", 0.9)
    study.refused("member good: no predictions of .*folds/3/dev.jsonl", *good[:3])
    data, study.data = study.data, study.data[:1]
    study.refused("0/good.jsonl: one file of training questions", good[0])
    study.refused("1/good.jsonl: made from .* none of the --data files", *good[:2])
    study.data = [*data, data[0]]
    study.refused("stands in .*folds/0/dev.jsonl too", *good)
    study.data = data
    (study.folder / "more").mkdir()
    twice = study.folder / "more/good.jsonl"
    for suffix in (".jsonl", ".meta.json"):
        twice.with_suffix(suffix).write_bytes(good[0].with_suffix(suffix).read_bytes())
    study.refused("more/good.jsonl: .*0/good.jsonl scored the same file", *good, twice)


def test_rows_whose_answers_weights_must_not_know_are_refused(study: Study) -> None:
    def changed(**update: object) -> list[Path]:
        study.rows[4] = rows_[4].model_copy(update=update)
        study.write()
        return study.member("good", 0.9)

    rows_ = list(study.rows)
    study.refused("folds/1/dev.jsonl, row 합성-004: is of split test", *changed(split="test"))
    files = changed(split="dev")
    study.refused("row 합성-004: is of split dev; .* say --dev", *files)
    study.fit("weighted", *files, more=("--dev",))
    (study.folder / "weights.json").unlink()
    study.refused("row 합성-00.: its dialogue or passage is in", *changed(group="g0"))
    files = changed()
    study.rows[4] = rows_[4].model_copy(update={"answer": None})
    study.write()
    study.refused("row 합성-004: has no answer", *files)


def test_weights_never_replace_what_they_are_fitted_on(study: Study) -> None:
    files = study.member("good", 0.9)
    for out, match in (
        (study.data[1], "dev.jsonl: is named twice, so it would be written over"),
        (files[1], "good.jsonl: is named twice"),
        (study.folder, "is a folder; name a file to write"),
    ):
        given = [path.read_bytes() for path in (*study.data, *files)]
        paths = [*map(str, files), "--data", *map(str, study.data)]
        with pytest.raises(UserError, match=match):
            fit.main([*paths, "--rule", "weighted", "--out", str(out)])
        assert [path.read_bytes() for path in (*study.data, *files)] == given


def test_members_that_cannot_be_fitted_are_refused(study: Study) -> None:
    files = study.member("good", 0.9)
    given, meta = predictions.read(files[2])
    plain = [one.model_copy(update={"logprobs": None}) for one in given.values()]
    study.save(files[2], plain, study.data[2], "good2")
    study.refused("oof/0/good.jsonl: holds answers without .* greedy", *files, rule="greedy")
    assert meta.method == "letter"
    study.fit("weighted", *files)
    (study.folder / "weights.json").unlink()
    study.refused("no member is better than chance", *study.member("bad", 0.1))


def test_dev_rows_may_be_scored_by_one_model(study: Study) -> None:
    study.rows = [row.model_copy(update={"split": "dev"}) for row in study.rows]
    study.write()
    found = study.fit("weighted", *study.member("good", 0.9, same=True), more=("--dev",))
    assert found.weights["good"] > 2
    assert read_json(study.folder / "weights.json")["fitted"]["sklearn"]
