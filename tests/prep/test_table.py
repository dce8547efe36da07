"""`source: table`: a table of one's own becomes questions by a mapping, or is refused in words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.records import Question
from prep.assembly import build
from prep.config import load_run
from prep.sources.source import Source
from tests.support.tables import COLUMNS, FIRST, KOREAN, SECOND, as_csv, of, refused, save


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"])
def test_every_form_gives_the_same_questions(form: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"made.{form}", [FIRST, SECOND])
    first, second = of(path, KOREAN).questions
    assert first == Question(
        id="가-1",
        source="made",
        split="train",
        group="train-7",
        passage="연못 위로 나뭇잎 하나가 떠갔다.",
        category="국어",
        question="글에 나온 것은?",
        note="ㄱ. 연못",
        options=["나뭇잎", "돌멩이", "구름", "기차"],
        answer=0,
    )
    assert (second.id, second.group) == ("가-2", "train-7")


def test_a_workbook_without_its_package_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    (tmp_path / "made.xlsx").write_bytes(b"PK\3\4")
    refused(tmp_path / "made.xlsx", KOREAN, r"install the package openpyxl .* save .* as CSV UTF-8")


def test_an_unlabelled_test_file_is_read(tmp_path: Path) -> None:
    blind = [{k: v for k, v in one.items() if k != "정답"} for one in (FIRST, SECOND)]
    path = save(tmp_path / "test.csv", blind)
    assert [q.answer for q in of(path, KOREAN, "test").questions] == [None, None]
    refused(path, KOREAN, "has no column 정답;")


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


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_cells_that_were_merged_are_filled_where_the_mapping_says_so(
    form: str, tmp_path: Path
) -> None:
    path = save(tmp_path / f"made.{form}", [FIRST, {**SECOND, "지문": "", "지문번호": ""}])
    refused(path, KOREAN, "line 3: 지문 is empty under a cell that is not, as merged cells are")
    first, second = of(path, {**KOREAN, "empty": "above"}).questions
    assert (second.passage, second.group) == (first.passage, first.group)
    second = of(path, {**KOREAN, "empty": "none"}).questions[1]
    assert second.passage == ""


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


PUBLISHED: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    # OpenCompass: question, the options by letter, the letter
    "opencompass": (
        [{"question": "2 + 3?", "A": "4", "B": "5", "C": "6", "D": "7", "answer": "B"}],
        "csv",
        "columns: {question: question, options: [A, B, C, D], answer: answer}\nanswers: A",
    ),
    # Inspect: input, choices and target
    "inspect": (
        [{"input": "2 + 3?", "choices": ["4", "5", "6", "7"], "target": "B", "id": 1}],
        "jsonl",
        "columns: {id: id, question: input, options: choices, answer: target}\nanswers: A",
    ),
    "inspect as csv": (
        [{"input": "2 + 3?", "choices": '["4", "5", "6", "7"]', "target": "B"}],
        "csv",
        "columns: {question: input, options: choices, answer: target}\nanswers: A",
    ),
    # KMMLU: options by letter, the answer counted from 1
    "kmmlu": (
        [
            {"question": "2 + 3?", "answer": 2, "A": 4, "B": 5, "C": 6, "D": 7}
            | {"Category": "Math", "Human Accuracy": 0.5}
        ],
        "csv",
        "columns: {question: question, options: [A, B, C, D], answer: answer, category: Category}\n"
        "answers: from 1",
    ),
    # ARC: texts and labels in an object
    "arc": (
        [
            {"id": "a", "question": "2 + 3?", "answerKey": "B"}
            | {"choices": {"text": ["4", "5", "6", "7"], "label": [*"ABCD"]}}
        ],
        "parquet",
        "columns: {question: question, options: choices.text, answer: answerKey}\nanswers: A",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_forms_take_a_mapping_of_a_few_lines(name: str, tmp_path: Path) -> None:
    records, form, mapping = PUBLISHED[name]
    assert mapping.count("\n") < 6
    [question] = of(save(tmp_path / f"made.{form}", records), yaml.safe_load(mapping)).questions
    assert (question.question, question.options, question.answer) == (
        "2 + 3?",
        ["4", "5", "6", "7"],
        1,
    )


def test_a_corpus_of_the_hub(tmp_path: Path) -> None:
    # a folder with data files is loaded by the same call as a set of the hub
    folder = tmp_path / "hub"
    folder.mkdir()
    places = ["부산항", "기차역", "뒷마당"]
    for split in ("train", "test"):
        made = [
            {
                **FIRST,
                "번호": f"{split}-{k}",
                "지문": f"{split} {p}에 {k}명이 모였다.",
                "지문번호": k,
            }
            for k, p in enumerate(places)
        ]
        save(folder / f"{split}.jsonl", made)
    corpus = {"source": "table", "hub": str(folder), "train": "train", "test": "test", **KOREAN}
    corpus["revision"] = "0123456789abcdef0123456789abcdef01234567"
    stages = {"s": [{"source": "table"}]}
    run = {"inputs": str(tmp_path), "corpus": corpus, "prompt": "task", "stages": stages}
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({"runs": {"own": run}}, allow_unicode=True), "utf-8")
    done = build("own", load_run(params, "own"), ["s"])
    assert {row.record for row in done.files["s.jsonl"]} == {"train-0", "train-1", "train-2"}
    assert len(done.files["test.jsonl"]) == 3
    assert done.report["inputs"]["table/train"]["revision"] == corpus["revision"]
    run["corpus"] = {**corpus, "revision": "main"}
    params.write_text(yaml.safe_dump({"runs": {"own": run}}, allow_unicode=True), "utf-8")
    with pytest.raises(UserError, match="revision main is no full commit hash"):
        load_run(params, "own")
