"""Every source of the registry: its published shape, its records, and its mistakes."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from prep.errors import UserError
from prep.records import Question
from prep.sources.exam import split_note
from prep.sources.files import records
from prep.sources.reader import Read, collect
from prep.sources.registry import REGISTRY
from prep.sources.source import Source, read

FIXTURES = Path(__file__).parent / "fixtures/sources"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fixture(name: str) -> Path:
    [path] = [path for path in FIXTURES.iterdir() if path.stem == name]
    return path


def of(name: str, path: Path | None = None, **fields: Any) -> Read:
    return read(Source(source=name, name="made", path=str(path or fixture(name)), **fields))


def shown(question: Question) -> tuple[Any, ...]:
    return (
        question.category,
        question.passage,
        question.question,
        question.note,
        question.options,
        question.answer,
    )


@pytest.mark.parametrize("name", REGISTRY)
def test_every_source_reads_its_fixture_and_loses_nothing(name: str) -> None:
    got = of(name)
    assert got.records == len(got.questions) + len(got.chats) + len(got.removed) > 0
    assert bool(got.questions) == (REGISTRY[name].kind == "questions")
    assert bool(got.chats) == (REGISTRY[name].kind == "chats")
    assert {value.source for value in got.questions + got.chats + got.removed} == {"made"}
    assert got == of(name)


@pytest.mark.parametrize("name", REGISTRY)
def test_the_columns_named_are_all_that_is_read(name: str) -> None:
    entry = REGISTRY[name]
    found = [
        (number, where, {field: record[field] for field in entry.fields if field in record})
        for number, where, record in records(fixture(name))
    ]
    assert collect(entry.reader, found, "made") == of(name)
    assert {field for *_, record in found for field in record} >= set(entry.fields) - {"id"} - (
        {"uuid", "conversations"} if name == "messages" else set()
    )


def test_only_the_corpus_of_2024_is_allowed_on_the_track_without_external_data() -> None:
    assert [name for name, entry in REGISTRY.items() if "ga" in entry.tracks] == ["cci-2024"]
    assert all("na" in entry.tracks for entry in REGISTRY.values())
    assert REGISTRY["hae-rae"].non_commercial
    assert REGISTRY["magpie-gemma2-pro-ko"].licence is None
    assert REGISTRY["cci-2024"].published == date(2024, 7, 1)


@pytest.mark.parametrize("year", [2023, 2024])
def test_cci(year: int) -> None:
    [question] = of(f"cci-{year}").questions
    assert (question.group, question.focus) == ("MADE0001.1", ["MADE0001.1.2"])
    assert [turn.speaker for turn in question.turns] == ["화자1", "화자2"]
    assert (question.category, question.answer) == ("후행사건", 0)


def test_proofreading() -> None:
    first, second = of("proofreading").chats
    task = "다음 글에서 틀린 곳을 바르게 고쳐 쓰세요."
    assert [message.content for message in first.messages] == [
        f"{task}\n\n어제는 날씨가 조았다.",
        "어제는 날씨가 좋았다.\n\n'좋다'의 활용이므로 '좋았다'로 적는다.",
    ]
    assert second.messages[1].content == "금세 다녀올게."


def test_magpie() -> None:
    [chat] = of("magpie-gemma2-pro-ko").chats
    assert chat.id == "00000000-0000-4000-8000-000000000001"
    assert [message.role for message in chat.messages] == ["user", "assistant"]


def test_klue_mrc_is_read_as_chats_and_the_impossible_has_no_answer() -> None:
    got = of("klue-mrc")
    [chat] = got.chats
    assert [message.content for message in chat.messages] == [
        "새 도서관이 시월에 문을 열었다. 책은 삼만 권이다.\n\n질문: 책은 몇 권인가?",
        "삼만 권",
    ]
    assert [(r.id, r.reason) for r in got.removed] == [("made-mrc-2", "no-answer")]


def test_exam() -> None:
    got = of("exam")
    plain, noted, split = got.questions
    assert shown(plain) == (
        "수능형",
        "섬마을에 다리가 놓이자 뱃길이 끊겼다.\n사람들은 처음에는 기뻐했다.",
        "윗글의 내용과 일치하는 것은?",
        None,
        ["다리가 무너졌다.", "뱃길이 끊겼다.", "섬이 커졌다.", "배가 늘었다."],
        1,
    )
    assert noted.note == "ㄱ. 배가 늘었다. ㄴ. 뱃길이 끊겼다. ㄷ. 다리가 놓였다."
    assert (len(noted.options), noted.answer) == (5, 4)
    assert plain.group == noted.group != split.group
    # the third has no published answer, "nan" as its 보기, and the real one in the paragraph
    assert split.answer is None
    assert split.passage == "장터는 닷새마다 열렸다. 소금 장수가 '제일 먼저' 왔다."
    assert split.note == "ㄱ. 장터는 날마다 열렸다.\nㄴ. 소금 장수가 왔다."
    [change] = got.changed
    assert (change.id, change.field, change.reason) == (split.id, "paragraph", "note-split")
    assert change.before == f"{split.passage}\n<보 기>\n{split.note}"
    assert change.after == split.passage


@pytest.mark.parametrize(
    ("paragraph", "parts"),
    [
        ("글이다.\n<보기>\nㄱ. 하나", ("글이다.", "ㄱ. 하나")),
        ("글이다. [보기]: ㄱ. 하나", ("글이다.", "ㄱ. 하나")),
        ("글이다.\n〈 보  기 〉\nㄱ. 하나", ("글이다.", "ㄱ. 하나")),
        ("<보기>의 ㄱ은 글이다.", None),
        ("위의 <보기>에서 고른다.", None),
        ("글이다.\n<보기>\n", None),
        ("<보기>\nㄱ. 하나", None),
        ("글이다.\n<보기> 하나\n<보기> 둘", None),
        ("보기 좋은 떡이다.", None),
    ],
)
def test_a_note_is_split_off_only_where_it_stands_alone(
    paragraph: str, parts: tuple[str, str] | None
) -> None:
    assert split_note(paragraph) == parts


def test_questions_without_a_passage() -> None:
    got = of("kmmlu")
    [question] = got.questions
    assert shown(question) == (
        "Made-Up Weather",
        "",
        "다음 중 바람의 세기를 재는 도구는?",
        None,
        ["온도계", "습도계", "풍속계", "저울"],
        2,
    )
    assert [(r.id, r.reason) for r in got.removed] == [("made-000003", "bad-options")]
    [question] = of("mmmlu-ko").questions
    assert (question.category, question.answer) == ("made_up_physics", 0)


def test_click() -> None:
    got = of("click")
    assert [(q.id, q.category, q.answer, len(q.options)) for q in got.questions] == [
        ("MADE_economy_7", "MADE_economy", 0, 4),
        ("MADE_korean_22_3", "MADE_korean", 0, 5),
    ]
    assert [(r.id, r.reason) for r in got.removed] == [("MADE_korean_22_4", "no-answer")]


def test_hae_rae_in_both_forms() -> None:
    options = ["세상", "구름", "바다", "나무", "돌"]
    [new] = of("hae-rae").questions
    asked = "다음 낱말의 뜻으로 알맞은 것을 고르세요.\n### 낱말: 누리"
    assert shown(new) == ("HAE-RAE Bench", "", asked, None, options, 0)
    [old] = of("hae-rae", FIXTURES / "hae-rae-1.0.csv", subset="loan_words").questions
    assert shown(old) == ("loan_words", "", "'누리'의 뜻은?", None, options, 0)


def test_kobest() -> None:
    assert [(q.category, len(q.options), q.answer) for q in of("kobest").questions] == [
        ("BoolQ", 2, 1),
        ("COPA", 2, 0),
        ("WiC", 2, 0),
        ("HellaSwag", 4, 2),
        ("SentiNeg", 2, 0),
    ]


CELL = {"question": "질문?", "choices": ["하나", "둘", "셋", "넷"], "answer": 1}
CHOICES = ["하나", "둘", "셋", "넷", "다섯", "여섯"]
LETTERS = {"A": "하나", "B": "둘", "C": "셋", "D": "넷"}
KMMLU = {"question": "질문?", "answer": 1, "Category": "과목", **LETTERS}
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a call": ("exam", {"problems": "__import__('os').getcwd()"}, "field problems: no Python lit"),
    "an unclosed brace": ("exam", {"problems": "{'question': "}, "field problems: no Python lit"),
    "nested": ("exam", {"problems": "[" * 5000 + "]" * 5000}, "field problems: no Python literal"),
    "huge": ("exam", {"problems": "'" + "가" * 300_000 + "'"}, "300002 characters, more than"),
    "choices as text": (
        "exam",
        {"problems": str({**CELL, "choices": str(CHOICES)})},
        "field problems: field choices: Input should be a valid list",
    ),
    "no question": ("exam", {"problems": "{'choices': [], 'answer': 1}"}, "problems: field questi"),
    "a letter": ("kmmlu", {**KMMLU, "answer": "C"}, "line 1: field answer: Input should be"),
    "no option": ("kmmlu", {"question": "질문?", "answer": 1}, "line 1: field A: Field required"),
    "no list": (
        "click",
        {"question": "?", "choices": "가", "answer": "가"},
        "field choices: Input",
    ),
    "no flag": ("klue-mrc", {"context": "글", "question": "?"}, "field is_impossible: Field requ"),
    "no task": ("kobest", {"text": "글"}, "line 1: columns of no task of KoBEST"),
    "no label": ("kobest", {"sentence": "글"}, "line 1: field label: Field required"),
    "no cause": (
        "kobest",
        {"premise": "글", "question": "왜", "alternative_1": "1", "alternative_2": "2", "label": 0},
        "field question: neither 원인 nor 결과",
    ),
    "no pair": ("proofreading", {"original": "글"}, "line 1: field revised: Field required"),
    "a bad list": ("hae-rae", {"query": "?", "options": "[1", "answer": "A"}, "field options: no"),
    "numbers": ("hae-rae", {"query": "?", "options": "[1, 2]", "answer": "A"}, "field options.0: "),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_name_file_line_and_field(tmp_path: Path, mistake: str) -> None:
    name, record, sentence = WRONG[mistake]
    path = tmp_path / "made.jsonl"
    whole = {"paragraph": "글", **record} if name == "exam" else record
    path.write_text(json.dumps(whole, ensure_ascii=False) + "\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        of(name, path)
    assert str(caught.value).startswith(f"{path}, line 1")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


LEFT_OUT: dict[str, tuple[str, dict[str, Any], str]] = {
    "six options": (
        "click",
        {"question": "?", "choices": CHOICES, "answer": "하나"},
        "bad-options",
    ),
    "one option": ("click", {"question": "?", "choices": ["가"], "answer": "가"}, "bad-options"),
    "an empty option": ("kmmlu", {**KMMLU, "B": " "}, "bad-options"),
    "the fifth of four": ("kmmlu", {**KMMLU, "answer": 5}, "no-answer"),
    "the zeroth": ("kmmlu", {**KMMLU, "answer": 0}, "no-answer"),
    "no question": ("kmmlu", {**KMMLU, "question": ""}, "empty"),
    "no text": ("proofreading", {"original": " ", "revised": "글"}, "empty"),
    "no correction": ("proofreading", {"original": "글", "revised": "", "comment": "왜"}, "empty"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_records_that_no_training_can_use_are_removed_with_a_reason(
    tmp_path: Path, case: str
) -> None:
    name, record, reason = LEFT_OUT[case]
    path = tmp_path / "made.jsonl"
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    got = of(name, path)
    assert [(r.id, r.reason, r.split) for r in got.removed] == [("made-000001", reason, "train")]
    assert got.questions == got.chats == []


def test_two_records_of_one_id(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    path.write_text('{"id": "a", "original": "가", "revised": "나"}\n' * 2, encoding="utf-8")
    with pytest.raises(UserError, match=r"made\.jsonl, line 2: field id: a is there twice"):
        of("proofreading", path)


def test_an_empty_set(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match="made: its file holds no records"):
        of("alpaca", path)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown source": ({"source": "kmlu", "path": "x"}, "no source 'kmlu'; choose one of cci"),
    "no place": ({"source": "kmmlu"}, "kmmlu needs either a path or a hub name"),
    "two places": (
        {"source": "kmmlu", "path": "x", "hub": "HAERAE-HUB/KMMLU"},
        "kmmlu needs either a path or a hub name",
    ),
    "no name": ({"source": "messages", "path": "x"}, "source messages needs a name"),
    "a corpus with a name alone": ({"source": "cci-2024", "name": "x"}, "from `corpus`, or a name"),
    "a branch": (
        {"source": "kobest", "hub": "skt/kobest_v1", "revision": "main"},
        "revision main is no full commit hash",
    ),
    "a short hash": (
        {"source": "kobest", "hub": "skt/kobest_v1", "revision": COMMIT[:7]},
        "is no full commit hash",
    ),
    "no revision": ({"source": "kobest", "hub": "skt/kobest_v1"}, "its revision come together"),
    "a revision of a file": (
        {"source": "kobest", "path": "x.json", "revision": COMMIT},
        "revision and split are those of a hub set",
    ),
    "a member of no zip": (
        {"source": "kobest", "path": "x.json", "member": "y"},
        "a member is part of a .zip path",
    ),
    "no weight": ({"source": "kobest", "path": "x.json", "weight": 0.0}, "greater than 0"),
    "an endless weight": ({"source": "kobest", "path": "x", "weight": float("inf")}, "finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_entry_of_a_mix_is_refused(case: str) -> None:
    fields, sentence = REFUSED[case]
    with pytest.raises(ValidationError, match=sentence):
        Source(**fields)


def test_a_known_revision_need_not_be_given() -> None:
    source = Source(source="kmmlu", hub="HAERAE-HUB/KMMLU", subset="Law", split="test")
    assert source.pinned == REGISTRY["kmmlu"].revision
    with pytest.raises(ValidationError, match="its revision come together"):
        Source(source="kmmlu", hub="someone/KMMLU-copy")
