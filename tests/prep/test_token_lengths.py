"""Lengths in tokens: those of training, and the report as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.errors import UserError
from core.jsonl import write_records
from core.records import Chat, Message, Question, Row, Turn
from prep.lengths import Ruler, report, ruler
from prep.preferences import preferences
from prep.render import Renderer, load_prompt
from prep.retrieval.evidence import prepared
from prep.retrieval.settings import Retrieve
from tests.support.own_documents import CABBAGE, CLOCK
from tests.support.paths import ROOT
from tests.support.questions import exam

RECIPE = ROOT / "recipes/tiny/stage1.yml"
RENDERER = Renderer(load_prompt("reference"), orders="cyclic")


def question(number: int) -> Question:
    turns = [Turn(speaker="화자1", text="종이배를 접자. " * number, id="u")]
    record = {"id": f"q-{number}", "source": "made", "split": "train", "group": f"g-{number}"}
    record |= {"category": "원인", "options": ["종이", "연못", "바람"], "answer": 1}
    return Question(**record, turns=turns, focus=["u"])


def chat_row(text: str) -> Row:
    messages = [Message(role="user", content=text), Message(role="assistant", content="네.")]
    return RENDERER.chat(Chat(id=f"c-{len(text)}", source="talks", messages=messages))


ROWS = [*RENDERER.training([question(n) for n in range(1, 6)]), chat_row("안녕?")]


@pytest.fixture(scope="module")
def tiny(monkeymodule: pytest.MonkeyPatch) -> Ruler:
    monkeymodule.chdir(ROOT)
    return ruler(RECIPE)


@pytest.fixture(scope="module")
def monkeymodule() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_lengths_are_those_that_axolotl_trains_on(tiny: Ruler) -> None:
    from axolotl.loaders import load_tokenizer
    from axolotl.prompt_strategies import load
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault(yaml.safe_load(RECIPE.read_text(encoding="utf-8")))
    cfg.tokenizer_config = cfg.base_model_config = cfg.base_model
    strategy = load("chat_template", load_tokenizer(cfg), cfg, cfg.datasets[0])
    trained = [len(strategy.tokenize_prompt(row.model_dump())["input_ids"]) for row in ROWS]
    assert [tiny.length(row) for row in ROWS] == trained
    assert tiny.limit == 512


def test_a_preference_is_as_long_as_its_longer_conversation(tiny: Ruler) -> None:
    one = question(2).model_copy(update={"options": ["짧다", "길고 긴 답이 여기에 있다", "끝"]})
    for answer in (0, 1):
        asked = one.model_copy(update={"answer": answer})
        [row, *_] = preferences([asked], Renderer(load_prompt("reference"), system="keep"))
        alone = [
            tiny.length(row.model_copy(update={"chosen": talk, "rejected": talk}))
            for talk in (row.chosen, row.rejected)
        ]
        assert tiny.length(row) == max(alone)
        without = row.model_copy(update={"system": None})
        assert tiny.length(row) > tiny.length(without)


def test_room_for_evidence_is_in_tokens_of_the_recipe(tiny: Ruler, tmp_path: Path) -> None:
    write_records(tmp_path / "known.jsonl", [{"text": CLOCK}, {"text": CABBAGE}])
    named = {"documents": [str(tmp_path / "known.jsonl")], "recipe": str(RECIPE)}
    named["query"] = "question"
    room = len(tiny.tokenizer.encode(CLOCK, add_special_tokens=False))
    for tokens, shown in ((room, (CLOCK,)), (room - 1, ())):
        found = prepared(Retrieve(**named, tokens=tokens), tmp_path / "indexes", [], seed=1)
        assert found(exam(passage="", question="자격루를 만든 사람은?")).evidence == shown


def test_figures_are_lengths_of_rows() -> None:
    class Characters:
        def apply_chat_template(self, talk: list[dict[str, str]], **_: bool) -> list[int]:
            return [0] * len(talk[0]["content"])

    by = Ruler(Characters(), 90)
    rows = [chat_row("가" * n) for n in range(1, 101)]
    rows.append(rows[9].model_copy(update={"source": "other"}))
    other, talks, everything = report(rows, by)
    assert talks.figures() == {
        "source": "talks",
        **{"rows": 100, "min": 1, "p50": 50, "p95": 95, "p99": 99, "max": 100, "over": 10},
    }
    assert (other.rows, other.min, other.max, other.over) == (1, 10, 10, 0)
    assert (everything.source, everything.rows, everything.over) == ("all", 101, 10)
    assert [by.fits(row) for row in rows[89:91]] == [True, False]


def run(*arguments: str, code: int) -> str:
    command = [sys.executable, "prep/lengths.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code == 2 else done.stdout


def test_the_report_as_json_says_what_is_too_long(tmp_path: Path) -> None:
    rows = [*ROWS, chat_row("가" * 2000)]
    write_records(tmp_path / "rows.jsonl", rows)
    write_records(tmp_path / "orpo.jsonl", preferences([question(1)], RENDERER))
    files = [str(tmp_path / f"{name}.jsonl") for name in ("rows", "orpo")]
    said = json.loads(run("--rows", *files, "--recipe", str(RECIPE), "--json", code=1))
    assert said["sequence_len"] == 512
    made, talks, everything = said["files"][files[0]]
    assert (made["rows"], made["over"]) == (15, 0)
    assert (talks["rows"], talks["over"], everything["over"]) == (2, 1, 1)
    assert said["files"][files[1]][-1]["rows"] == 3


def test_the_report_as_a_table(tmp_path: Path) -> None:
    write_records(tmp_path / "rows.jsonl", ROWS)
    printed = run(
        *("--rows", str(tmp_path / "rows.jsonl"), "--recipe", "recipes/tiny/stage2.yml"),
        *("--tokenizer", "recipes/tiny/base"),
        code=0,
    )
    assert "sequence_len 288" in printed
    assert printed.count("made") == printed.count("talks") == 1


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("base_model: ./none\nsequence_len: 9\nchat_template: alpaca\n", "./none cannot be loaded"),
        ("base_model: x\n", "no recipe with a sequence_len"),
        ("a: [1\n", r"r\.yml, line 2: expected ',' or '\]'"),
        ("sequence_len: 9\nsequence_len: 8\n", r"line 2: key sequence_len is there twice"),
        ("sequence_len: 9\ntokens: [x]\n", "tokens alters the tokenizer"),
    ],
)
def test_a_recipe_without_a_ruler_is_an_error(tmp_path: Path, recipe: str, sentence: str) -> None:
    (tmp_path / "r.yml").write_text(recipe, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        ruler(tmp_path / "r.yml")


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    said = run("--rows", str(tmp_path / "none.jsonl"), "--recipe", str(RECIPE), code=2)
    assert "none.jsonl: no rows" in said
