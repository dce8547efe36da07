"""A submission for a table of one's own: the table again, its answers filled in, nothing else."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
import yaml
from openpyxl.styles import Font
from pyarrow import parquet

from core.errors import UserError
from core.records import Prediction
from ensemble import check_submission, vote
from ensemble.table_sheet import TableSheet
from eval import predictions
from prep.sources.downloads import records
from prep.sources.mapping import TableMapping
from tests.support.own_tables import FIRST, KOREAN, SECOND, save

FORMS = ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"]
ODD = {**FIRST, "지문": 'A "B", C;\tD', "번호": "007"}
NUMBERS: dict[str, Any] = {"answers": "from 1"}


def sheet(path: Path, **changes: Any) -> TableSheet:
    return TableSheet(path, TableMapping.model_validate({**KOREAN, **changes}))


def read_back(path: Path) -> list[dict[str, Any]]:
    return [record for _, _, record in records(path)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labelled", [True, False])
def test_a_submission_is_the_test_file_with_its_answers(
    form: str, labelled: bool, tmp_path: Path
) -> None:
    given = [ODD, {**SECOND, "지문": "둘째"}]
    given = given if labelled else [{k: v for k, v in o.items() if k != "정답"} for o in given]
    path, out = save(tmp_path / f"test.{form}", given), tmp_path / f"out.{form}"
    made = sheet(path)
    made.write(out, {"007": 2, "가-2": 3})
    answers = [{**one, "정답": value} for one, value in zip(given, (3, 4), strict=True)]
    assert [{k: str(v) for k, v in one.items()} for one in read_back(out)] == [
        {k: str(v) for k, v in one.items()} for one in answers
    ]
    assert [[*one] for one in read_back(out)] == [[*one] for one in answers]
    made.check(out)
    first = out.read_bytes()
    time.sleep(2.1 if form == "xlsx" else 0)  # a zip counts every other second
    made.write(out, {"007": 2, "가-2": 3})
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("answers", "value"),
    [("from 1", 3), ("from 0", 2), ("A", "C"), ("①", "③"), ("가", "다"), ("text", "구름")],
)
def test_answers_are_written_as_they_are_read(answers: str, value: Any, tmp_path: Path) -> None:
    path = save(tmp_path / "test.jsonl", [FIRST])
    sheet(path, answers=answers).write(tmp_path / "out.jsonl", {"가-1": 2})
    assert read_back(tmp_path / "out.jsonl")[0]["정답"] == value


@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.bool_(), pa.null(), pa.string()])
def test_a_parquet_column_without_answers_may_be_of_any_type(kind: Any, tmp_path: Path) -> None:
    path, out = save(tmp_path / "test.parquet", [FIRST]), tmp_path / "out.parquet"
    table = parquet.read_table(path).drop_columns("정답")
    parquet.write_table(table.append_column("정답", pa.array([None], kind)), path)
    for answers, value in (("①", "③"), ("text", "구름"), ("from 1", 3)):
        sheet(path, answers=answers).write(out, {"가-1": 2})
        assert read_back(out)[0]["정답"] in (value, str(value))


def test_a_workbook_with_merged_answers_and_formats_beside_the_table(tmp_path: Path) -> None:
    path, out = tmp_path / "test.xlsx", tmp_path / "out.xlsx"
    blind = [{k: v for k, v in one.items() if k != "정답"} for one in (FIRST, SECOND)]
    for given in (blind, [{**one, "정답": None} for one in blind]):
        book = openpyxl.load_workbook(save(path, given))
        book.active["T3"].font = Font(bold=True)  # a cell that is there, and holds nothing
        book.active.merge_cells("K2:K3")
        book.save(path)
        sheet(path).write(out, {"가-1": 2, "가-2": 1})
        assert [one["정답"] for one in read_back(out)] == [3, 2]
        assert [*read_back(out)[0]] == [*blind[0], "정답"]


@pytest.mark.parametrize("own", [1.5, datetime(2026, 1, 2)])
def test_an_id_that_a_spreadsheet_keeps_as_a_number_or_date(own: Any, tmp_path: Path) -> None:
    path, out = save(tmp_path / "test.xlsx", [{**FIRST, "번호": own}]), tmp_path / "out.xlsx"
    made = sheet(path)
    assert made.ids == [str(own)]
    made.write(out, {str(own): 2})
    assert read_back(out)[0]["정답"] == 3


def test_answers_by_keys_within_an_object_and_without_ids(tmp_path: Path) -> None:
    given = [{"s": "해는 동쪽에서 뜬다.", "t": {"label": None, "n": 1}}, {"s": "글", "t": {"n": 2}}]
    path = save(tmp_path / "test.json", given)
    mapping = {
        "columns": {"question": "s", "answer": "t.label"},
        "fixed": {"options": {"O": "맞다", "X": "틀리다"}},
    }
    made = TableSheet(path, TableMapping.model_validate(mapping))
    made.write(tmp_path / "out.json", dict(zip(made.ids, (1, 0), strict=True)))
    first, second = read_back(tmp_path / "out.json")
    assert first == {"s": "해는 동쪽에서 뜬다.", "t": {"label": "X", "n": 1}}
    assert second == {"s": "글", "t": {"n": 2}, "t.label": "O"}


def test_what_is_no_answer_to_the_test_file_is_refused(tmp_path: Path) -> None:
    path, out = save(tmp_path / "test.csv", [FIRST, SECOND]), tmp_path / "out.csv"
    made = sheet(path)

    def refused(given: list[dict[str, Any]], sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            made.check(save(out, given))

    refused([SECOND, FIRST], "its ids are in another order than in the test file")
    refused([FIRST], "1 of 2 ids are missing, the first is 가-2")
    refused([FIRST, {**SECOND, "과목": "수학"}], "record 가-2: differs from the test file")
    refused([FIRST, {**SECOND, "정답": "5"}], "record 가-2: answer '5' is no option")
    refused([FIRST, {**SECOND, "정답": ""}], "record 가-2: answer '' is no option")
    out.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with pytest.raises(UserError, match="begins with a byte order mark"):
        made.check(out)
    with pytest.raises(UserError, match=r"a submission for .* must end in \.csv"):
        made.write(tmp_path / "out.json", {})
    with pytest.raises(UserError, match="names no column of answers; add `answer"):
        sheet(path, columns={"question": "문제", "options": ["보기1", "보기2"]}, answers=None)


def test_a_vote_by_the_run_whose_table_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = save(tmp_path / "test.csv", [FIRST, SECOND]), tmp_path / "out.csv"
    corpus = {"source": "table", "train": str(tmp_path / "train.csv"), "test": str(path), **KOREAN}
    stages = {"s": [{"source": "table"}]}
    run = {"inputs": str(tmp_path), "corpus": corpus, "prompt": "task", "stages": stages}
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({"runs": {"own": run}}, allow_unicode=True), "utf-8")
    member = tmp_path / "a.jsonl"
    given = [
        Prediction(id=i, order=[0, 1, 2, 3], logprobs=None, choice=3) for i in ("가-1", "가-2")
    ]
    data = {"path": "test.jsonl", "sha256": "0" * 64, "rows": 2}
    predictions.write(member, given, {"method": "greedy", "data": data})
    named = ["--test", str(path), "--run", "own", "--params", str(params)]
    vote.main([str(member), *named, "--out", str(out)])
    assert [one["정답"] for one in read_back(out)] == ["4", "4"]
    capsys.readouterr()
    check_submission.main([str(out), *named])
    assert capsys.readouterr().out == f"{out}: valid, 2 items\n"
    with pytest.raises(UserError, match=r"has no column problems.* name its run too, by --run"):
        vote.main([str(member), "--test", str(path), "--out", str(out)])
