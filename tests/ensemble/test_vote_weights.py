"""vote.py with weights, and folds that share one; and what it refuses of them."""

from pathlib import Path

import pytest

from core.jsonl import write_json
from eval import predictions
from tests.support.vote_case import Case


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_weights_are_joined_by_name(case: Case) -> None:
    a, b = case.scored("a.jsonl", "00000"), case.scored("b.jsonl", "11111")
    for heavy, option in (({"a": 2.0, "b": 1.0}, 1), ({"b": 2.0, "a": 1.0}, 2)):
        for members in ((a, b), (b, a)):
            assert case.vote(*members, more=case.weights(**heavy)) == [f"inference_{option}"] * 5
    # a member without weight settles no tie either, and may be left out
    c = case.scored("c.jsonl", "00000")
    nothing = case.weights(c=0.0, a=1.0, b=1.0)
    assert case.vote(c, b, a, more=nothing) == ["inference_2"] * 5
    assert case.vote(b, a, more=nothing) == ["inference_2"] * 5
    assert case.vote(a, b, more=case.weights("soft", a=1.0, b=3.0)) == ["inference_2"] * 5


@pytest.mark.parametrize("scale", [1e-320, 1e-9, 1.0, 1e308])
def test_only_the_ratio_of_weights_counts(case: Case, scale: float) -> None:
    a, b = case.scored("a.jsonl", "00000"), case.scored("b.jsonl", "11111")
    for rule in ("weighted", "soft", "log-odds"):
        heavier = case.weights(rule, a=scale, b=1.5 * scale)
        assert case.vote(a, b, more=heavier) == ["inference_2"] * 5


def test_folds_of_one_recipe_count_once(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    for fold in "012":
        (case.folder / fold).mkdir()
    three = [case.scored(f"{fold}/gemma.jsonl", "00000") for fold in "012"]
    two = [case.scored(f"{fold}/qwen.jsonl", "11111") for fold in "01"]
    one = case.scored("2/solar.jsonl", "11111")
    # gemma's three files have the soft vote, but two of three recipes are for the second option
    assert case.vote(*three, *two, more=("--rule", "soft")) == ["inference_1"] * 5
    capsys.readouterr()
    votes = case.folder / "vote.jsonl"
    by_fold = ("--rule", "k-fold", "--votes", str(votes))
    assert case.vote(*three, *two, one, more=by_fold) == ["inference_2"] * 5
    lines = capsys.readouterr().out
    assert "folds: gemma 3, qwen 2, solar 1; not equally many, yet every recipe counts" in lines
    members = predictions.read(votes)[1].model_extra["members"]
    assert [round(member["weight"], 3) for member in members] == [0.333] * 3 + [0.5] * 2 + [1]
    case.vote(*three[:2], *two, more=("--rule", "k-fold"))
    assert "folds: gemma 2, qwen 2\n" in capsys.readouterr().out
    # weights of the soft vote are a recipe's, which its folds share
    heavy = case.weights("soft", gemma=1.0, qwen=1.2)
    assert case.vote(*three, *two, more=(*heavy, "--rule", "k-fold")) == ["inference_2"] * 5
    heavy = case.weights("soft", gemma=1.2, qwen=1.0)
    assert case.vote(*three, *two, more=(*heavy, "--rule", "k-fold")) == ["inference_1"] * 5
    case.refused("two members are named gemma; .* say --rule k-fold", *three, *two, more=heavy)
    case.refused(
        "is for rule weighted",
        *three,
        more=(*case.weights(gemma=1.0), "--rule", "k-fold"),
    )


def test_what_are_no_folds_is_refused(case: Case) -> None:
    a, b = case.scored("a.jsonl", "00000"), case.scored("b.jsonl", "11111")
    case.refused("no two of the files share a name", a, b, more=("--rule", "k-fold"))
    (case.folder / "1").mkdir()
    for path, weights in ((a, "x"), (case.scored("1/a.jsonl", "00000"), "x")):
        given, meta = predictions.read(path)
        predictions.write(path, given.values(), meta.model_dump() | {"weights_sha256": weights})
    again = case.folder / "1/a.jsonl"
    case.refused(
        "1/a.jsonl: the weights that scored it scored .*a.jsonl too, so it is no other fold",
        *(a, again),
        more=("--rule", "k-fold"),
    )


def test_weights_that_do_not_fit_are_refused(case: Case) -> None:
    a, b = case.scored("a.jsonl", "00000"), case.scored("b.jsonl", "11111")
    for match, weights in (
        ("b.jsonl: .*w.json has no weight for b", {"a": 1.0}),
        ("w.json: weighs c, but no file of that name votes", {"a": 1.0, "b": 1.0, "c": 0.1}),
        ("w.json: the weight of b is negative", {"a": 1.0, "b": -1.0}),
        ("w.json: the weight of b is nan", {"a": 1.0, "b": float("nan")}),
        ("w.json: all weights are 0", {"a": 0.0, "b": 0.0}),
        ("field weights: .*at least 1.*; give {", {}),
    ):
        case.refused(match, a, b, more=case.weights(**weights))
    case.refused("is for rule weighted", a, b, more=("--rule", "soft", *case.weights(a=1.0, b=1.0)))
    case.refused("field rule", a, b, more=case.weights("mean", a=1.0, b=1.0))
    (case.folder / "more").mkdir()
    again = case.scored("more/a.jsonl", "11111")
    case.refused("a.jsonl: two members are named a", a, again, more=case.weights(a=1.0))
    for match, value in (
        ("belong to stacking", {"rule": "soft", "weights": {"a": 1.0}, "intercept": 2.0}),
        ("all weights are 0", {"rule": "stacking", "weights": {"a": 0.0}}),
        (
            "by_category 원인 has other members",
            {"rule": "stacking", "weights": {"a": 1.0}, "by_category": {"원인": {"b": 1.0}}},
        ),
        (
            "not finite",
            {
                "rule": "stacking",
                "weights": {"a": 1.0},
                "by_category": {"원인": {"a": float("inf")}},
            },
        ),
    ):
        write_json(case.folder / "w.json", value)
        case.refused(match, a, more=("--weights", str(case.folder / "w.json")))
    (case.folder / "w.json").write_text('{"rule": "soft", "weights": {"a": 1.0, "a": 2.0}}')
    weights = ("--weights", str(case.folder / "w.json"))
    case.refused("key a stands twice in an object", a, more=weights)
    case.refused("none.json: no such file", a, b, more=("--weights", "none.json"))
