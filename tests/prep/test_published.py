"""The forms that sets are published and handed on in, with records of our own making."""

import csv
import json
import unicodedata
from pathlib import Path

import pytest

from core.errors import UserError
from tests.support.published import of, one

# --- HAE-RAE Bench: a passage inside the text that asks

LISTED = "### 선택지:\n(A) 그래서\n(B) 그러나\n(C) 또는\n\n### 정답:"
CHOICES = {"options": "['그래서', '그러나', '또는']", "answer": "(B)"}
ASKED = "(A)에 알맞은 말은?"
PASSAGE = "어제는 하루 종일 비가 왔다. (A) 그래서 길이 젖었다.\n(A) 그리고 오늘은 해가 났다."


@pytest.mark.parametrize("heading", ["### 지문:", "### 참고:", "###지문 : ", "## 지문:\n"])
@pytest.mark.parametrize("first", [True, False])
def test_the_passage_is_what_stands_under_its_heading(
    tmp_path: Path, heading: str, first: bool
) -> None:
    parts = [f"{heading} {PASSAGE}", f"### 질문: {ASKED}"]
    text = "\n\n".join(["글을 읽고 고르시오.", *(parts if first else parts[::-1]), LISTED])
    question = one("hae-rae", tmp_path, {"query": text, **CHOICES})
    assert question.passage == PASSAGE
    assert " ".join((question.question or "").split()) == f"글을 읽고 고르시오. ### 질문: {ASKED}"
    assert question.answer == 1


def test_questions_on_one_passage_share_its_group(tmp_path: Path) -> None:
    old = {"a": "비", "b": "눈", "c": "해", "d": "달", "e": "", "answer": "a"}
    texts = [f"{asked}  ### 참고: {PASSAGE}" for asked in ("무엇이 왔는가?", "무엇이 났는가?")]
    both = [one("hae-rae", tmp_path, {"question": text, **old}) for text in texts]
    new = one(
        "hae-rae", tmp_path, {"query": f"고르시오.\n### 지문: {PASSAGE}\n{LISTED}", **CHOICES}
    )
    assert [question.question for question in both] == ["무엇이 왔는가?", "무엇이 났는가?"]
    assert {question.passage for question in (*both, new)} == {PASSAGE}
    assert len({question.group for question in (*both, new)}) == 1


def test_without_headings_the_options_begin_with_the_first_of_them(tmp_path: Path) -> None:
    text = f"{ASKED}\n{PASSAGE}\n(A) 그래서\n(B) 그러나\n(C) 또는\n답:"
    question = one("hae-rae", tmp_path, {"query": text, **CHOICES})
    assert question.question == f"{ASKED}\n{PASSAGE}"


@pytest.mark.parametrize(
    ("answer", "index"),
    [
        *(("(B)", 1), ("B", 1), ("(b)", 1), ("（Ｂ）", 1), ("그러나", 1), ("(B) 그러나", 1)),
        *(("2", None), ("(B) 또는", None), ("(D)", None), ("", None)),
    ],
)
def test_an_answer_of_hae_rae_is_never_guessed(
    tmp_path: Path, answer: str, index: int | None
) -> None:
    path = tmp_path / "made.json"
    path.write_text(json.dumps([{"query": ASKED, **CHOICES, "answer": answer}]))
    got = of("hae-rae", path)
    assert [q.answer for q in got.questions] == ([] if index is None else [index])
    assert [r.reason for r in got.removed] == (["no-answer"] if index is None else [])


def test_hae_rae_with_capital_columns_and_a_category(tmp_path: Path) -> None:
    record = dict(zip("ABCDE", ["비", "눈", "해", "달", "별"], strict=True))
    record |= {"question": ASKED, "answer": "E", "categories": "vocabulary"}
    question = one("hae-rae", tmp_path, record)
    assert (question.category, question.answer, len(question.options)) == ("vocabulary", 4, 5)


# --- KLUE's own JSON, CLIcK in a table, the exam's 보기, categories, numbers


def test_klue_mrc_as_its_repository_has_it(tmp_path: Path) -> None:
    asked = [
        {"guid": "m-1", "question": "몇 권인가?", "answers": [{"text": "삼만 권"}]},
        {
            "guid": "m-2",
            "question": "누구인가?",
            "answers": [],
            "plausible_answers": [{"text": "시월"}],
        },
        {"question": "언제인가?", "answers": [{"text": "시월"}, {"text": "시월에"}]},
    ]
    asked = [{**one, "is_impossible": not one["answers"]} for one in asked]
    articles = [{"title": "t", "paragraphs": [{"context": "시월에 삼만 권", "qas": asked}]}] * 2
    articles[1] = {"paragraphs": [{"context": "봄에 두 권", "qas": asked[2:]}]}
    path = tmp_path / "klue-mrc-v1.1_train.json"
    path.write_text(json.dumps({"version": "v1.1", "data": articles}))
    got = of("klue-mrc", path)
    assert [(c.id, c.messages[0].content[:4], c.messages[1].content) for c in got.chats] == [
        ("m-1", "시월에 ", "삼만 권"),
        ("made-000003", "시월에 ", "시월"),
        ("made-000004", "봄에 두", "시월"),
    ]
    assert [(r.id, r.reason) for r in got.removed] == [("m-2", "no-answer")]


@pytest.mark.parametrize("text", ["['장날', '둘']", '["장날", "둘"]', '["\\uc7a5\\ub0a0", "둘"]'])
def test_options_of_click_that_a_table_holds_as_text(tmp_path: Path, text: str) -> None:
    record = {"id": "x_1", "paragraph": "", "question": "?", "choices": text, "answer": "장날"}
    question = one("click", tmp_path, record)
    assert (question.options, question.answer, question.category) == (["장날", "둘"], 0, "x")


EXAM = {"question": "옳은 것은?", "choices": ["ㄱ", "ㄴ"], "answer": 1}


@pytest.mark.parametrize("outside", ["", "nan", None])
def test_a_note_inside_problems_is_the_note(tmp_path: Path, outside: str | None) -> None:
    inside = {**EXAM, "question_plus": "ㄱ. 배가 늘었다."}
    for problems in (inside, str(inside), json.dumps(inside)):
        record = {"id": "a", "paragraph": "글", "problems": problems, "question_plus": outside}
        assert one("exam", tmp_path, record).note == "ㄱ. 배가 늘었다."


def test_two_notes_are_not_chosen_from(tmp_path: Path) -> None:
    record = {"id": "a", "paragraph": "글", "question_plus": "ㄱ. 하나"}
    same = {**record, "problems": {**EXAM, "question_plus": "ㄱ. 하나 "}}
    assert one("exam", tmp_path, same).note == "ㄱ. 하나"
    with pytest.raises(UserError, match="field problems: question_plus differs from the column"):
        one("exam", tmp_path, {**record, "problems": {**EXAM, "question_plus": "ㄱ. 둘"}})


@pytest.mark.parametrize("answer", ["3", "3.0", "nan", "null", "None", "'3'"])
def test_problems_as_python_and_json_and_numpy_write_them(tmp_path: Path, answer: str) -> None:
    text = str({**EXAM, "choices": [1, 2, 3], "answer": 0}).replace("'answer': 0", "'answer': X")
    record = {"id": "a", "paragraph": "글", "problems": text.replace("X", answer)}
    question = one("exam", tmp_path, record)
    assert question.answer == (2 if "3" in answer else None)
    assert question.options == ["1", "2", "3"]


def test_options_that_are_numbers_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "made.json"
    letters = {"A": 1, "B": "2", "C": 3, "D": "4", "E": 5}
    path.write_text(json.dumps([{"question": "?", "answer": 5.0, "Category": "셈", **letters}]))
    got = of("kmmlu", path)
    assert (got.questions[0].options, got.questions[0].answer) == (["1", "2", "3", "4", "5"], 4)
    assert [(c.field, c.before, c.after, c.reason) for c in got.changed] == [
        (f"options.{k}", k + 1, str(k + 1), "not-a-string") for k in (0, 2, 4)
    ]


@pytest.mark.parametrize(
    "column", ["과목", "subject", "Category", "영역", "\u1107\u116e\u11ab\u110b\u1163"]
)
def test_a_column_that_names_the_subject_is_the_category(tmp_path: Path, column: str) -> None:
    path = tmp_path / "made.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [["id", "paragraph", "problems", column], ["a", "글", str(EXAM), "한국사"]]
        csv.writer(file).writerows([*rows, ["b", "다른 글", str(EXAM), ""]])
    assert [q.category for q in of("exam", path).questions] == ["한국사", "수능형"]
    with_letters = {"A": "하나", "B": "둘", "C": "셋", "D": "넷", "answer": 1}
    record = {"question": "?", **with_letters, unicodedata.normalize("NFC", column): "한국사"}
    assert one("kmmlu", tmp_path, record).category == "한국사"
    click = {"id": "x_1", "question": "?", "choices": ["가", "나"], "answer": "가"}
    named = {**click, unicodedata.normalize("NFC", column): "한국사"}
    assert one("click", tmp_path, named).category == "한국사"
