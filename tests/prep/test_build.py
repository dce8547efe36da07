"""prep/build.py as a person runs it: complete builds of a small corpus."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.jsonl import read_records
from core.records import Question, Removed
from tests.support.build_place import Place
from tests.support.paths import ROOT


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


NAMES = [
    "README.md",
    "build.json",
    "changed.jsonl",
    "dev-loss.jsonl",
    "dev.jsonl",
    "questions.jsonl",
    "removed.jsonl",
    "stage1.jsonl",
    "stage2.jsonl",
    "test.jsonl",
]


def test_a_complete_build(place: Place) -> None:
    printed = place.build()
    assert sorted(place.files()) == NAMES
    assert "test.json: answers left out" in printed

    # train-2 shares its topic, and so its dialogue, with dev-6; train-5 has no answer
    stage2 = place.rows("stage2.jsonl")
    kept = ["train-0", "train-1", "train-3", "train-4"]
    orders = ("ABC", "ACB", "BAC", "BCA", "CAB", "CBA")
    assert [row.id for row in stage2] == [f"{name}~{order}" for name in kept for order in orders]
    assert all(row.messages[-1].role == "assistant" for row in stage2)
    assert all(row.messages[-1].content.startswith(f"{row.answer}. 화자2는 ") for row in stage2)

    stage1 = place.rows("stage1.jsonl")
    assert [row.id for row in stage1] == ["talks-000001", "pairs-000001", "pairs-000002"]
    removed = read_records(place.out / "removed.jsonl", Removed)
    assert [(r.id, r.source, r.split, r.reason, r.near) for r in removed] == [
        ("dev-7", "cci-2024", "dev", "no-answer", None),
        ("pairs-000004", "pairs", "train", "empty", None),
        ("pairs-000003", "pairs", "train", "exact-duplicate", "pairs-000001"),
        ("train-5", "cci-2024", "train", "no-answer", None),
        ("train-2", "cci-2024", "train", "near-scored", "dev-6"),
    ]

    [dev], [loss], test = (place.rows(f"{name}.jsonl") for name in ("dev", "dev-loss", "test"))
    assert (dev.id, dev.answer, dev.messages[-1].role) == ("dev-6", "B", "user")
    assert loss.messages[:-1] == dev.messages
    assert loss.messages[-1].content == "B. 화자2는 어제 본 연극에 마음이 간다."
    assert [(row.answer, row.order, row.messages[-1].role) for row in test] == [
        (None, [0, 1, 2], "user")
    ] * 2

    [changed] = [json.loads(line) for line in (place.out / "changed.jsonl").open(encoding="utf-8")]
    assert (changed["id"], changed["before"], changed["after"]) == ("train-1", 12, "12")


def test_the_report_adds_up(place: Place) -> None:
    place.build()
    report = json.loads((place.out / "build.json").read_text(encoding="utf-8"))
    assert report["settings"] == {
        "prompt": "reference@1",
        "track": None,
        "clean": "none",
        "answer": "option",
        "system": "fold",
        "orders": "all",
        "scoring_orders": "published",
        "seed": 42,
        "duplicates": {
            "method": "simhash",
            "bits": 3,
            "compatible": False,
            "hard_negatives": "keep",
        },
        "test_answers": "drop",
    }
    assert report["scored"] == {
        "dev": {"read": 2, "removed": {"no-answer": 1}, "kept": 1, "rows": 1, "cleaned": 0},
        "test": {"read": 2, "removed": {}, "kept": 2, "rows": 2, "cleaned": 0},
    }
    assert report["stages"]["stage2"] == {
        "rows": 24,
        "sources": {
            "cci-2024": {
                "read": 6,
                "removed": {"near-scored": 1, "no-answer": 1},
                "kept": 4,
                "rows": 24,
                "cleaned": 1,
            }
        },
    }
    assert report["stages"]["stage1"]["sources"]["pairs"] == {
        "read": 4,
        "removed": {"empty": 1, "exact-duplicate": 1},
        "kept": 2,
        "rows": 2,
        "cleaned": 0,
    }
    files = place.files()
    for name, output in report["outputs"].items():
        lines = (place.out / name).read_text(encoding="utf-8").count("\n")
        assert output == {"lines": lines, "sha256": files[name]}
    for name, source in {"cci-2024/dev": "corpus/dev.json", "pairs": "external/pairs.json"}.items():
        digest = hashlib.sha256((place.folder / source).read_bytes()).hexdigest()
        assert report["inputs"][name] == {"file": Path(source).name, "sha256": digest}


def test_the_same_bytes_again_elsewhere_and_with_other_times(place: Place) -> None:
    place.build()
    first = place.files()
    shutil.copytree(place.folder / "corpus", place.folder / "moved")
    shutil.rmtree(place.out)
    place.build("--corpus", "moved", "--out", str(place.out))
    # the card's command alone says where the corpus was
    assert place.files() == {**first, "README.md": place.files()["README.md"]}


def test_test_answers_can_be_kept(place: Place) -> None:
    assert "answers left out" not in place.build(test_answers="keep")
    assert [row.answer for row in place.rows("test.jsonl")] == ["B", "B"]


@pytest.mark.parametrize("answers", ["drop", "keep"])
def test_the_questions_behind_the_rows_are_written_with_them(place: Place, answers: str) -> None:
    place.build(clean=["names"], test_answers=answers)
    questions = read_records(place.out / "questions.jsonl", Question)
    rows = [*place.rows("dev.jsonl"), *place.rows("test.jsonl")]
    assert [(one.split, one.id) for one in questions] == [(row.split, row.id) for row in rows]
    for question, row in zip(questions, rows, strict=True):
        assert question.answer == (row.answer and row.labels.index(row.answer))
        assert all(turn.text in row.messages[0].content for turn in question.turns)
        assert all(option in row.messages[0].content for option in question.options)
    assert {one.answer for one in questions if one.split == "test"} == (
        {None} if answers == "drop" else {1}
    )
    card = (place.out / "README.md").read_text(encoding="utf-8")
    assert "| questions.jsonl | 3 |" in card
    configs = yaml.safe_load(card.split("---\n")[1])["configs"]
    assert [one["config_name"] for one in configs] == [
        "dev-loss",
        "dev",
        "stage1",
        "stage2",
        "test",
    ]


def test_options_reach_the_rows(place: Place) -> None:
    place.build(answer="letter", system="keep", orders="published", prompt="baseline")
    rows = place.rows("stage2.jsonl")
    assert [row.id for row in rows] == ["train-0", "train-1", "train-3", "train-4"]
    assert [m.role for m in rows[0].messages] == ["system", "user", "assistant"]
    assert {(row.messages[-1].content, row.prompt) for row in rows} == {("B", "baseline@1")}
    assert [m.role for m in place.rows("dev.jsonl")[0].messages] == ["system", "user"]


def test_a_stage_may_mix_questions_and_chats(place: Place) -> None:
    mix = [{"source": "cci-2024"}, *place.run["stages"]["stage1"]]
    place.build(stages={"both": mix}, orders="published")
    sources = [row.source for row in place.rows("both.jsonl")]
    assert sources == ["cci-2024"] * 4 + ["talks"] + ["pairs"] * 2


def test_exam_questions_are_shown_by_a_prompt_of_their_own(place: Place) -> None:
    fixtures = ROOT / "tests/fixtures/sources"
    exam = {"source": "exam", "path": str(fixtures / "exam.csv"), "prompt": "exam"}
    kmmlu = {"source": "kmmlu", "path": str(fixtures / "kmmlu.csv"), "prompt": "exam"}
    mix = [{"source": "cci-2024"}, exam, kmmlu]
    place.build(stages={"both": mix}, orders="published", inputs="/")
    rows = place.rows("both.jsonl")
    assert [row.prompt for row in rows] == ["reference@1"] * 4 + ["exam@1"] * 3
    assert rows[-1].messages[-1].content == "C. 풍속계"
    report = json.loads((place.out / "build.json").read_text(encoding="utf-8"))
    assert report["stages"]["both"]["sources"]["kmmlu"]["removed"] == {"bad-options": 1}
    assert report["stages"]["both"]["sources"]["exam"]["removed"] == {"no-answer": 1}
    changed = [json.loads(line) for line in (place.out / "changed.jsonl").open(encoding="utf-8")]
    assert [change["reason"] for change in changed] == ["not-a-string", "note-split"]

    del exam["prompt"]
    said = place.build(code=2, stages={"s": [exam]}, inputs="/")
    assert "is an exam question, of which prompt reference@1 does not show all" in said


def test_without_dev_and_test_it_says_what_was_not_checked(place: Place) -> None:
    place.build()
    old = place.files()
    for name in ("dev", "test"):
        (place.folder / f"corpus/{name}.json").unlink()
    printed = place.build("--stages", "stage2")
    assert "no dev file: no training row was checked against dev questions" in printed
    assert "no test file: no training row was checked against test questions" in printed
    for name in ("dev.jsonl", "dev-loss.jsonl", "test.jsonl", "stage1.jsonl"):
        assert f"{name}: left from an earlier build" in printed
        assert place.files()[name] == old[name]
    assert "train-2~ABC" in {row.id for row in place.rows("stage2.jsonl")}
    assert "stage1.jsonl" not in json.loads((place.out / "build.json").read_text())["outputs"]


def test_the_repositorys_own_runs_are_valid() -> None:
    code = "from prep.config import load_run; from pathlib import Path\n"
    code += "print([load_run(Path('params.yaml'), run).prompt for run in ('cci', 'demo')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "['reference', 'reference']\n", done.stderr


def test_rows_are_shown_as_they_are(place: Place) -> None:
    place.build()
    script = [sys.executable, str(ROOT / "prep/show.py"), str(place.out / "stage2.jsonl")]
    run = {"cwd": place.folder, "capture_output": True, "text": True}
    shown = subprocess.run([*script, "--id", "train-0"], **run)
    assert shown.stdout.count("[Conversation]") == 6
    assert "A = option 2, B = option 1, C = option 3 · answer A" in " ".join(
        shown.stdout.replace("│", " ").split()
    )
    first = subprocess.run([*script, "--n", "1"], **run)
    assert first.stdout.count("[Conversation]") == 1
    none = subprocess.run([*script, "--id", "train-99"], **run)
    assert (none.returncode, none.stdout) == (2, "")
    assert "no row with id train-99" in none.stderr
