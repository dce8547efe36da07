"""Every source of the registry: its published shape and what becomes of it."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from core.records import Question
from prep.sources.downloads import records
from prep.sources.exams import split_note
from prep.sources.reader import Read, collect
from prep.sources.registry import REGISTRY
from prep.sources.source import Source, read
from tests.support.paths import ROOT

FIXTURES = ROOT / "tests/fixtures/sources"


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
