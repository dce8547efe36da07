"""KoBEST as its repository has it: tab-separated files of five tasks, with columns of their own."""

import json
import zipfile
from pathlib import Path

import pytest

from core.errors import UserError
from prep.sources.downloads import fingerprint
from tests.support.build_place import Place
from tests.support.published import of, one, tsv

KOBEST = {
    "BoolQ": (
        ["ID", "Text", "Question", "Answer"],
        ["7", "나루에 배가 두 척 있다.", "배가 있는가?", "TRUE"],
        ("BoolQ-7", "나루에 배가 두 척 있다.", "배가 있는가?", "예"),
    ),
    "COPA": (
        ["ID", "sentence", "question", "1", "2", "Answer"],
        ["7", "창을 열었다.", "결과 ", "시원해졌다.", "더워졌다.", "1"],
        ("COPA-7", "창을 열었다.", "이 일의 결과로 알맞은 것은?", "시원해졌다."),
    ),
    "WiC": (
        ["ID", "Target", "SENTENCE1", "Dictionary 1", "SENTENCE2", "Dictionary 2", "ANSWER"],
        ["7", "눈", "[눈]이 왔다.", "1", "[눈]을 감았다.", "2", "False"],
        (
            "WiC-7",
            "[눈]이 왔다.\n[눈]을 감았다.",
            "두 문장에서 '눈'의 뜻이 서로 같은가?",
            "아니요",
        ),
    ),
    "HellaSwag": (
        ["context", "choice1", "choice2", "choice3", "choice4", "label"],
        ["연을 들고 달린다.", "가라앉는다.", "운다.", "떠오른다.", "녹는다.", "2"],
        (
            "made-000002",
            "연을 들고 달린다.",
            "이어질 내용으로 가장 알맞은 것은?",
            "떠오른다.",
        ),
    ),
    "SentiNeg": (
        ["ID", "Label_origin", "Text_origin", "Label", "Text", "Category_neg"],
        ["7", "1", "또 갈 집", "0", "다시 안 갈 집", "2"],
        ("SentiNeg-7", "다시 안 갈 집", "이 문장은 긍정인가, 부정인가?", "부정"),
    ),
}


@pytest.mark.parametrize("task", KOBEST)
def test_kobest_as_its_repository_has_it(tmp_path: Path, task: str) -> None:
    header, row, expected = KOBEST[task]
    [question] = of("kobest", tsv(tmp_path / "train.tsv", header, row)).questions
    right = question.options[question.answer or 0]
    assert (question.id, question.passage, question.question, right) == expected
    assert question.category == task


def test_several_tasks_in_one_table_leave_other_columns_empty(tmp_path: Path) -> None:
    both = {"paragraph": None, "question": None, "sentence": "좋다", "label": 1}
    assert one("kobest", tmp_path, both).category == "SentiNeg"
    both = {"paragraph": "글", "question": "맞나?", "sentence": "", "label": "0"}
    assert one("kobest", tmp_path, both).category == "BoolQ"


def test_a_folder_of_folders_is_read_by_a_pattern_and_never_by_itself(tmp_path: Path) -> None:
    for task, (header, row, _) in KOBEST.items():
        for part in ("train", "test"):
            tsv(tmp_path / task / f"{part}.tsv", header, row)
    (tmp_path / "README.md").write_text("말")
    (tmp_path / "COPA/.train.tsv").write_text("말")
    with pytest.raises(UserError, match=r"10 members to read; .* such as '\*/train\.tsv'"):
        of("kobest", tmp_path)
    got = of("kobest", tmp_path, member="*/train.tsv")
    assert [q.category for q in got.questions] == sorted(KOBEST)
    assert len({q.id for q in got.questions}) == 5
    assert of("kobest", tmp_path, member="COPA/test.tsv").records == 1
    with pytest.raises(UserError, match=r"0 members to read named \*/dev\.tsv"):
        of("kobest", tmp_path, member="*/dev.tsv")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(tmp_path.rglob("*.tsv")):
            archive.write(path, path.relative_to(tmp_path))
    zipped = of("kobest", tmp_path / "all.zip", member="[A-Z]*/train.tsv")
    assert zipped.questions == got.questions


def test_a_corpus_may_be_named_by_a_pattern(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for task, (header, row, _) in KOBEST.items():
        tsv(tmp_path / "kobest" / task / "test.tsv", header, row)
    header, row, _ = KOBEST["COPA"]
    other = ["비가 그쳤다." if cell == row[1] else cell for cell in row]
    tsv(tmp_path / "kobest/COPA/train.tsv", header, other)
    corpus = {"source": "kobest", "train": "kobest/COPA/train.*", "test": "kobest/*/test.*"}
    run = {"inputs": "kobest", "prompt": "task", "stages": {"stage2": [{"source": "kobest"}]}}
    place.build(**run, corpus=corpus)
    assert [row.category for row in place.rows("test.jsonl")] == sorted(KOBEST)
    inputs = json.loads((place.out / "build.json").read_text())["inputs"]
    assert {name: entry["file"] for name, entry in inputs.items()} == {
        "kobest/test": "test.*",
        "kobest/train": "train.*",
    }
    before = inputs["kobest/test"]["sha256"]
    (tmp_path / "kobest/WiC/test.tsv").unlink()
    place.build(**run, corpus=corpus)
    inputs = json.loads((place.out / "build.json").read_text())["inputs"]
    assert inputs["kobest/test"]["sha256"] != before
    (tmp_path / "kobest").rename(tmp_path / "elsewhere")
    place.build("--corpus", str(tmp_path / "elsewhere"), **run, corpus=corpus)
    assert len(place.rows("test.jsonl")) == 4
    missing = corpus | {"train": "kobest/COPA/learn.*"}
    said = place.build(**run, corpus=missing, code=2)
    assert "no such file: kobest/COPA/learn.*" in said


def test_ids_made_up_for_several_files_go_on_from_one_to_the_next(tmp_path: Path) -> None:
    header, row, _ = KOBEST["HellaSwag"]
    for name in ("a", "b"):
        tsv(tmp_path / f"{name}.tsv", header, row, [f"{name} 글", *row[1:]])
    got = of("kobest", tmp_path, member="*.tsv")
    assert [q.id for q in got.questions] == [f"made-00000{k}" for k in (2, 3, 5, 6)]


def test_the_fingerprint_of_a_folder_is_that_of_what_is_read(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "note.txt"):
        (tmp_path / name).write_text(name)
    before = fingerprint(tmp_path, "*.json")
    (tmp_path / "note.txt").write_text("other")
    assert fingerprint(tmp_path, "*.json") == before != fingerprint(tmp_path, "a.json")
    (tmp_path / "b.json").write_text("other")
    assert fingerprint(tmp_path, "*.json") != before
