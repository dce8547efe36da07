"""What is wrong with records: one sentence that names file, line and field, or a removed record."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from prep.sources.reader import Read
from prep.sources.source import Source, read


def of(name: str, path: Path) -> Read:
    return read(Source(source=name, name="made", path=str(path)))


CELL = {"question": "질문?", "choices": ["하나", "둘", "셋", "넷"], "answer": 1}
CHOICES = ["하나", "둘", "셋", "넷", "다섯", "여섯"]
LETTERS = {"A": "하나", "B": "둘", "C": "셋", "D": "넷"}
KMMLU = {"question": "질문?", "answer": 1, "Category": "과목", **LETTERS}
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a call": ("exam", {"problems": "__import__('os').getcwd()"}, "field problems: neither JSON"),
    "an unclosed brace": ("exam", {"problems": "{'question': "}, "field problems: neither JSON"),
    "nested": ("exam", {"problems": "[" * 5000 + "]" * 5000}, "field problems: neither JSON nor"),
    "huge": ("exam", {"problems": "'" + "가" * 300_000 + "'"}, "300002 characters, more than"),
    "choices as text": (
        "exam",
        {"problems": str({**CELL, "choices": str(CHOICES)})},
        "field problems: field choices: Input should be a valid list",
    ),
    "no question": ("exam", {"problems": "{'choices': [], 'answer': 1}"}, "problems: field questi"),
    "a letter": ("kmmlu", {**KMMLU, "answer": "C"}, "line 1: field answer: Input should be"),
    "no option": ("kmmlu", {"question": "질문?", "answer": 1}, "line 1: field A: Field required"),
    "no list": (
        "click",
        {"question": "?", "choices": "가", "answer": "가"},
        "field choices: neither JSON nor a Python literal",
    ),
    "no flag": ("klue-mrc", {"context": "글", "question": "?"}, "field is_impossible: Field requ"),
    "no task": ("kobest", {"text": "글"}, "line 1: columns of no task of KoBEST"),
    "no label": ("kobest", {"sentence": "글"}, "line 1: field label: Field required"),
    "no cause": (
        "kobest",
        {"premise": "글", "question": "왜", "alternative_1": "1", "alternative_2": "2", "label": 0},
        "field question: neither 원인 nor 결과",
    ),
    "no pair": ("proofreading", {"original": "글"}, "line 1: field revised: Field required"),
    "a bad list": (
        "hae-rae",
        {"query": "?", "options": "[1", "answer": "A"},
        "field options: neither",
    ),
    "half numbers": ("hae-rae", {"query": "?", "options": "[1.5]", "answer": "A"}, "options.0."),
    "no commas": (
        "click",
        {"question": "?", "choices": "['하나' '둘'\n '셋']", "answer": "둘"},
        "field choices: neither JSON nor a Python literal",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_name_file_line_and_field(tmp_path: Path, mistake: str) -> None:
    name, record, sentence = WRONG[mistake]
    path = tmp_path / "made.jsonl"
    complete = {"paragraph": "글", **record} if name == "exam" else record
    path.write_text(json.dumps(complete, ensure_ascii=False) + "\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        of(name, path)
    assert str(caught.value).startswith(f"{path}, line 1")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


LITERALS = [
    *("{[1]: 2}", "{{}: 1}", "{**1}", "\0", "1e999", "9" * 5_000, "'\\q'", "b'1'", "..."),
    *("-" * 9_000 + "1", "(" * 9_000, "1+" * 9_000 + "1", "a" + ".b" * 9_000, "[" * 90 + "]" * 90),
    str({**CELL, "question": "\ud800"}),
    str(CELL).replace("'하나'", "-" * 900 + "1"),
]


@pytest.mark.parametrize("text", LITERALS)
def test_a_literal_is_never_more_than_data(tmp_path: Path, text: str) -> None:
    path = tmp_path / "made.jsonl"
    path.write_text(json.dumps({"paragraph": "글", "problems": text}), encoding="utf-8")
    with pytest.raises(UserError, match=r"line 1, field problems: ") as caught:
        of("exam", path)
    assert len(str(caught.value)) < 300


LEFT_OUT: dict[str, tuple[str, dict[str, Any], str]] = {
    "six options": (
        "click",
        {"question": "?", "choices": CHOICES, "answer": "하나"},
        "bad-options",
    ),
    "one option": ("click", {"question": "?", "choices": ["가"], "answer": "가"}, "bad-options"),
    "an empty option": ("kmmlu", {**KMMLU, "B": " "}, "bad-options"),
    "the fifth of four": ("kmmlu", {**KMMLU, "answer": 5}, "no-answer"),
    "no question": ("kmmlu", {**KMMLU, "question": ""}, "empty"),
    "no text": ("proofreading", {"original": " ", "revised": "글"}, "empty"),
    "no correction": ("proofreading", {"original": "글", "revised": "", "comment": "왜"}, "empty"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_records_that_no_training_can_use_are_removed_with_a_reason(
    tmp_path: Path, case: str
) -> None:
    name, record, reason = LEFT_OUT[case]
    path = tmp_path / "made.jsonl"
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    got = of(name, path)
    assert [(r.id, r.reason, r.split) for r in got.removed] == [("made-000001", reason, "train")]
    assert got.questions == got.chats == []


def test_an_empty_set(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"made\.jsonl: holds no records; name a file"):
        of("alpaca", path)
