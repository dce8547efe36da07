"""What is wrong with a table of one's own, or with its mapping, ends in one sentence."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from prep.config import load_run
from prep.sources.source import Source
from tests.support.own_tables import COLUMNS, FIRST, KOREAN, SECOND, TEXT, as_csv, refused, save


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("봄, 여름, 가을", "begins with no number such as"),
        ("① 봄 ② 여름 ② 가을", "number ② 2 times"),
        ("② 여름 ① 봄", "begins with no number"),
        ("① 봄 ③ 가을 ② 여름", "another order"),
        ("1) 3.5 2) 2) 개", "number 2 2 times"),
        ("① 봄 ② 여름 ④ 겨울", "has the number ④, but no ③"),
        ("1) 봄 2) 여름 4) 겨울", "has the number 4, but no 3"),
    ],
)
def test_a_numbered_text_that_can_be_read_in_two_ways_is_refused(
    text: str, sentence: str, tmp_path: Path
) -> None:
    path = save(tmp_path / "made.jsonl", [{"문제": "?", "선택지": text}])
    columns = {"question": "문제", "options": "선택지"}
    refused(path, {"columns": columns}, f"line 1, column 선택지: .*{sentence}")


@pytest.mark.parametrize(
    ("answers", "value", "sentence"),
    [
        ("from 1", 0, "answer 0 of 4 options, but the answers of this source count from 1"),
        ("from 0", 4, "answer 4 of 4 options, but the answers of this source count from 0"),
        ("from 1", 5, "answer '5' is none of its 4 options by answers: from 1"),
        ("from 1", -1, "answer '-1' is none"),
        ("from 1", "C", "answer 'C' is none of its 4 options by answers: from 1"),
        ("from 1", True, "answer 'True' is none"),
        ("A", "3", "answer '3' is none of its 4 options by answers: A"),
        ("A", "E", "answer 'E' is none"),
        ("A", "C) 겨울", "is none"),
        ("가", "마", "answer '마' is none"),
        ("text", "장마", "answer '장마' is none"),
    ],
)
def test_an_answer_that_names_no_option_is_refused(
    answers: str, value: Any, sentence: str, tmp_path: Path
) -> None:
    columns = {"question": "문제", "options": "선택지", "answer": "정답"}
    path = save(tmp_path / "made.jsonl", [{"문제": "?", "선택지": TEXT, "정답": value}])
    refused(path, {"columns": columns, "answers": answers}, sentence)


@pytest.mark.parametrize(
    ("dialogue", "reference", "sentence"),
    [
        ("비가 온다", None, r"column 대화 has in line 1 no speaker before a colon"),
        ([], None, "column 대화 is a list, no list of turns"),
        ("가: 말\n내일 3:30에 보자", None, "has in line 2 no speaker before a colon"),
        ("가: 말\nhttps://a.kr", None, "has in line 2 no speaker before a colon"),
        ("[가] [오후 12:05] 말", None, "has in line 1 no speaker before a colon"),
        ([{"speaker": "가"}], None, "column 대화 has in turn 1 no speaker or no text"),
        ([{"speaker": "가", "text": ""}], None, "has in turn 1 an empty text; fill it or delete"),
        ("가: 말", 0, "column 참조 '0' is no turn"),
        ("가: 말", 2, "column 참조 '2' is no turn"),
        (None, None, "has no dialogue in column 대화"),
    ],
)
def test_a_dialogue_that_is_none_is_refused(
    dialogue: Any, reference: Any, sentence: str, tmp_path: Path
) -> None:
    columns = {"dialogue": "대화", "reference": "참조", "options": "선택지"}
    record = {"대화": dialogue, "참조": reference, "선택지": TEXT}
    refused(save(tmp_path / "made.jsonl", [record]), {"columns": columns}, sentence)


def test_a_missing_column_says_what_is_there_what_is_expected_and_what_to_write(
    tmp_path: Path,
) -> None:
    path = save(tmp_path / "made.csv", [FIRST])
    columns = {**COLUMNS, "question": "질문", "options": ["A", "B"]}
    said = refused(path, {**KOREAN, "columns": columns}, "has no column 질문, A, B; its ")
    assert "its columns are 번호, 지문, 문제, 보기, 보기1" in said
    assert "expected are 번호, 지문, 질문, 보기, A, B, 정답" in said
    proposed = yaml.safe_load("columns: {" + said.partition("columns: {")[2])
    assert proposed == {"columns": COLUMNS}


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("None", "option 4 reads 'None', a text or none at all; put it in quotation marks"),
        ("NULL", "option 4 reads 'NULL', a text or none at all"),
        (datetime(2026, 1, 2), "option 4 is the date or time 2026-01-02 .*1/2 .*as text"),
    ],
)
def test_an_option_that_a_program_may_have_made_is_refused(
    option: Any, sentence: str, tmp_path: Path
) -> None:
    path = save(tmp_path / "made.xlsx", [{**FIRST, "보기4": option}])
    refused(path, KOREAN, f"line 2, options: {sentence}")


def test_an_object_in_the_place_of_a_text_says_what_is_in_it(tmp_path: Path) -> None:
    path = save(tmp_path / "made.jsonl", [{"문제": {"발문": "?"}, "선택지": TEXT}])
    columns = {"question": "문제", "options": "선택지"}
    refused(path, {"columns": columns}, "holds a dict, .*one in it such as 문제.발문")


def test_what_is_wrong_with_a_table_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    save(path, [FIRST, FIRST])
    refused(path, KOREAN, "line 3: id 가-1 stands there twice, first in line 2")
    save(path, [FIRST, {**SECOND, "보기2": "연못"}])
    refused(path, KOREAN, "line 3, options: two options read '연못', so that two answers")
    save(path, [FIRST, {**SECOND, "번호": ""}])
    refused(path, KOREAN, "line 3: has no id in column 번호")
    save(path, [FIRST, {**SECOND, "문제": ""}])
    refused(path, KOREAN, "line 3: has no question in column 문제")
    path.write_bytes(as_csv([FIRST]).encode("cp949"))
    refused(path, KOREAN, r"maybe CP949; save the file as UTF-8 \(iconv")
    path.write_bytes(b"")
    refused(path, KOREAN, "is empty")
    path.write_text(as_csv([FIRST]).partition("\n")[0] + "\n", "utf-8")
    refused(path, KOREAN, "holds no records")
    path.write_text("2024학년도,,,,,,,,,,\n" + as_csv([FIRST]), "utf-8")
    refused(path, KOREAN, "line 1: 10 of 11 columns have no name, as where a title")
    header, _, rest = as_csv([FIRST]).partition("\n")
    path.write_text(f"{header}\n{header}\n{rest}", "utf-8")
    refused(path, KOREAN, "line 2: holds names of columns once more.*two header lines")
    english = "id,passage,question,note,a,b,c,d,answer,subject,group"
    path.write_text(f"{header}\n{english}\n{rest}", "utf-8")
    refused(path, KOREAN, "line 2: holds names of columns once more")
    path.write_text(as_csv([FIRST]) + "," * header.count(",") + "\n", "utf-8")
    refused(path, KOREAN, "line 3: is empty; delete the line")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"columns": {**COLUMNS, "answr": "x"}}, "'answr' is no field; the fields are id, passage"),
        ({"answers": None}, "answers are stated by `answers:` .one of from 1, from 0, A, ①, 가"),
        ({"answers": "1"}, "Input should be 'from 1', 'from 0'"),
        ({"columns": None}, "needs its columns; `python prep/init.py FILE` proposes them"),
        ({"fixed": {"options": ["O", "X"]}}, "name the options under either columns or fixed"),
        (
            {"columns": {k: v for k, v in COLUMNS.items() if k != "question"}},
            "name a column of",
        ),
        ({"columns": {**COLUMNS, "dialogue": "대화"}}, "a passage or a dialogue; leave one out"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    corpus = {"source": "table", "train": str(tmp_path / "made.csv"), **KOREAN, **changes}
    corpus = {key: value for key, value in corpus.items() if value is not None}
    run = {
        "corpus": corpus,
        "inputs": str(tmp_path),
        "prompt": "task",
        "stages": {"s": [{"source": "table"}]},
    }
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({"runs": {"own": run}}, allow_unicode=True), "utf-8")
    with pytest.raises(UserError, match=sentence):
        load_run(params, "own")
    if "columns" in changes and changes["columns"] is None:
        return
    with pytest.raises(Exception, match=sentence):
        Source(source="table", name="x", path="made.csv", **{**KOREAN, **changes})
