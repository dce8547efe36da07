"""A record as a person looks at it: raw, cleaned and as the model gets it, found by its id."""

import io
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from core.errors import UserError
from core.jsonl import write_json, write_records
from core.records import Question, Removed, Turn
from prep import corpus
from prep.cleaning import PRESETS, clean
from prep.config import Run, load_run
from prep.demo.synthetic import corpus as synthetic
from prep.demo.synthetic import unmarked
from prep.render import Renderer, load_prompt
from prep.show import question_panel, record, rows_of
from prep.sources import cci
from tests.support.paths import ROOT

ID = "synthetic-target-train-00002-1"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run whose corpus is there; two of its training rows were built, and a chat."""
    place = tmp_path_factory.mktemp("show")
    for split in ("train", "test"):
        write_json(place / f"{split}.json", unmarked(synthetic(split, 5, 3)))
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    demo = params["runs"]["demo"] | {"inputs": str(place), "test_answers": "drop"}
    demo["corpus"] = {split: str(place / f"{split}.json") for split in ("train", "dev", "test")}
    demo["stages"] = {"stage2": [{"source": "cci-2024"}]}
    write_json(place / "params.yaml", {"runs": {"demo": demo}})
    found = load_run(place / "params.yaml", "demo")
    found = found.model_copy(update={"out": str(place / found.out)})
    raw = cci.read(place / "train.json", "train")[0][2]
    row = renderer(found).loss(raw)
    turned = row.model_copy(
        update={"id": f"{row.id}~BAC", "order": [1, 0, 2], "answer": "BAC"[raw.answer]}
    )
    said = {"role": "user", "content": "안녕?"}, {"role": "assistant", "content": "[bold]네[/bold]"}
    chat = row.model_dump() | {"id": "말-1", "record": "말-1", "source": "talks", "messages": said}
    chat |= {
        "category": None,
        "labels": None,
        "order": None,
        "answer": None,
        "prompt": None,
        "group": "말-1",
    }
    write_records(place / "data/demo/stage2.jsonl", [row, turned, chat])
    gone = {"id": ID, "source": "cci-2024", "split": "train", "reason": "near-scored"}
    write_records(
        place / "data/demo/removed.jsonl", [Removed.model_validate(gone | {"near": "x-1"})]
    )
    return found


def renderer(run: Run) -> Renderer:
    return Renderer(load_prompt(run.prompt), run.answer, run.system, run.orders)


def printed(*shown) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(*shown, sep="\n")
    return out.getvalue()


def plain(text: str) -> str:
    """What is printed without frames and without the spaces that fill them."""
    return " ".join(text.translate(dict.fromkeys(map(ord, "│╭╮╰╯─"), " ")).split())


def dialogue(*texts: str, **fields) -> Question:
    turns = [Turn(speaker=f"화자{k % 2 + 1}", text=t, id=f"d.{k}") for k, t in enumerate(texts)]
    values = {"id": "d-1", "source": "t", "split": "train", "group": "d", "turns": turns}
    values |= {"focus": ["d.1"], "category": "전제", "options": ["하나", "둘", "셋"], "answer": 1}
    return Question.model_validate(values | fields)


def test_a_question_is_shown_with_the_prompt_that_the_model_sees(run) -> None:
    shown = plain(printed(*record(run, ID, PRESETS["maerak"])))
    question = next(q for q in corpus.questions_of(run, "train").questions if q.id == ID)
    question, _ = clean(question, PRESETS["maerak"])
    row = renderer(run).loss(question)
    for message in row.messages:
        assert " ".join(message.content.split()) in shown
    reference = next(turn for turn in question.turns if turn.id in question.focus)
    assert f"▶ {reference.speaker}: {reference.text}" in shown
    assert f"✔ {row.answer} {question.options[question.answer]}" in shown


def test_what_the_build_left_out_is_said(run) -> None:
    assert "left out of the build: near-scored, near x-1" in plain(
        printed(*record(run, ID, PRESETS["maerak"]))
    )
    other = "synthetic-target-train-00001-1"
    assert "left out" not in printed(*record(run, other, PRESETS["maerak"]))


def test_answers_of_the_test_set_are_not_shown_where_the_run_drops_them(run) -> None:
    shown = printed(*record(run, "synthetic-target-test-00001-1", PRESETS["maerak"]))
    assert "answer not published" in shown
    assert "assistant" not in shown.partition("[Conversation]")[2]
    assert "✔ A" not in shown


def test_a_row_in_another_order_is_found_by_its_own_id(run) -> None:
    shown = printed(*record(run, f"{ID}~BAC", PRESETS["maerak"]))
    assert shown.count("[Conversation]") == 1
    assert "A = option 2, B = option 1, C = option 3" in plain(shown)


def test_a_chat_is_found_in_the_built_rows_and_is_no_markup(run) -> None:
    shown = printed(*record(run, "말-1", PRESETS["maerak"]))
    assert "[bold]네[/bold]" in shown
    assert "talks" in shown


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("00003-2", "synthetic-target-train-00003-2, synthetic-target-test-00003-2"),
        ("synthetic-target-train-00009-1", "synthetic-target-train-0000"),
        ("쌀", "no id is like it"),
    ],
)
def test_a_wrong_id_names_the_nearest(run, wanted, near) -> None:
    with pytest.raises(UserError) as error:
        record(run, wanted, PRESETS["maerak"])
    assert f"no record {wanted} in the corpus of the run" in str(error.value)
    assert near in str(error.value)


def test_ids_may_be_typed_in_decomposed_hangul(run) -> None:
    place = Path(run.out).parent.parent
    wanted = unicodedata.normalize("NFD", "말-1")
    done = subprocess.run(
        [sys.executable, ROOT / "prep/show.py", wanted, "--run", "demo"],
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "안녕?" in done.stdout


def test_a_record_is_shown_in_any_prompt(run) -> None:
    params = Path(run.corpus.train).with_name("params.yaml")
    command = [sys.executable, "prep/show.py", ID, "--run", "demo", "--params", params, "--prompt"]
    done = subprocess.run([*command, "reasoning"], cwd=ROOT, capture_output=True, text=True)
    assert '{"reasoning": ' in done.stdout
    done = subprocess.run([*command, "exam"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is a dialogue, of which prompt exam@1 does not show all" in done.stderr


def test_cleaned_stands_next_to_raw_turn_by_turn() -> None:
    raw = dialogue("음", "name1아, 8:30에 봐", "응", "그래")
    turns = [raw.turns[1].model_copy(update={"text": "화자1아, 8:30에 봐"}), raw.turns[2]]
    cleaned = raw.model_copy(update={"turns": turns, "options": ["하나", "두울", "셋"]})
    lines = [
        line.strip("│ ").split() for line in printed(question_panel(raw, cleaned, [])).split("\n")
    ]
    assert ["raw", "cleaned"] in lines
    assert ["화자1:", "음", "×"] in lines
    assert "▶ 화자2: name1아, 8:30에 봐 ≠ 화자2: 화자1아, 8:30에 봐".split() in lines
    assert "화자1: 응 화자1: 응".split() in lines
    assert ["화자2:", "그래", "×"] in lines
    assert "✔ B 둘 ≠ 두울".split() in lines
    assert "A 하나 하나".split() in lines


def test_without_cleaning_there_is_one_column() -> None:
    shown = printed(question_panel(dialogue("[red]음[/red]", "응"), None, []))
    assert "[red]음[/red]" in shown
    assert "cleaned" not in shown
    assert "≠" not in shown


def test_an_exam_question_shows_passage_question_and_note() -> None:
    raw = dialogue(turns=[], focus=[], passage="강은 흐른다.", question="맞는 것은?", note="ㄱ. 강")
    shown = plain(printed(question_panel(raw, None, [])))
    assert "passage 강은 흐른다. question 맞는 것은? 보기 ㄱ. 강" in shown


def test_the_rows_of_a_file(run) -> None:
    file = Path(run.out) / "stage2.jsonl"
    assert len(rows_of(file, None, 2)) == 2
    assert len(rows_of(file, ID, 3)) == 2
    assert len(rows_of(file, f"{ID}~BAC", 3)) == 1
    with pytest.raises(UserError, match="no row with id 00002-1; the nearest ids are "):
        rows_of(file, "00002-1", 3)


def test_the_run_may_have_no_rows_yet(run, tmp_path) -> None:
    unbuilt = run.model_copy(update={"out": str(tmp_path / "none")})
    assert "[Conversation]" in printed(*record(unbuilt, ID, PRESETS["maerak"]))
    with pytest.raises(UserError, match="the nearest ids are"):
        record(unbuilt, "00002", PRESETS["maerak"])
