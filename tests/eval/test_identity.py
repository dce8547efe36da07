"""A record is known by source, split and id, and never by its id alone."""

import csv
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.jsonl import write_records
from core.records import Question, Reason
from eval.reporting.runs import questions_of
from eval.rows import read_rows
from prep.assembly import Build, build
from prep.config import Run
from prep.dedup import Simhash
from prep.guards.contamination import Scored
from prep.guards.group_folds import near_contexts
from prep.mix import QuestionSet, question_portions
from prep.render import Renderer, load_prompt
from prep.sources import exams
from prep.sources.reader import collect
from prep.sources.source import Source, read
from prep.summary import WHY

EXAM = Renderer(load_prompt("exam"))
PLACES = "두루미샘 고라니재 너구리길 다람쥐골 까치목 수달못 여우고개 노루벌".split()


def kmmlu(number: int, what: str, answer: int = 1) -> dict[str, Any]:
    options = {letter: f"{what} {PLACES[(number + k) % 8]}" for k, letter in enumerate("ABCD")}
    asked = f"{what}에서 {number}번째로 오래된 마을의 이름은?"
    return {"question": asked, "answer": answer, "Category": "Made-Up", **options}


def problem(number: int, what: str, answer: object = 1) -> dict[str, Any]:
    paragraph = f"{what} 이야기 {number}. {what}의 {PLACES[number % 8]}에는 집이 {number}채 있다."
    choices = [f"{number + k}채" for k in range(4)]
    asked = {"question": f"{what}의 집은 몇 채인가?", "choices": choices, "answer": answer}
    return {"paragraph": paragraph, "problems": str(asked)}


def jsonl(path: Path, records: list[dict[str, Any]]) -> str:
    lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in records)
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def built(folder: Path, source: str, **files: list[dict[str, Any]]) -> Build:
    corpus = {name: jsonl(folder / f"{name}.jsonl", records) for name, records in files.items()}
    run = Run.model_validate(
        {
            "inputs": str(folder),
            "corpus": {"source": source, **corpus},
            "out": str(folder / "out"),
            "prompt": "exam",
            "stages": {"s": [{"source": source}]},
        }
    )
    return build("r", run, ["s"])


def test_sets_without_ids_lose_no_row_to_their_own_numbers(tmp_path: Path) -> None:
    done = built(
        tmp_path,
        "kmmlu",
        train=[kmmlu(k, "북쪽 마을") for k in range(6)],
        dev=[kmmlu(k, "서쪽 들판") for k in range(6)],
        test=[kmmlu(k, "남쪽 섬") for k in range(6)],
    )
    assert [len(done.files[f"{name}.jsonl"]) for name in ("s", "dev", "test")] == [6, 6, 6]
    assert {row.record for row in done.files["s.jsonl"]} == {
        row.record for row in done.files["test.jsonl"]
    }


@pytest.mark.parametrize("form", ["{}", "question-{:04d}", "2024-수능-{}"])
def test_published_ids_that_count_each_split_from_1(tmp_path: Path, form: str) -> None:
    parts = {
        name: [{"id": form.format(k), **problem(k, what)} for k in range(1, 7)]
        for name, what in (("train", "훈련 마을"), ("dev", "개발 마을"), ("test", "시험 마을"))
    }
    # a text that names a question of its own set gives nothing of another away
    parts["train"][0]["paragraph"] += f" ({form.format(3)})"
    done = built(tmp_path, "exam", **parts)
    assert len(done.files["s.jsonl"]) == 6
    write_records(tmp_path / "questions.jsonl", done.files["questions.jsonl"])
    for name, what in (("dev", "개발 마을"), ("test", "시험 마을")):
        found = questions_of(done.files[f"{name}.jsonl"], tmp_path / "questions.jsonl")
        assert all(what in one.passage and one.split == name for one in found.values())
    stray = done.files["s.jsonl"][0]
    with pytest.raises(UserError, match=r"no question for row .* \(exam/train\)"):
        questions_of([stray], tmp_path / "questions.jsonl")


def test_a_file_of_two_sets_that_share_ids_is_not_joined_by_them(tmp_path: Path) -> None:
    rows = [EXAM.scoring(one) for one in asked(3)]
    other = [row.model_copy(update={"source": "other"}) for row in rows]
    write_records(tmp_path / "both.jsonl", [*rows, *other])
    with pytest.raises(
        UserError, match="two questions with id q-0, of made/train and of other/tra"
    ):
        read_rows(tmp_path / "both.jsonl")
    write_records(tmp_path / "one.jsonl", rows)
    assert read_rows(tmp_path / "one.jsonl") == rows


def asked(count: int, **fields: Any) -> list[Question]:
    rest = {"passage": "", "category": "c", "options": ["가", "나"], "answer": 0} | fields
    rest = {"source": "made", "split": "train"} | rest
    return [
        Question(**{"id": f"q-{k}", "group": f"g-{k}", "question": f"{k}번째 물음은?"} | rest)
        for k in range(count)
    ]


OWN = st.sampled_from(["a", "a#2", "a#2#2", "a~2", "b", "", "nan", "가"])


@given(st.lists(OWN, min_size=1, max_size=12))
def test_doubled_ids_get_names_of_their_own_and_every_question_stays(own: list[str]) -> None:
    def record(k: int, id_: str) -> dict[str, Any]:
        choices = [f"{k}", f"{k + 1}"]
        return {"id": id_, "question": f"{k}번?", "choices": choices, "answer": choices[k % 2]}

    found = [(k, f"line {k}", record(k, id_)) for k, id_ in enumerate(own)]
    got = collect(exams.click, found, "click")
    assert [one.question for one in got.questions] == [f"{k}번?" for k in range(len(own))]
    ids = [one.id for one in got.questions]
    assert len(set(ids)) == len(ids)
    alone = [
        id_ for id_ in own if own.count(id_) == 1 and "#" not in id_ and id_ not in ("", "nan")
    ]
    assert set(alone) <= set(ids)
    doubled = {id_ for id_ in own if own.count(id_) > 1} - {"", "nan"}
    assert len(got.notes) == 1 or not doubled
    assert doubled <= set(ids)


def test_what_is_altered_has_the_name_of_its_own() -> None:
    rows = [{"id": "q", **problem(k, "마을")} for k in range(2)]
    rows[1]["paragraph"] += "\n<보기>\nㄱ. 배가\u200b 늘었다."
    got = collect(exams.csat, [(k, f"line {k}", one) for k, one in enumerate(rows)], "exam")
    assert [one.id for one in got.questions] == ["q", "q#2"]
    assert {(one.id, one.reason) for one in got.changed} >= {("q#2", "note-split")}
    assert {one.id for one in got.changed} == {"q#2"}
    assert got.notes == ("exam: 1 questions have the id of an earlier one, and go by q#2",)


def reasons(*sets: list[Question]) -> list[list[tuple[str, str, str | None]]]:
    made = [QuestionSet(one[0].source, one, EXAM) for one in sets]
    portions = question_portions(made, Scored([], EXAM))
    return [[(r.id, r.reason, r.near) for r in one.removed] for one in portions]


def same(id_: str, answer: int, source: str = "one", **fields: Any) -> Question:
    [one] = asked(1, question="바람의 세기를 재는 도구는?", options=["온도계", "풍속계", "저울"])
    return one.model_copy(update={"id": id_, "source": source, "answer": answer, **fields})


def test_a_question_with_two_answers_trains_neither() -> None:
    assert reasons([same("a", 1), same("b", 0), *asked(2)]) == [
        [("a", "contradiction", "b"), ("b", "contradiction", "a")]
    ]
    # the same text as the answer, wherever it is shown
    turned = {"options": ["풍속계", "저울", "온도계"], "category": "다른 과목"}
    assert reasons([same("a", 1), same("b", 0, **turned)]) == [[]]
    assert reasons([same("a", 1), same("b", 1, **turned)]) == [
        [("a", "contradiction", "b"), ("b", "contradiction", "a")]
    ]
    spelled = {"question": "바람의  세기를 재는 도구는 ?", "options": ["온도계", "풍속계.", "저울"]}
    assert reasons([same("a", 1), same("b", 1, **spelled)]) == [[("b", "exact-duplicate", "a")]]
    signs = {"question": "바람의 세기를 재는 + 도구는?"}
    assert reasons([same("a", 1), same("b", 0, **signs)]) == [[]]


def test_a_build_of_nothing_but_contradictions_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"2 contradiction \(the same question has another answer"):
        built(tmp_path, "kmmlu", train=[kmmlu(1, "섬", 1), kmmlu(1, "섬", 3)])
    assert WHY.keys() == set(get_args(Reason))


def test_across_sources_too() -> None:
    first, second = [same("b", 1)], [same("a", 1, "two")]
    assert reasons(first, second) == [[], [("a", "exact-duplicate", "b")]]
    assert reasons(first, second, [same("c", 2, "three")]) == [
        [("b", "contradiction", "c")],
        [("a", "contradiction", "c")],
        [("c", "contradiction", "b")],
    ]


COPA = {"sentence": "해가 떴다.", "question": "결과", "1": "밝다", "2": "춥다", "Answer": 0}


@pytest.mark.parametrize(
    ("source", "record", "sentence"),
    [
        ("kmmlu", kmmlu(1, "섬", 0), "answer 0 of 4 options, but .* count from 1; .* add 1 to"),
        ("exam", problem(1, "섬", 0), "answer 0 of 4 options, but .* count from 1"),
        ("exam", problem(1, "섬", "0"), "answer 0 of 4 options, but .* count from 1"),
        ("kobest", {"sentence": "좋다", "label": 2}, "answer 2 of 2 .* from 0; .* take 1 from"),
        ("kobest", COPA, "answer 0 of 2 options, but .* count from 1"),
    ],
)
def test_answers_that_count_otherwise_stop_the_build(
    tmp_path: Path, source: str, record: dict[str, Any], sentence: str
) -> None:
    path = jsonl(tmp_path / "made.jsonl", [record])
    with pytest.raises(UserError, match=rf"made\.jsonl, line 1: {sentence}"):
        read(Source(source=source, path=path))


@pytest.mark.parametrize(
    "written", ["지문 없음", "nan", "None", "(지문 없음)", ".", "", "\u200b", "글"]
)
def test_a_placeholder_makes_no_group_and_no_near_duplicate(tmp_path: Path, written: str) -> None:
    rows = [{**problem(k, f"마을 {k}"), "paragraph": written} for k in range(5)]
    path = jsonl(tmp_path / "made.jsonl", rows)
    got = read(Source(source="exam", path=path)).questions
    assert {one.passage for one in got} == {"글" if written == "글" else ""}
    assert len({one.group for one in got}) == 5
    assert near_contexts(got, Simhash()) == []
    scored = Scored([got[0].model_copy(update={"split": "test", "answer": None})], EXAM)
    assert scored.contacts(got[1:]) == {}


def test_a_passage_that_says_something_is_a_group(tmp_path: Path) -> None:
    rows = [{**problem(1, "마을"), "id": f"{k}"} for k in range(2)]
    rows[1]["problems"] = rows[1]["problems"].replace("몇 채", "모두 몇 채")
    got = read(Source(source="exam", path=jsonl(tmp_path / "made.jsonl", rows))).questions
    assert len({one.group for one in got}) == 1


ABSENT = ["nan", "NaN", "None", "null", "", "\u3164"]


@pytest.mark.parametrize("written", ABSENT)
def test_absent_values_are_absent_in_every_field(tmp_path: Path, written: str) -> None:
    def one(source: str, record: dict[str, Any]) -> Any:
        path = jsonl(tmp_path / "made.jsonl", [record])
        return read(Source(source=source, path=path, name="made"))

    exam_ = {**problem(1, "마을"), "id": written, "question_plus": written}
    [question] = one("exam", exam_).questions
    assert (question.id, question.note) == ("made-000001", None)
    [question] = one("exam", {**problem(1, "마을", written)}).questions
    assert question.answer is None
    assert [r.reason for r in one("kmmlu", {**kmmlu(1, "섬"), "D": written}).removed] == [
        "bad-options"
    ]
    assert [r.reason for r in one("kmmlu", {**kmmlu(1, "섬"), "question": written}).removed] == [
        "empty"
    ]
    assert one("kmmlu", {**kmmlu(1, "섬"), "Category": written}).questions[0].category == "KMMLU"
    five = {"question": "?", **dict(zip("abcde", ["가", "나", "다", "라", written], strict=True))}
    assert len(one("hae-rae", {**five, "answer": "a"}).questions[0].options) == 4
    [chat] = one("alpaca", {"instruction": "안녕?", "input": written, "output": "네."}).chats
    assert chat.messages[0].content == "안녕?"
    assert [r.reason for r in one("alpaca", {"instruction": "?", "output": written}).removed] == [
        "empty"
    ]
    correction = {"original": "금새", "revised": "금세", "comment": written}
    assert one("proofreading", correction).chats[0].messages[1].content == "금세"


def test_an_option_that_says_nothing_is_there_is_one(tmp_path: Path) -> None:
    record = {"question": "몇 개?", "choices": ["하나", "없음"], "answer": "없음"}
    [one] = read(Source(source="click", path=jsonl(tmp_path / "a.jsonl", [record]))).questions
    assert (one.options, one.answer) == (["하나", "없음"], 1)


def test_invisible_characters_neither_part_options_nor_lose_answers(tmp_path: Path) -> None:
    def options(*choices: str, answer: str) -> Any:
        record = {"id": "a", "question": "?", "choices": list(choices), "answer": answer}
        return read(Source(source="click", path=jsonl(tmp_path / "a.jsonl", [record])))

    [one] = options("사과\u200b", "배", answer="\ufeff사과").questions
    assert (one.options, one.answer) == (["사과", "배"], 0)
    assert [r.reason for r in options("사과", "사\u200b과", answer="사과").removed] == [
        "bad-options"
    ]
    assert [r.reason for r in options("사과", "\u3164", answer="사과").removed] == ["bad-options"]
    path = tmp_path / "k.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*kmmlu(1, "섬")])
        writer.writeheader()
        writer.writerow({**kmmlu(1, "섬"), "answer": "\u200b3\u3164"})
    assert read(Source(source="kmmlu", path=str(path))).questions[0].answer == 2
