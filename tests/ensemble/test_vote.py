"""vote.py from prediction files to a submission, by every rule."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from core.records import Prediction
from ensemble import vote
from ensemble.rules import RULES
from eval import predictions, report
from tests.support.paths import ROOT
from tests.support.scored_rows import save_rows
from tests.support.vote_case import Case


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
    assert {one.logprobs for one in read.values()} == {None}
    assert (meta.method, meta.probabilities) == ("hard-vote", False)
    capsys.readouterr()
    report.main([str(members[0]), str(votes), "--data", str(case.folder / "test.jsonl")])
    printed = capsys.readouterr().out
    assert "vote" in printed
    assert "/5" in printed
    case.refused("vote.jsonl: is itself a vote", members[0], votes)


@pytest.mark.parametrize("rule", ["hard", "pohanghang", "soft", "log-odds", "weighted"])
@pytest.mark.parametrize("members_have", [True, False])
def test_only_means_of_probabilities_are_reported_as_such(
    rule: str, members_have: bool, case: Case
) -> None:
    data = case.folder / "test.jsonl"
    save_rows(data, 5)
    members = [case.scored("a.jsonl", "01201"), case.scored("b.jsonl", "01002")]
    for path in members:
        given, meta = predictions.read(path)
        about = meta.model_dump() | {"probabilities": members_have}
        predictions.write(path, given.values(), about)
    votes, figures, page = (case.folder / name for name in ("vote.jsonl", "f.json", "p.html"))
    more = case.weights(a=1.0, b=2.0) if rule == "weighted" else ("--rule", rule)
    case.vote(*members, more=("--votes", str(votes), *more))
    what = ["--json", str(figures), "--html", str(page)]
    report.main([str(votes), "--data", str(data), *what])
    one = json.loads(figures.read_text("utf-8"))["results"]["vote"]
    real = rule == "soft" and members_have
    assert [one["ece"] is not None, one["brier"] is not None, bool(one["calibration"])] == [
        real
    ] * 3
    shown = page.read_text("utf-8")
    assert ('id="calibration"' in shown) == real
    assert (">chosen<" in shown) != real


def test_a_decomposed_id_joins_its_composed_twin(case: Case) -> None:
    import unicodedata

    for item in case.items:
        item["id"] = unicodedata.normalize("NFD", item["id"])
    case.write_test()
    assert case.vote(case.scored("a.jsonl", "01201"))[:2] == ["inference_1", "inference_2"]
    written = json.loads(case.out.read_text(encoding="utf-8"))
    assert [item["id"] for item in written] == [item["id"] for item in case.items]


def test_each_rule_is_chosen_by_name(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    members = [case.scored(f"{n}.jsonl", f"{choice}1201") for n, choice in enumerate("011220")]
    for rule in set(RULES) - {"weighted", "stacking", "k-fold"}:
        votes = case.folder / "vote.jsonl"
        found = case.vote(*members, more=("--rule", rule, "--votes", str(votes)))
        # the first item has two votes for each option; nlp-13 weighs them .4, .4, .3
        assert found == ["inference_1", *(f"inference_{n}" for n in (2, 3, 1, 2))]
        read, meta = predictions.read(votes)
        assert meta.method == f"{rule}-vote"
        assert [read[id_].choice for id_ in case.ids] == [0, 1, 2, 0, 1]
        assert f"rule {rule}, 4 unanimous" in capsys.readouterr().out
    case.refused("rule weighted needs --weights", *members, more=("--rule", "weighted"))
    case.refused("nlp-13 weighs 6 files .* 2 are named", *members[:2], more=("--rule", "nlp-13"))


def test_ties_are_printed_and_stand_with_the_votes(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = case.folder / "vote.jsonl"
    members = [case.scored("a.jsonl", "01201"), case.scored("b.jsonl", "01110")]
    case.vote(*members, more=("--votes", str(votes)))
    assert "ties: 3, settled 3 by the file named first" in capsys.readouterr().out
    extra = predictions.read(votes)[1].model_extra
    assert extra["ties"]["the file named first"] == 3
    assert [Path(member["path"]).stem for member in extra["members"]] == ["a", "b"]


def test_abstentions_cast_no_vote_and_nobody_answering_is_refused(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c = (
        case.plain(f"{n}.jsonl", v) for n, v in (("a", "0-2-1"), ("b", "01--1"), ("c", "1-201"))
    )
    assert case.vote(a, b, c) == [f"inference_{n}" for n in (1, 2, 3, 1, 2)]
    assert "abstentions: 5, on 3 items" in capsys.readouterr().out
    case.refused("id 합성-003: none of 2 models gives an answer, as for 1 of 5 items", a, b)


def test_rules_that_need_log_probabilities_refuse_members_without(case: Case) -> None:
    scored, plain = case.scored("a.jsonl", "01201"), case.plain("b.jsonl", "01201")
    for rule in ("soft", "log-odds"):
        case.refused(
            f"b.jsonl: holds answers without .*greedy-text.*rule {rule} needs",
            scored,
            plain,
            more=("--rule", rule),
        )
    # a member that never answers says nothing that would need them
    silent = case.plain("c.jsonl", "-----")
    assert case.vote(scored, silent, more=("--rule", "soft"))[0] == "inference_1"


def test_members_of_other_preparations_vote_only_if_asked(case: Case) -> None:
    save_rows(case.folder / "other.jsonl", 5, seed=9)
    a, b = case.scored("a.jsonl", "01201"), case.scored("b.jsonl", "01202", data="other.jsonl")
    case.refused("b.jsonl: made from other data", a, b)
    votes = case.folder / "vote.jsonl"
    assert case.vote(a, b, more=("--mixed", "--votes", str(votes)))[0] == "inference_1"
    assert predictions.read(votes)[1].model_extra["mixed"] is True
    case.items[1]["input"]["inference_4"] = "넷째"
    case.write_test()
    case.refused("a.jsonl, id 합성-001: 3 options, but .* has 4", a, b, more=("--mixed",))


def test_an_exam_gets_a_csv(case: Case) -> None:
    lines = ["id,paragraph,problems,question_plus"]
    made = []
    for number, options in enumerate((5, 4)):
        # an answer in the test file is not used
        problem = {"question": "옳은 것은?", "choices": list("가나다라마")[:options], "answer": 1}
        lines.append(f'exam-{number},지문 {number},"{problem}",')
        shown = list(range(options))
        logprobs = [math.log(0.1)] * (options - 1) + [math.log(1.1 - 0.1 * options)]
        made.append(
            Prediction(id=f"exam-{number}", order=shown, logprobs=logprobs, choice=shown[-1])
        )
    case.test = case.folder / "test.csv"
    case.test.write_text("\n".join(lines), encoding="utf-8")
    about = {"path": "test.jsonl", "sha256": "0", "rows": 2}
    member, out = case.folder / "a.jsonl", case.folder / "submission.csv"
    predictions.write(member, made, {"method": "letter", "data": about})
    vote.main([str(member), "--test", str(case.test), "--out", str(out), "--rule", "soft"])
    assert out.read_text() == "id,answer\nexam-0,5\nexam-1,4\n"


def test_the_help_states_the_rule_and_no_file_ends_with_2() -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "ensemble/vote.py", *args]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    what = run("--help").stdout
    assert "greatest sum of log-probabilities" in what
    assert "named first on the command line" in what.replace("\n", " ")
    assert all(rule.what in what for rule in RULES.values())
    assert run("--test", "t.json", "--out", "o.json").returncode == 2
    missing = run("none.jsonl", "--test", "none.json", "--out", "o.json")
    assert missing.returncode == 2
    assert missing.stderr == "error: none.json: no such file; check the path\n"
