"""What vote.py refuses, before it writes anything: predictions, test files, places."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.files import sha256
from core.jsonl import write_json
from ensemble import vote
from tests.support.scored_rows import save_rows
from tests.support.vote_case import Case


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_predictions_that_do_not_fit_are_refused(case: Case) -> None:
    good = case.scored("good.jsonl", "01201")
    case.refused("none.jsonl: no such file", good, case.folder / "none.jsonl")
    case.refused("good.jsonl: named twice", good, good)

    case.refused("is a folder; name the files in it, .*/[*].jsonl", good, case.folder)
    case.refused(
        "good.meta.json: prediction files are named NAME.jsonl; leave it out",
        *(good, good.with_suffix(".meta.json")),
    )

    save_rows(case.folder / "other.jsonl", 5, seed=9)
    other = case.scored("other-data.jsonl", "01201", data="other.jsonl")
    case.refused("other-data.jsonl: made from other data .*, or say --mixed where", good, other)

    ids, case.ids = case.ids, case.ids[:4]
    few = case.scored("few.jsonl", "0120")
    case.refused("no prediction for 1 of 5 ids of .*official.json, the first is 합성-004", few)
    case.ids = []
    case.refused(r"empty\.jsonl: holds no prediction", case.scored("empty.jsonl", ""))
    case.ids = [*ids, "합성-x"]
    case.refused("1 ids are not in .*, the first is 합성-x", case.scored("more.jsonl", "012010"))
    case.ids = [*ids, ids[0]]
    twice = case.scored("a.jsonl", "012010")
    lines = twice.read_text(encoding="utf-8").splitlines(keepends=True)
    twice.write_text("".join([*lines, lines[0]]), encoding="utf-8")
    case.refused("id 합성-000 stands there twice", twice)


def test_broken_prediction_files_are_refused(case: Case) -> None:
    for match, old, new in (
        ("line 1 .*not all finite", '"logprobs": [', '"logprobs": [NaN, '),
        ("line 1 .*not all finite", '"logprobs": [', '"logprobs": [-Infinity, '),
        ("line 1: field choice: Input should be a valid integer", '"choice": 0', '"choice": "D"'),
        ("line 1: nested too deeply", "{", "[" * 100_000),
        ("line 1: holds a number too long", '"choice": 0', f'"choice": {"1" * 5000}'),
        ("line 1 .*choice 3 is none of its 3", '"choice": 0', '"choice": 3'),
        ("line 1: malformed JSON", '"choice": 0}', '"choice": '),
        ("not the file that .*a.meta.json describes", "합성-004", "합성-005"),
    ):
        path = case.scored("a.jsonl", "01201")
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        case.refused(match, path)
    path = case.scored("a.jsonl", "01201")
    path.with_suffix(".meta.json").unlink()
    case.refused("a.meta.json: missing, so what made .*a.jsonl is unknown", path)


def test_wrong_test_files_are_refused(case: Case) -> None:
    good = case.scored("good.jsonl", "01201")
    case.items[1]["input"].pop("inference_3")
    case.write_test()
    case.refused("id 합성-001: 3 options, but .*official.json has 2", good)
    case.items[1]["id"] = case.items[0]["id"]
    case.write_test()
    case.refused("item 2: id 합성-000 stands there twice", good)
    del case.items[1]["input"]["inference_2"]
    case.write_test()
    case.refused("item 2 .*its input has no inference_1", good)
    del case.items[1]["id"]
    case.write_test()
    case.refused("item 2: has no id", good)
    write_json(case.test, {"items": []})
    case.refused("not a list of items", good)
    case.test.write_text("[{")
    case.refused("malformed JSON at line 1", good)
    case.test.unlink()
    case.refused("no such file", good)


def test_answers_to_another_test_file_of_the_same_ids_are_refused(case: Case) -> None:
    member = case.scored("a.jsonl", "01201")
    report = {
        "inputs": {"made/test": {"file": "official.json", "sha256": sha256(case.test)}},
        "outputs": {"test.jsonl": {"sha256": sha256(case.folder / "test.jsonl"), "lines": 5}},
    }
    write_json(case.folder / "build.json", report)
    said = case.vote(member)
    case.items[1]["input"]["inference_1"] = "다른 보기"
    case.write_test()
    case.refused("a.jsonl: answers .*test.jsonl, built of official.json, but .* another", member)
    assert case.vote(member, more=("--mixed",)) == said
    report["outputs"]["test.jsonl"]["sha256"] = "0" * 64  # built anew since: it says nothing
    write_json(case.folder / "build.json", report)
    assert case.vote(member) == said


def test_a_test_file_that_no_submission_can_repeat_is_refused(case: Case) -> None:
    good = case.scored("good.jsonl", "01201")
    text = case.test.read_text(encoding="utf-8")
    for match, changed in (
        ("key category stands twice in an object", '"category": "전제",\n"category"'),
        ("holds half a character", '"note": "\\ud800",\n"category"'),
    ):
        case.test.write_text(text.replace('"category"', changed, 1), encoding="utf-8")
        case.refused(f"official.json: {match}", good)


def test_a_wrong_place_is_refused_before_anything_is_written(case: Case) -> None:
    good = case.scored("good.jsonl", "01201")
    case.refused(
        "votes.json: prediction files are named NAME.jsonl", good, more=("--votes", "votes.json")
    )
    sidecar = case.folder / "x.meta.json"
    sidecar.mkdir()
    votes = str(case.folder / "x.jsonl")
    case.refused("x.meta.json: is a folder", good, more=("--votes", votes))
    given = [path.read_bytes() for path in (case.test, good)]
    case.refused("good.jsonl: is named twice", good, more=("--votes", str(good)))
    folder = ("--votes", str(case.folder))
    case.refused("is a folder; name a file to write", good, more=folder)
    for out, match in (
        (case.test, "official.json: is named twice, so it would be written over"),
        (sidecar.rename(case.folder / "x.json"), "x.json: is a folder"),
        (case.out / "s.json", "its folder cannot be made"),
    ):
        case.out.write_text("earlier")
        with pytest.raises(UserError, match=match):
            vote.main([str(good), "--test", str(case.test), "--out", str(out)])
    assert [path.read_bytes() for path in (case.test, good)] == given


def test_a_submission_of_another_form_than_the_test_file_is_refused(case: Case) -> None:
    good = case.scored("good.jsonl", "01201")
    case.out = case.folder / "submission.csv"
    case.refused("submission.csv: a submission for .*official.json must end in .json", good)
