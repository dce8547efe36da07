"""A question asked of a model: prep's prompt, eval's numbers, in every order of the options."""

import math
import shutil
from pathlib import Path

import pytest

from app import asking
from app.asking import Form
from app.models import Models
from app.project import Project, open_project
from core.errors import UserError
from core.jsonl import read_records
from core.records import Row
from eval import predictions
from eval.answer_tokens import load_tokenizer

BASE = "recipes/tiny/base"
FORM = Form(
    context="> 철수: 어제 우산을 잃었어.\n영희: 저런.",
    category="원인",
    options="철수는 비를 맞았다.\n영희는 바쁘다.",
)


@pytest.fixture
def project(app_project: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(app_project)
    return open_project(Path())


def test_an_answer_is_that_of_the_scoring_command(project: Project) -> None:
    models, rows = Models(project), read_records(Path("data/demo/test.jsonl"), Row)
    scored, _ = predictions.read(Path("predictions/demo/letters.jsonl"))
    tokenizer = load_tokenizer(Path(BASE))
    for row in rows[:6]:
        question, form = asking.pick(project, "demo", row.record)
        found = asking.answer(models, BASE, question, form, "all")
        first = found.orders[0]
        assert first.row.messages == row.messages
        assert first.prediction.choice == scored[row.record].choice
        assert first.prediction.logprobs == pytest.approx(scored[row.record].logprobs, abs=1e-4)
        turns = [one.model_dump() for one in row.messages]
        assert found.text == tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=False
        )


def test_all_orders_show_each_option_at_each_letter(project: Project) -> None:
    question, form = asking.pick(project, "demo", "synthetic-target-test-00001-1")
    found = asking.answer(Models(project), BASE, question, form, "all")
    assert len({tuple(one.row.order) for one in found.orders}) == 6
    assert sum(found.choices) == 6
    assert math.fsum(found.attraction) == pytest.approx(1)
    assert math.fsum(map(math.exp, found.mean.logprobs)) == pytest.approx(1, abs=1e-4)
    assert 0 < found.orders[0].mass <= 1
    alone = asking.answer(Models(project), BASE, question, form, "published")
    [only] = alone.orders
    assert only.prediction.logprobs == pytest.approx(found.orders[0].prediction.logprobs, abs=1e-4)


def test_what_is_typed_is_what_was_picked(project: Project) -> None:
    question, form = asking.pick(project, "demo", "synthetic-target-test-00002-1")
    typed = asking.question_of(form)
    assert (typed.options, typed.category) == (question.options, question.category)
    assert [(t.speaker, t.text) for t in typed.turns] == [
        (t.speaker, t.text) for t in question.turns
    ]
    marked = [turn.text for turn in typed.turns if turn.id in typed.focus]
    assert marked == [turn.text for turn in question.turns if turn.id in question.focus]


def test_a_passage_is_asked_about_with_its_question(project: Project) -> None:
    form = Form("비가 왔다.", False, "날씨는?", "", "", "비\n눈\n바람\n해\n안개", "exam", "keep")
    question = asking.question_of(form)
    found = asking.answer(Models(project), BASE, question, form, "cyclic")
    assert len(found.orders) == 5
    assert all(part in found.text for part in ("비가 왔다.", "날씨는?", "E. 안개"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": "하나"}, "options: 1 are given; write 2 to 5"),
        ({"options": "\n".join("가나다라마바")}, "options: 6 are given"),
        ({"context": " "}, "dialogue: is empty"),
        ({"context": "그냥 쓴 글"}, "no speaker before a colon"),
        ({"context": "", "dialogue": False}, "needs a question text"),
        ({"prompt": "../../etc/passwd"}, "no such prompt"),
    ],
)
def test_a_question_that_cannot_be_asked_ends_in_a_sentence(
    project: Project, changes: dict, said: str
) -> None:
    form = Form(**{**vars(FORM), **changes})
    with pytest.raises(UserError, match=said):
        asking.answer(Models(project), BASE, asking.question_of(form), form, "all")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "no model is named"),
        ("outputs/none/model", "no such model folder"),
        ("/etc", "lies outside the project"),
        ("../elsewhere", "lies outside the project"),
        ("data/demo", "no config.json"),
        ("http://127.0.0.1:9", "does not answer"),
        ("http://[", "is no address"),
    ],
)
def test_a_model_that_cannot_be_asked_ends_in_a_sentence(
    project: Project, name: str, said: str
) -> None:
    question = asking.question_of(FORM)
    with pytest.raises(UserError, match=said):
        asking.answer(Models(project), name, question, FORM, "all")


def test_a_model_that_lacks_weights_ends_in_a_sentence(project: Project, tmp_path: Path) -> None:
    broken = tmp_path / "model"
    shutil.copytree(BASE, broken)
    (broken / "model.safetensors").unlink()
    allowed = open_project(Path(), [tmp_path])
    with pytest.raises(UserError, match=r"no \.safetensors weights in it"):
        asking.answer(Models(allowed), str(broken), asking.question_of(FORM), FORM, "all")


def test_an_unknown_id_ends_in_a_sentence(project: Project) -> None:
    with pytest.raises(UserError, match="no dev or test question has the id nobody"):
        asking.pick(project, "demo", "nobody")
    for run in ("../demo", "", "nothing"):
        with pytest.raises(UserError):
            asking.pick(project, run, "nobody")
