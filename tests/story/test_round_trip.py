"""What is written is read again as it was: every writer, with the texts that break escaping.

Text is composed (NFC) where it enters a record and nowhere else, and what that altered is listed.
"""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import jsonl
from core.files import sha256
from core.records import Changed, Chat, Message, Prediction, Question, Removed, Row, Turn
from eval import predictions
from prep.assembly import Build
from prep.build import write
from prep.cleaning import PRESETS, clean
from prep.config import Run
from prep.render import Renderer, load_prompt
from prep.sources.reader import Read
from prep.sources.source import Source, read

STEMS = (
    *("\n", "\t", "\r", "\b", "\f", "\0", "\x1e", "\x7f", "\x85", "\u2028", "\u2029", '"', "\\"),
    *(
        "\u0301",
        "\u0303",
        "\u0308",
        "\u0338",
        "\u3099",
        "\u1161",
        "\u11a8",
    ),  # marks, half a syllable
    *("\u1112\u1161\u11ab", "\uf900", "\u2126", "\ufb1d"),  # what NFC replaces
    *("\u200b", "\u200d", "\u3164", "\ufeff", "\u00ad", "\u202e"),  # what nobody sees
    *("\\ud800", "\\u0041", "\\n", "\U0001f468\u200d\U0001f469", "가", "a", " ", "<br>", "ㄱ"),
)
TEXT = st.lists(st.sampled_from(STEMS), max_size=9).map("".join) | st.text(
    st.characters(codec="utf-8"), max_size=9
)
SOME = TEXT.map(lambda text: f"가{text}나")  # never empty, and no outer whitespace
tries = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def questions(draw: st.DrawFn, number: int = 0) -> Question:
    options = draw(st.lists(TEXT, min_size=2, max_size=5, unique=True))
    shown: dict[str, Any] = {"turns": [Turn(speaker="화자1", text=draw(TEXT), id="d.1")]}
    if draw(st.booleans()):
        shown = {"passage": draw(SOME), "question": draw(SOME), "note": draw(TEXT)}
    return Question(
        id=f"{draw(TEXT)}{number}",
        source=draw(TEXT),
        split="train",
        group=draw(TEXT),
        category=draw(TEXT),
        options=options,
        answer=draw(st.integers(0, len(options) - 1)),
        **shown,
    )


def same(record: Any, path: Path) -> None:
    """Written twice, one on each line, read as it was and written again with the same bytes."""
    jsonl.write_records(path, [record, record])
    assert path.read_bytes().count(b"\n") == 2
    assert jsonl.read_records(path, type(record)) == [record, record]
    first = path.read_bytes()
    jsonl.write_records(path, jsonl.read_records(path, type(record)))
    assert path.read_bytes() == first


@pytest.mark.slow
@tries
@given(data=st.data())
def test_records_of_every_kind(data: st.DataObject, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "records.jsonl"
    question, text = data.draw(questions()), data.draw(TEXT)
    wrong = (question.answer + 1) % len(question.options)
    exam = load_prompt("exam" if question.passage else "reference")
    renderer = Renderer(exam, orders="all")
    messages = [Message(role="user", content=text), Message(role="assistant", content=text)]
    here = {"id": text, "source": text, "split": "train"}
    preference = renderer.preference(question, [*range(len(question.options))], text, wrong)
    for record in (
        question,
        Chat(id=text, source=text, messages=messages),
        Removed(**here, reason="empty", near=text),
        Changed(**here, field=text, before=text, after=text, reason="nfc"),
        Prediction(id=text, order=[1, 0], logprobs=None, choice=1),
        renderer.chat(Chat(id=text, source=text, messages=messages)),
        preference,
        renderer.scoring(question),
    ):
        same(record, path)
    value = {"a": [text, {text: None}], "b": 1.5}
    jsonl.write_json(path.with_suffix(".json"), value)
    assert jsonl.read_json(path.with_suffix(".json")) == value


@tries
@given(ids=st.lists(SOME, min_size=1, max_size=4, unique=True), text=TEXT)
def test_predictions(ids: list[str], text: str, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "predictions.jsonl"
    made = [Prediction(id=id_, order=[1, 0], logprobs=[-0.1, -2.4], choice=0) for id_ in ids]
    meta = {"method": "letter", "data": {"path": text, "sha256": "0" * 64, "rows": len(ids)}}
    predictions.write(path, made, meta)
    found, about = predictions.read(path)
    assert list(found.values()) == made
    assert about.data.path == text


@pytest.mark.slow
@settings(tries, max_examples=40)
@given(data=st.data())
def test_all_files_of_a_build(data: st.DataObject, tmp_path_factory: Any) -> None:
    out = tmp_path_factory.getbasetemp() / "build"
    source = Source(source="cci-2024")
    run = Run(inputs="x", corpus={"train": "x"}, out="x", prompt="exam", stages={"s": [source]})
    done = Build("r", run, Renderer(load_prompt("exam")))
    drawn = [data.draw(questions(number)) for number in range(3)]
    asked = [one for one in drawn if one.passage]
    rows = [done.renderer.scoring(one) for one in asked]
    changed = [change for one in drawn for change in clean(one, PRESETS["maerak"])[1]]
    done.files |= {"s.jsonl": rows, "questions.jsonl": drawn, "changed.jsonl": changed}
    write(done, out)
    for name, model in (("s", Row), ("questions", Question), ("changed", Changed)):
        assert jsonl.read_records(out / f"{name}.jsonl", model) == done.files[f"{name}.jsonl"]
        said = jsonl.read_json(out / "build.json")["outputs"][f"{name}.jsonl"]
        assert said["sha256"] == sha256(out / f"{name}.jsonl")


def of(kind: str, path: Path, *records: dict[str, Any]) -> Read:
    path.write_text(json.dumps(records), encoding="utf-8")
    return read(Source(source=kind, name="made", path=str(path)))


def undone(got: Read, shown: dict[str, str]) -> dict[str, str]:
    """The texts of one record as they were published: what was altered is put back."""
    return shown | {change.field: str(change.before) for change in got.changed}


@tries
@given(texts=st.lists(SOME, min_size=3, max_size=3, unique=True), extra=st.lists(SOME, max_size=3))
def test_text_is_composed_as_it_enters_and_all_that_alters_is_listed(
    texts: list[str], extra: list[str], tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "read.json"
    asked, passage, note = texts
    options = list(dict.fromkeys([*extra, "하나", "둘"]))[:5]
    problems = {"question": asked, "choices": options, "answer": 1, "question_plus": note}
    got = of("exam", path, {"id": "q", "paragraph": passage, "problems": repr(problems)})
    for question in got.questions:
        shown = {"question": question.question, "passage": question.passage, "note": question.note}
        shown |= {f"options.{k}": option for k, option in enumerate(question.options)}
        assert all(unicodedata.is_normalized("NFC", text) for text in shown.values())
        given = {"question": asked, "passage": passage, "note": note}
        given |= {f"options.{k}": option for k, option in enumerate(options)}
        put_back = undone(got, shown)
        if "paragraph" not in put_back:  # no note was split off
            assert {k: v.strip() for k, v in put_back.items()} == given
    chat = of("alpaca", path, {"instruction": asked, "output": note})
    [one] = chat.chats
    shown = {f"messages.{k}": message.content for k, message in enumerate(one.messages)}
    assert all(unicodedata.is_normalized("NFC", text) for text in shown.values())
    assert undone(chat, shown) == {"messages.0": asked, "messages.1": note}


@pytest.mark.parametrize(
    ("published", "entered", "reason"),
    [
        ("\u1112\u1161\u11ab 글", "한 글", "nfc"),
        ("\uf9d0 자", "\u985e 자", "nfc"),  # compatibility hanja
        ("첫\u00a0 줄\n둘째", "첫 줄 둘째", "spaces"),
    ],
)
def test_what_enters_a_dialogue_is_listed(
    published: str, entered: str, reason: str, tmp_path: Path
) -> None:
    turns = [{"speaker": 1, "utterance": published, "utterance_id": "d.1.1"}]
    given = {"conversation": turns, "reference_id": "d.1.1", "category": "원인"}
    given |= {"inference_1": published, "inference_2": "둘", "inference_3": "셋"}
    got = of("cci-2023", tmp_path / "made.json", {"id": "q", "input": given})
    assert got.questions[0].turns[0].text == got.questions[0].options[0] == entered
    assert [(c.field, c.before, c.after, c.reason) for c in got.changed] == [
        ("turns.d.1.1", published, entered, reason),
        ("options.0", published, entered, reason),
    ]
    assert of("cci-2023", tmp_path / "made.json", {"id": "q", "input": given}) == got
