"""A submission is valid only if it is the test file with every output filled by an option."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.jsonl import read_json, write_json, write_records
from ensemble import check_submission
from ensemble.sheet import Sheet
from ensemble.submission import read_sheet
from prep.sources import cci
from tests.support.scored_rows import rows

ITEMS = [
    {
        "id": f"합성-{number}",
        "input": {
            "category": "반응",
            "conversation": [{"speaker": 1, "utterance": "비가 온다", "utterance_id": "d.1"}],
            "inference_1": "가",
            "inference_2": "나",
            "inference_3": "다",
        },
        "output": "",
    }
    for number in range(3)
]


@pytest.fixture
def official(tmp_path: Path) -> Sheet:
    write_json(tmp_path / "test.json", ITEMS)
    return read_sheet(tmp_path / "test.json")


def filled() -> list[dict[str, Any]]:
    return [{**copy.deepcopy(item), "output": "inference_2"} for item in ITEMS]


def test_what_write_writes_is_valid(
    official: Sheet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.json"
    official.write(path, dict.fromkeys(official.ids, 1))
    assert read_json(path) == filled()
    check_submission.main([str(path), "--test", str(official.path)])
    assert capsys.readouterr().out == f"{path}: valid, 3 items\n"
    assert read_json(official.path) == ITEMS


def put(key: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda items: items[1].__setitem__(key, value)


def said(key: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda items: items[1]["input"]["conversation"][0].__setitem__(key, value)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda items: items.pop(), "1 of 3 ids are missing, the first is 합성-2"),
        (lambda items: items.reverse(), "another order"),
        (lambda items: items.append(items[0]), "stands there twice"),
        (
            lambda items: items.append({**items[0], "id": "합성-9"}),
            "1 ids are not in the test file",
        ),
        (put("id", "합성-9"), "1 of 3 ids are missing, the first is 합성-1"),
        (lambda items: items[1]["input"].update(inference_1="라"), "item 합성-1: differs"),
        (said("speaker", True), "item 합성-1: differs"),
        (said("speaker", 1.0), "item 합성-1: differs"),
        (said("utterance", "비가 온다."), "item 합성-1: differs"),
        (lambda items: items[1]["input"].pop("conversation"), "item 합성-1: differs"),
        (put("note", "x"), "item 합성-1: differs"),
        (put("output", ""), "output '' is no option"),
        (put("output", "inference_4"), "output 'inference_4' is no option"),
        (put("output", "category"), "output 'category' is no option"),
        (put("output", ["inference_1"]), "is no option"),
        (lambda items: items[1].pop("output"), "output None is no option"),
    ],
)
def test_spoilt_submissions_are_refused(
    official: Sheet, tmp_path: Path, spoil: Callable[[list[dict[str, Any]]], Any], match: str
) -> None:
    items = filled()
    spoil(items)
    path = tmp_path / "s.json"
    write_json(path, items)
    with pytest.raises(UserError, match=match):
        check_submission.main([str(path), "--test", str(official.path)])


def test_the_bytes_between_values_are_free(official: Sheet, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    shuffled = [dict(reversed(item.items())) for item in filled()]
    for text in (json.dumps(filled()), json.dumps(shuffled, indent=1).replace("\n", "\r\n")):
        path.write_text(text, newline="")
        check_submission.main([str(path), "--test", str(official.path)])


def test_a_choice_that_is_no_option_leaves_the_earlier_file(
    official: Sheet, tmp_path: Path
) -> None:
    path = tmp_path / "s.json"
    path.write_text("earlier")
    with pytest.raises(UserError, match="output 'inference_4' is no option"):
        official.write(path, dict.fromkeys(official.ids, 3))
    assert path.read_text() == "earlier"


def test_categories_and_dialogues_are_read_as_prep_reads_them(tmp_path: Path) -> None:
    items = copy.deepcopy(ITEMS)
    for item, name in zip(
        items, ("SDRW2200.1.1", ["SDRW2200.1.2", "SDRW2200.1.3"], "x.7"), strict=True
    ):
        said = {"speaker": 1, "utterance": "비가 온다", "utterance_id": name}
        item["input"] |= {"conversation": [said], "reference_id": name}
    path = tmp_path / "test.json"
    write_json(path, items)
    sheet, (questions, _) = read_sheet(path), cci.read(path, "test")
    assert sheet.ids == [question.id for question in questions]
    assert sheet.groups == [question.group for question in questions]
    assert sheet.groups == ["SDRW2200.1", "SDRW2200.1", "x"]
    assert sheet.categories == [question.category for question in questions]
    assert sheet.options == [len(question.options) for question in questions]


def test_options_are_numbered_without_a_gap(tmp_path: Path) -> None:
    items = copy.deepcopy(ITEMS)
    items[1]["input"]["inference_4"] = items[1]["input"].pop("inference_2")
    write_json(tmp_path / "test.json", items)
    with pytest.raises(
        UserError, match=r"item 2 \(합성-1\): its input has no inference_1, inferenc"
    ):
        read_sheet(tmp_path / "test.json")


def problem(options: int) -> str:
    return str({"question": "옳은 것은?", "choices": list("가나다라마")[:options], "answer": ""})


@pytest.fixture
def exam(tmp_path: Path) -> Sheet:
    save(tmp_path / "test.csv", [f'q-{n},지문,"{problem(n)}",' for n in (4, 5, 2)])
    return read_sheet(tmp_path / "test.csv")


def save(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(["id,paragraph,problems,question_plus", *lines]), encoding="utf-8")


def test_an_exam_is_answered_by_number_from_1(exam: Sheet, tmp_path: Path) -> None:
    assert exam.options == [4, 5, 2]
    path = tmp_path / "s.csv"
    exam.write(path, {"q-4": 3, "q-5": 4, "q-2": 0})
    assert path.read_bytes() == b"id,answer\nq-4,4\nq-5,5\nq-2,1\n"
    check_submission.main([str(path), "--test", str(exam.path)])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("id,answer\nq-4,4\nq-5,5\n", "1 of 3 ids are missing, the first is q-2"),
        ("id,answer\nq-5,4\nq-4,4\nq-2,1\n", "another order"),
        ("id,answer\nq-4,4\nq-5,5\nq-2,1\nq-2,1\n", "stands there twice"),
        ("id,answer\nq-4,4\nq-5,5\nq-2,1\nq-9,1\n", "1 ids are not in the test file"),
        ("id,answer\nq-4,5\nq-5,5\nq-2,1\n", "question q-4: answer '5' is none of 1 to 4"),
        ("id,answer\nq-4,0\nq-5,5\nq-2,1\n", "answer '0' is none of 1 to 4"),
        ("id,answer\nq-4,\nq-5,5\nq-2,1\n", "answer '' is none"),
        ("id,answer\nq-4,4.0\nq-5,5\nq-2,1\n", "answer '4.0' is none"),
        ("id,answer\nq-4,4,\nq-5,5\nq-2,1\n", "answer 1: 3 cells, not 2"),
        ("id;answer\nq-4;4\n", "first line must read id,answer"),
        ('id,answer\nq-4,"4\n', "malformed CSV"),
        ("", "first line must read id,answer"),
        ("\ufeffid,answer\nq-4,4\nq-5,5\nq-2,1\n", "byte order mark"),
    ],
)
def test_spoilt_exam_submissions_are_refused(
    exam: Sheet, tmp_path: Path, text: str, match: str
) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=match):
        check_submission.main([str(path), "--test", str(exam.path)])


def test_other_files_than_a_submission_are_refused(official: Sheet, tmp_path: Path) -> None:
    def refused(name: str, content: bytes, match: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=match):
            check_submission.main([str(tmp_path / name), "--test", str(official.path)])

    text = json.dumps(filled(), ensure_ascii=False)
    refused("s.json", text.encode("cp949"), "not UTF-8")
    refused("s.json", text.encode("utf-8-sig"), "byte order mark")
    refused("s.json", text.encode()[:-1], "malformed JSON")
    refused("s.json", b"{}", "s.json: not a list of items; write it anew")
    twice = text.replace('"output": ', '"output": "inference_1", "output": ', 1)
    refused("s.json", twice.encode(), "key output stands twice in an object; write it anew")
    refused("s.csv", text.encode(), "must end in .json")
    (tmp_path / "s.json").unlink()
    with pytest.raises(UserError, match="no such file"):
        check_submission.main([str(tmp_path / "s.json"), "--test", str(official.path)])
    with pytest.raises(UserError, match=r"test.json: is the test file itself; name the subm"):
        check_submission.main([str(official.path), "--test", str(official.path)])
    with pytest.raises(UserError, match=r"none of .json, .csv, .jsonl"):
        read_sheet(tmp_path / "test.txt")


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ([], "test.csv: holds no records; name a file"),
        ([f' ,지문,"{problem(4)}",'], "line 2: has no id"),
        ([f'q,지문,"{problem(1)}",'], "question q cannot be answered .bad-options., nor can 0"),
        ([f'q,지문,"{problem(4)}",'] * 2, "id q stands there twice"),
    ],
)
def test_exams_that_cannot_be_answered_are_refused(
    tmp_path: Path, lines: list[str], match: str
) -> None:
    save(tmp_path / "test.csv", lines)
    with pytest.raises(UserError, match=match):
        read_sheet(tmp_path / "test.csv")


@pytest.fixture
def plain(tmp_path: Path) -> Sheet:
    write_records(tmp_path / "test.jsonl", rows(3))
    return read_sheet(tmp_path / "test.jsonl")


def test_rows_are_answered_by_a_line_for_each(plain: Sheet, tmp_path: Path) -> None:
    assert plain.options == [3, 3, 3]
    assert plain.groups == ["g0", "g1", "g2"]
    path = tmp_path / "s.jsonl"
    plain.write(path, {id_: place for place, id_ in enumerate(plain.ids)})
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines == [{"id": f"합성-00{k}", "answer": k + 1} for k in range(3)]
    check_submission.main([str(path), "--test", str(plain.path)])


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('"answer": 2}\n', '"answer": 4}\n', "question 합성-001: answer 4 is none of 1 to 3"),
        ('"answer": 2}\n', '"answer": true}\n', "answer True is none"),
        ('"answer": 2}\n', '"answer": "2"}\n', "answer '2' is none"),
        ('"answer": 2}\n', '"answer": 2\n', "malformed JSON"),
        ('"answer": 2}\n', '"answer": 2, "why": 1}\n', "no object of id and answer"),
        ("합성-001", "합성-009", "1 of 3 ids are missing, the first is 합성-001"),
        ("합성-001", "합성-000", "1 of 3 ids are missing"),
        ('"합성-001"', "1", "1 of 3 ids are missing"),
    ],
)
def test_spoilt_answers_to_rows_are_refused(
    plain: Sheet, tmp_path: Path, old: str, new: str, match: str
) -> None:
    path = tmp_path / "s.jsonl"
    text = plain.text({id_: place for place, id_ in enumerate(plain.ids)})
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(UserError, match=match):
        check_submission.main([str(path), "--test", str(plain.path)])
