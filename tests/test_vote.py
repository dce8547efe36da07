"""The voting rule, and vote.py from prediction files to a submission."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble import vote
from ensemble.rules import vote_logprobs, winner
from eval import predictions, report
from prep.errors import UserError
from prep.jsonl import write_json
from prep.records import Prediction
from tests.scoring import save_predictions, save_rows

ROOT = Path(__file__).resolve().parent.parent
SURE, UNSURE = -0.1, -0.9


def ballot(choice: int, logprobs: list[float]) -> Prediction:
    return Prediction(id="합성-1", order=[0, 1, 2], logprobs=logprobs, choice=choice)


def test_most_votes_win_whatever_the_log_probabilities() -> None:
    ballots = [
        ballot(2, [-1.2, -1.3, -0.9]),
        ballot(0, [-0.01, -9.0, -9.0]),
        ballot(2, [-1.2, -1.3, -0.9]),
    ]
    assert winner(ballots) == 2


def test_a_tie_goes_to_the_greater_sum_of_log_probabilities() -> None:
    # one vote each; sums over all three: option 0 −5.1, option 1 −5.0, option 2 −5.2
    ballots = [
        ballot(0, [-0.1, -2.0, -2.6]),
        ballot(1, [-2.5, -0.5, -2.5]),
        ballot(2, [-2.5, -2.5, -0.1]),
    ]
    assert winner(ballots) == 1
    assert winner(ballots[::-1]) == 1


def test_the_sum_is_over_the_tied_options_only() -> None:
    # options 0 and 1 have two votes each; option 2, with one, has the greatest sum
    ballots = [
        ballot(0, [-0.5, -3.0, -0.6]),
        ballot(0, [-0.5, -3.0, -0.6]),
        ballot(1, [-3.0, -0.4, -0.6]),
        ballot(1, [-3.0, -0.4, -0.6]),
        ballot(2, [-3.0, -3.1, -0.1]),
    ]
    assert winner(ballots) == 1


def test_a_tie_of_sums_goes_to_the_file_named_first() -> None:
    ballots = [ballot(2, [-3.0, -1.0, -0.5]), ballot(1, [-3.0, -0.5, -1.0])]
    assert winner(ballots) == 2
    assert winner(ballots[::-1]) == 1


def test_vote_shares_are_smoothed() -> None:
    ballots = [ballot(0, [-0.1, -2.0, -2.0])] * 2 + [ballot(1, [-2.0, -0.1, -2.0])]
    assert vote_logprobs(ballots) == [round(math.log(share / 6), 6) for share in (3, 2, 1)]


class Case:
    """A test file of five items and prediction files over it, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = save_rows(folder / "test.jsonl", 5, answered=False)
        self.ids = [row.id for row in self.rows]
        self.items = [
            {
                "id": id_,
                "input": {
                    "conversation": [
                        {"speaker": 1, "utterance": "비가 온다", "utterance_id": "d.1"}
                    ],
                    "reference_id": ["d.1"],
                    "category": "원인",
                    "inference_2": "둘째",
                    "inference_1": "첫째",
                    "inference_3": "셋째",
                },
                "output": "",
            }
            for id_ in self.ids
        ]
        self.test = folder / "official.json"
        self.write_test()
        self.out = folder / "submission.json"

    def write_test(self) -> None:
        text = json.dumps(self.items, ensure_ascii=False, indent=4)
        self.test.write_text(text, encoding="utf-8")

    def scored(self, name: str, choices: str, data: str = "test.jsonl") -> Path:
        logprobs = {}
        for id_, choice in zip(self.ids, choices, strict=True):
            logprobs[id_] = [-2.0, -2.0, -2.0]
            logprobs[id_][int(choice)] = -0.5
        return save_predictions(self.folder / name, self.folder / data, logprobs)

    def vote(self, *paths: Path, more: tuple[str, ...] = ()) -> list[str]:
        vote.main([*map(str, paths), "--test", str(self.test), "--out", str(self.out), *more])
        return [item["output"] for item in json.loads(self.out.read_text(encoding="utf-8"))]

    def refused(self, match: str, *paths: Path, more: tuple[str, ...] = ()) -> None:
        self.out.write_text("earlier")
        with pytest.raises(UserError, match=match):
            self.vote(*paths, more=more)
        assert self.out.read_text() == "earlier"
        assert not list(self.folder.glob(".*"))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_only_output_is_filled(case: Case) -> None:
    given = case.test.read_text(encoding="utf-8")
    case.vote(case.scored("a.jsonl", "01201"), case.scored("b.jsonl", "01202"))
    expected = given
    # the last item is tied with equal sums: the file named first decides
    for number in (1, 2, 3, 1, 2):
        expected = expected.replace('"output": ""', f'"output": "inference_{number}"', 1)
    assert case.out.read_text(encoding="utf-8") == expected


def test_items_are_joined_by_id_and_not_by_position(case: Case) -> None:
    ids, case.ids = case.ids, case.ids[::-1]
    backwards = case.scored("a.jsonl", "10210")
    case.ids = ids
    assert case.vote(backwards) == [f"inference_{n}" for n in (1, 2, 3, 1, 2)]


def test_answers_in_the_test_file_are_not_read(case: Case) -> None:
    member = case.scored("a.jsonl", "01201")
    blind = case.vote(member)
    for item, answer in zip(case.items, ("inference_3", "?", None, ["x"], 7), strict=True):
        item["output"] = answer
    case.write_test()
    assert case.vote(member) == blind
    del case.items[0]["output"]
    case.write_test()
    assert case.vote(member) == blind


def test_the_vote_can_be_reported_like_a_model(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = save_rows(case.folder / "test.jsonl", 5)
    members = [
        case.scored(f"{name}.jsonl", choices) for name, choices in (("a", "01201"), ("b", "01002"))
    ]
    votes = case.folder / "vote.jsonl"
    case.vote(*members, more=("--votes", str(votes)))
    read, meta = predictions.read(votes)
    assert [read[row.id].choice for row in rows] == [0, 1, 2, 0, 1]
    assert read[rows[0].id].logprobs == [round(math.log(share / 5), 6) for share in (3, 1, 1)]
    assert meta.method == "hard-vote"
    capsys.readouterr()
    report.main([str(members[0]), str(votes), "--data", str(case.folder / "test.jsonl")])
    printed = capsys.readouterr().out
    assert "vote" in printed
    assert "/5" in printed
    case.refused("vote.jsonl: is itself a vote", members[0], votes)


def test_a_decomposed_id_joins_its_composed_twin(case: Case) -> None:
    import unicodedata

    for item in case.items:
        item["id"] = unicodedata.normalize("NFD", item["id"])
    case.write_test()
    assert case.vote(case.scored("a.jsonl", "01201"))[:2] == ["inference_1", "inference_2"]
    written = json.loads(case.out.read_text(encoding="utf-8"))
    assert [item["id"] for item in written] == [item["id"] for item in case.items]


def test_predictions_that_do_not_fit_are_refused(case: Case) -> None:
    good = case.scored("good.jsonl", "01201")
    case.refused("none.jsonl: no such file", good, case.folder / "none.jsonl")
    case.refused("good.jsonl: named twice", good, good)

    save_rows(case.folder / "other.jsonl", 5, seed=9)
    other = case.scored("other-data.jsonl", "01201", data="other.jsonl")
    case.refused("other-data.jsonl: made from other data", good, other)

    ids, case.ids = case.ids, case.ids[:4]
    few = case.scored("few.jsonl", "0120")
    case.refused("no prediction for 1 of 5 ids of .*official.json, the first is 합성-004", few)
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


def test_a_wrong_name_for_the_votes_is_refused_before_anything_is_written(case: Case) -> None:
    good = case.scored("good.jsonl", "01201")
    case.refused(
        "votes.json: a prediction file's name must end in", good, more=("--votes", "votes.json")
    )


def test_the_help_states_the_rule_and_no_file_ends_with_2() -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "ensemble/vote.py", *args]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    told = run("--help").stdout
    assert "greatest sum of log-probabilities" in told
    assert "named first on the command line" in told.replace("\n", " ")
    assert run("--test", "t.json", "--out", "o.json").returncode == 2
    missing = run("none.jsonl", "--test", "none.json", "--out", "o.json")
    assert missing.returncode == 2
    assert missing.stderr == "error: none.json: no such file; check the path\n"
