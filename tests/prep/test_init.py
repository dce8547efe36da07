"""prep/init.py: from a table to a run of params.yaml, a recipe and four commands."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from prep import init
from prep.config import load_run
from prep.lengths import ruler
from tests.support.own_tables import record, save
from tests.support.paths import ROOT

PARAMS = "# a comment that stays\nruns:\n  other: {inputs: x} # and this\nmembers: {}\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipes, a params file, and a table to train on and one to answer."""
    shutil.copytree(ROOT / "recipes/tiny", tmp_path / "recipes/tiny")
    shutil.copy(ROOT / "recipes/qlora-24gb.yml", tmp_path / "recipes/qlora-24gb.yml")
    (tmp_path / "params.yaml").write_text(PARAMS, "utf-8")
    (tmp_path / "my").mkdir()
    save(tmp_path / "my/train.csv", [record(number) for number in range(10)])
    test = [{k: v for k, v in record(n).items() if k != "정답"} for n in (3, 4)]
    save(tmp_path / "my/test.csv", [{**one, "지문": f"다른 글 {one['번호']}"} for one in test])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["init.py", *arguments])
    init.main()


def test_a_run_a_recipe_and_four_commands(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "my/train.csv", "--test", "my/test.csv", "--name", "own", "--machine", "cpu")
    said = capsys.readouterr().out
    columns = "{id: 번호, passage: 지문, question: 문제, "
    columns += "options: [보기1, 보기2, 보기3, 보기4], answer: 정답}"
    assert f"columns: {columns}\n  answers: from 1\n" in said
    assert said.partition("then:\n")[2] == (
        "  python prep/build.py --run own\n"
        "  accelerate launch -m axolotl.cli.train outputs/own/recipe.yml\n"
        "  python eval/score.py --model outputs/own/trained --data data/own/test.jsonl "
        "--out predictions/own.jsonl\n"
        "  python ensemble/vote.py predictions/own.jsonl --test my/test.csv --run own "
        "--out submissions/own.csv\n"
    )
    params = Path("params.yaml").read_text("utf-8")
    before, _, after = params.partition("  own:\n")
    assert before + after[after.index("  other:") :] == PARAMS
    assert load_run(Path("params.yaml"), "own").corpus.answers == "from 1"
    recipe = yaml.safe_load(Path("outputs/own/recipe.yml").read_text("utf-8"))
    assert recipe["base_model"] == "./recipes/tiny/base"
    assert recipe["output_dir"] == "./outputs/own/trained"
    assert ruler(Path("outputs/own/recipe.yml")).limit % 64 == 0
    again = Path("outputs/own/recipe.yml").read_bytes()
    with pytest.raises(UserError, match=r"recipe\.yml: is there already; give another --name"):
        run(monkeypatch, "my/train.csv", "--name", "own")
    assert Path("outputs/own/recipe.yml").read_bytes() == again


def test_a_row_that_the_base_cannot_hold_does_not_stretch_the_recipe(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {**record(10), "지문": " ".join(f"{n}번 이야기" for n in range(2500))}
    save(place / "my/train.csv", [*map(record, range(10)), long])
    run(monkeypatch, "my/train.csv", "--name", "own", "--machine", "cpu")
    assert ruler(Path("outputs/own/recipe.yml")).limit == 8192


def test_a_folder_is_no_file_of_questions(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (("my",), ("my/train.csv", "--test", "my"), ("my/train.csv", "--dev", "my")):
        with pytest.raises(UserError, match="my: is a folder; name the file of questions in it"):
            run(monkeypatch, *given, "--name", "own")


def test_a_gpu_gets_a_recipe_of_its_own(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "my/train.csv", "--name", "own", "--machine", "24gb")
    recipe = yaml.safe_load(Path("outputs/own/recipe.yml").read_text("utf-8"))
    assert (recipe["adapter"], recipe["micro_batch_size"]) == ("qlora", 2)
    said = capsys.readouterr().out
    assert "--model google/gemma-2-9b-it --adapter own=outputs/own/trained" in said
    assert "python eval/report.py predictions/own.jsonl --data data/own/dev.jsonl" in said


@pytest.mark.parametrize(
    ("memory", "kind"), [("24564", "24gb"), ("81559\n81559", "80gb"), ("", "cpu")]
)
def test_the_machine_is_known_by_its_first_gpu(
    memory: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\nprintf '{memory}'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert init.machine_here() == kind
    command.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert init.machine_here() == "cpu"


def test_what_is_not_clear_is_asked_and_nothing_is_written(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(records: list[dict[str, Any]], sentence: str, *more: str) -> None:
        save(place / "my/other.csv", records)
        with pytest.raises(UserError, match=sentence):
            run(monkeypatch, "my/other.csv", "--name", "new", "--machine", "cpu", *more)
        assert Path("params.yaml").read_text("utf-8") == PARAMS
        assert not Path("outputs").exists()

    made = [record(number) for number in range(10)]
    both = "can be read by 'from 1', 'from 0'.; state it by --answers"
    refused([{**one, "정답": 1 + n % 2} for n, one in enumerate(made)], both)
    refused(
        [{**one, "정답": "몰라"} for one in made],
        "몰라; not all can be read by any one of from 1, ",
    )
    refused([{"이름": "가", "값": 1}], "its answer and its options and its question is not clear")
    refused([*made, made[0]], "id q-0 stands there twice")
    refused([made[0], {**made[1], "지문": ""}], "지문 is empty under a cell that is not")
    few = "cannot be held out of 1 dialogues or passages"
    refused([made[0]], few, "--answers", "from 1")
    shutil.copy("my/train.csv", "train.csv")
    with pytest.raises(
        UserError, match=r"train.csv: lies with other work; put the files into a fo"
    ):
        run(monkeypatch, "train.csv", "--name", "new")
    with pytest.raises(UserError, match="가: no name for a run; give one of letters and digits"):
        run(monkeypatch, "my/train.csv", "--name", "가")
    with pytest.raises(UserError, match="has a run other already; give another --name"):
        run(monkeypatch, "my/train.csv", "--name", "other")


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (
            [{"question": "?", "A": "1", "B": "2", "C": "3", "D": "4", "answer": "B"}],
            ({"question": "question", "options": [*"ABCD"], "answer": "answer"}, ("A",)),
        ),
        (
            [{"input": "?", "choices": ["가", "나"], "target": "나", "id": 3}],
            (
                {"id": "id", "question": "input", "options": "choices", "answer": "target"},
                ("가", "text"),
            ),
        ),
        (
            [{"question": "?", "answer": 2, "A": "x", "B": "y", "Category": "수학"}],
            (
                {
                    "question": "question",
                    "options": ["A", "B"],
                    "answer": "answer",
                    "category": "Category",
                },
                ("from 1",),
            ),
        ),
        (
            [{"대화": "가: 응.", "참조": "1", "질문": "?", "선택지": "① 하나 ② 둘", "정답": "②"}],
            (
                {
                    "dialogue": "대화",
                    "reference": "참조",
                    "question": "질문",
                    "options": "선택지",
                    "answer": "정답",
                },
                ("①",),
            ),
        ),
    ],
)
def test_what_is_proposed_for_published_forms(
    records: list[dict[str, Any]], expected: tuple[Any, Any]
) -> None:
    made = init.propose(records)
    assert (made.columns, made.answers) == expected
