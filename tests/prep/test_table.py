"""`source: table`: a table of one's own becomes questions by a mapping, or is refused in words."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from core.errors import UserError
from core.records import Question
from prep.assembly import build
from prep.config import load_run
from prep.sources.reader import Read
from prep.sources.source import Source, read

COLUMNS = {
    "id": "번호",
    "passage": "지문",
    "question": "문제",
    "note": "보기",
    "options": ["보기1", "보기2", "보기3", "보기4"],
    "answer": "정답",
    "category": "과목",
    "group": "지문번호",
}
KOREAN = {"columns": COLUMNS, "answers": "from 1"}
FIRST = {
    "번호": "가-1",
    "지문": "연못 위로 나뭇잎 하나가 떠갔다.",
    "문제": "글에 나온 것은?",
    "보기": "ㄱ. 연못",
    "보기1": "나뭇잎",
    "보기2": "돌멩이",
    "보기3": "구름",
    "보기4": "기차",
    "정답": "1",
    "과목": "국어",
    "지문번호": "7",
}
SECOND = {**FIRST, "번호": "가-2", "문제": "나뭇잎이 떠간 곳은?", "보기1": "연못", "정답": "1"}


def as_csv(records: list[dict[str, Any]], delimiter: str = ",") -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, [*records[0]], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def save(path: Path, records: list[dict[str, Any]]) -> Path:
    """The records in the form that the file's name says."""
    if path.suffix in (".csv", ".tsv"):
        path.write_text(as_csv(records, "\t" if path.suffix == ".tsv" else ","), "utf-8")
    elif path.suffix == ".jsonl":
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        path.write_text("".join(lines), "utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(records, ensure_ascii=False), "utf-8")
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(records), path)
    else:
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for row in ([*records[0]], *([*record.values()] for record in records)):
            book.active.append(row)
        book.save(path)
    return path


def of(path: Path, mapping: dict[str, Any], split: Any = "train") -> Read:
    return read(Source(source="table", name="made", path=str(path), **mapping), split=split)


def one(tmp_path: Path, record: dict[str, Any], **mapping: Any) -> Question:
    [question] = of(save(tmp_path / "made.jsonl", [record]), mapping).questions
    return question


def refused(path: Path, mapping: dict[str, Any], sentence: str, split: Any = "train") -> str:
    with pytest.raises(UserError, match=sentence) as caught:
        of(path, mapping, split)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said


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


TEXT = "① 봄 ② 여름 ③ 가을 ④ 겨울"
OPTIONS = {
    "several columns": ({"가": "봄", "나": "여름", "다": "가을", "라": "겨울"}, [*"가나다라"]),
    "a list": ({"선택지": ["봄", "여름", "가을", "겨울"]}, "선택지"),
    "a list as text": ({"선택지": '["봄", "여름", "가을", "겨울"]'}, "선택지"),
    "a list inside": ({"선택지": {"text": ["봄", "여름", "가을", "겨울"]}}, "선택지.text"),
    "objects": ({"선택지": [{"label": "A", "text": t} for t in TEXT.split()[1::2]]}, "선택지"),
    "circled": ({"선택지": TEXT}, "선택지"),
    "brackets": ({"선택지": "1) 봄 2) 여름\n3) 가을 4) 겨울"}, "선택지"),
    "both brackets": ({"선택지": "(1) 봄 (2) 여름 (3) 가을 (4) 겨울"}, "선택지"),
    "dots": ({"선택지": "1. 봄\n2. 여름\n3. 가을\n4. 겨울"}, "선택지"),
    "letters": ({"선택지": "A. 봄 B. 여름 C. 가을 D. 겨울"}, "선택지"),
    "syllables": ({"선택지": "가) 봄 나) 여름 다) 가을 라) 겨울"}, "선택지"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_in_every_form(kind: str, tmp_path: Path) -> None:
    cells, column = OPTIONS[kind]
    columns = {"question": "문제", "options": column, "answer": "정답"}
    record = {"문제": "꽃이 피는 철은?", **cells, "정답": "A"}
    question = one(tmp_path, record, columns=columns, answers="A")
    assert (question.options, question.answer) == (["봄", "여름", "가을", "겨울"], 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("봄, 여름, 가을", "begins with no number such as"),
        ("① 봄 ② 여름 ② 가을", "number ② 2 times"),
        ("② 여름 ① 봄", "begins with no number"),
        ("① 봄 ③ 가을 ② 여름", "another order"),
        ("1) 3.5 2) 2) 개", "number 2 2 times"),
    ],
)
def test_a_numbered_text_that_can_be_read_in_two_ways_is_refused(
    text: str, sentence: str, tmp_path: Path
) -> None:
    path = save(tmp_path / "made.jsonl", [{"문제": "?", "선택지": text}])
    columns = {"question": "문제", "options": "선택지"}
    refused(path, {"columns": columns}, f"line 1, column 선택지: .*{sentence}")


def test_numbers_within_an_option_are_no_numbers_of_options(tmp_path: Path) -> None:
    record = {"문제": "?", "선택지": "1. 3.5배  2. 1.2배  3. 10.1배"}
    question = one(tmp_path, record, columns={"question": "문제", "options": "선택지"})
    assert question.options == ["3.5배", "1.2배", "10.1배"]


ANSWERS: list[tuple[str, Any]] = [
    *(("from 1", value) for value in (3, "3", 3.0, "3.0", "(3)", "3번", "3)", " 3 ")),
    *(("from 0", value) for value in (2, "2", 2.0)),
    *(("A", value) for value in ("C", "c", "(C)", "C.", "C) 가을", "C 가을")),
    *(("①", value) for value in ("③", "③ 가을")),
    *(("가", value) for value in ("다", "(다)", "다.")),
    ("text", " 가을 "),
    ("from 1", ["3"]),
]


@pytest.mark.parametrize(("answers", "value"), ANSWERS)
def test_answers_in_every_notation(answers: str, value: Any, tmp_path: Path) -> None:
    columns = {"question": "문제", "options": "선택지", "answer": "정답"}
    record = {"문제": "?", "선택지": TEXT, "정답": value}
    assert one(tmp_path, record, columns=columns, answers=answers).answer == 2


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


def test_an_answer_that_is_absent_is_none(tmp_path: Path) -> None:
    columns = {"question": "문제", "options": "선택지", "answer": "정답"}
    for value in (None, "", " ", float("nan")):
        record = {"문제": "?", "선택지": TEXT, "정답": value}
        assert one(tmp_path, record, columns=columns, answers="from 1").answer is None


def test_two_to_twenty_six_options(tmp_path: Path) -> None:
    for count in (2, 6, 26):
        record = {"q": "?", "o": [f"선택 {k}" for k in range(count)], "a": count - 1}
        columns = {"question": "q", "options": "o", "answer": "a"}
        question = one(tmp_path, record, columns=columns, answers="from 0")
        assert (len(question.options), question.answer) == (count, count - 1)
    for count in (1, 27):
        path = save(tmp_path / "made.jsonl", [{"q": "?", "o": [f"{k}번" for k in range(count)]}])
        mapping = {"columns": {"question": "q", "options": "o"}}
        refused(path, mapping, f"{count} options; a question has 2 to 26")


def test_fewer_options_in_the_last_columns(tmp_path: Path) -> None:
    record = {"q": "?", "A": "하나", "B": "둘", "C": "", "D": ""}
    columns = {"question": "q", "options": [*"ABCD"]}
    assert one(tmp_path, record, columns=columns).options == ["하나", "둘"]
    path = save(tmp_path / "made.csv", [{**record, "B": "", "C": "셋"}])
    refused(path, {"columns": columns}, "line 2, options: option 2 is empty")


DIALOGUES = {
    "a list": [{"speaker": "민지", "text": "비 온대."}, {"speaker": "준호", "text": "우산 챙겨."}],
    "roles": [{"role": "민지", "content": "비 온대."}, {"role": "준호", "content": "우산 챙겨."}],
    "text": '[{"speaker": "민지", "text": "비 온대."}, {"speaker": "준호", "text": "우산 챙겨."}]',
    "lines": "민지: 비 온대.\n준호: 우산 챙겨.",
    "full-width colons": "민지 ： 비 온대.\n\n준호 ： 우산 챙겨.",
    "a list of lines": ["민지: 비 온대.", "준호: 우산 챙겨."],
}


@pytest.mark.parametrize("kind", DIALOGUES)
@pytest.mark.parametrize("reference", [2, "2", [2], "우산 챙겨.", None])
def test_dialogues_and_their_references(kind: str, reference: Any, tmp_path: Path) -> None:
    columns = {"dialogue": "대화", "reference": "참조", "question": "질문", "options": "선택지"}
    record = {"대화": DIALOGUES[kind], "참조": reference, "질문": "왜?", "선택지": TEXT}
    question = one(tmp_path, record, columns=columns)
    assert [(t.speaker, t.text, t.id) for t in question.turns] == [
        ("민지", "비 온대.", "1"),
        ("준호", "우산 챙겨.", "2"),
    ]
    assert question.focus == ([] if reference is None else ["2"])
    assert (question.passage, question.question) == (None, "왜?")


def test_turns_with_ids_and_numbered_speakers(tmp_path: Path) -> None:
    said = [{"speaker": n, "utterance": f"말 {n}", "utterance_id": f"d.{n}"} for n in (1, 2)]
    record = {"대화": said, "참조": "d.1, d.2", "선택지": TEXT, "유형": "반응"}
    columns = {"dialogue": "대화", "reference": "참조", "options": "선택지", "category": "유형"}
    question = one(tmp_path, record, columns=columns)
    assert question.focus == ["d.1", "d.2"]
    assert [turn.speaker for turn in question.turns] == ["화자1", "화자2"]
    assert (question.question, question.category) == (None, "반응")


@pytest.mark.parametrize(
    ("dialogue", "reference", "sentence"),
    [
        ("비가 온다", None, r"column 대화 has in line 1 no speaker before a colon"),
        ([], None, "column 대화 is a list, no list of turns"),
        ([{"speaker": "가"}], None, "column 대화 has in turn 1 no speaker or no text"),
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


def test_fixed_options_and_question(tmp_path: Path) -> None:
    columns = {"passage": "문장", "answer": "참거짓"}
    fixed = {"question": "맞는 문장인가?", "options": {"O": "맞다", "X": "틀리다"}}
    for value, index in (("O", 0), ("x", 1)):
        record = {"문장": "물은 위로 흐른다.", "참거짓": value}
        question = one(tmp_path, record, columns=columns, fixed=fixed)
        assert (question.options, question.answer) == (["맞다", "틀리다"], index)
    fixed["options"] = yaml.safe_load("{true: 참, false: 거짓}")
    for value in (False, "FALSE", "false"):
        record = {"문장": "물은 위로 흐른다.", "참거짓": value}
        assert one(tmp_path, record, columns=columns, fixed=fixed).answer == 1
    path = save(tmp_path / "made.csv", [{"문장": "글", "참거짓": "모름"}])
    mapping = {"columns": columns, "fixed": fixed}
    refused(path, mapping, "answer '모름' is none of its 2 options by true, false")


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
