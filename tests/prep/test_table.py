"""`source: table`: a table of one's own becomes questions by a mapping, or is refused in words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.records import Question
from prep.assembly import build
from prep.config import load_run
from tests.support.own_tables import FIRST, KOREAN, SECOND, TEXT, of, one, refused, save


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


def test_whole_numbers_are_options_without_a_fraction(tmp_path: Path) -> None:
    # as pandas keeps a column of numbers in which a question with fewer options has none
    given = [{**FIRST, "보기4": 12.0, "정답": "4"}, {**SECOND, "보기4": None}]
    first, second = of(save(tmp_path / "made.parquet", given), KOREAN).questions
    assert (first.options[3], first.answer, len(second.options)) == ("12", 3, 3)


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


def test_a_speaker_in_brackets_and_times_that_are_said(tmp_path: Path) -> None:
    columns = {"dialogue": "대화", "options": "선택지"}
    record = {"대화": "[민지]: 3:30에 와.\n화자2:10분 늦어.", "선택지": TEXT}
    said = [(turn.speaker, turn.text) for turn in one(tmp_path, record, columns=columns).turns]
    assert said == [("[민지]", "3:30에 와."), ("화자2", "10분 늦어.")]


def test_turns_with_ids_and_numbered_speakers(tmp_path: Path) -> None:
    said = [{"speaker": n, "utterance": f"말 {n}", "utterance_id": f"d.{n}"} for n in (1, 2)]
    record = {"대화": said, "참조": "d.1, d.2", "선택지": TEXT, "유형": "반응"}
    columns = {"dialogue": "대화", "reference": "참조", "options": "선택지", "category": "유형"}
    question = one(tmp_path, record, columns=columns)
    assert question.focus == ["d.1", "d.2"]
    assert [turn.speaker for turn in question.turns] == ["화자1", "화자2"]
    assert (question.question, question.category) == (None, "반응")


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


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_cells_that_were_merged_are_filled_where_the_mapping_says_so(
    form: str, tmp_path: Path
) -> None:
    path = save(tmp_path / f"made.{form}", [FIRST, {**SECOND, "지문": "", "지문번호": ""}])
    refused(
        path, KOREAN, "(line 3|row 2): 지문 is empty under a cell that is not, as merged cells are"
    )
    first, second = of(path, {**KOREAN, "empty": "above"}).questions
    assert (second.passage, second.group) == (first.passage, first.group)
    second = of(path, {**KOREAN, "empty": "none"}).questions[1]
    assert second.passage == ""
    path = save(tmp_path / "made.jsonl", [FIRST, {**SECOND, "지문": None}])
    assert of(path, KOREAN).questions[1].passage == ""
    assert of(path, {**KOREAN, "empty": "above"}).questions[1].passage == first.passage


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
