"""Which options, answers and dialogues the columns of a table may hold."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.tables import one, refused, save

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
