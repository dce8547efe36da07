"""What gives a scored question away, and what only looks as if it did."""

import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import Chat, Message, Question, Turn
from prep.guards.contamination import RUN, Contact, Quotes, Scored, context, item
from prep.render import Renderer, load_prompt
from tests.support.texts import prose

RENDERER = Renderer(load_prompt("reference"))
EXAM = Renderer(load_prompt("exam"))
SAID = [
    "지난 주말에 산에서 내려오다가 발목을 접질렸어요.",
    "어쩌다가요? 길이 많이 미끄러웠나 봐요.",
    "비가 온 줄 모르고 낡은 운동화를 신고 갔거든요.",
    "병원에는 다녀왔고요? 요즘 진료 예약이 어렵다던데.",
    "네, 다행히 뼈는 괜찮고 두 주 동안 쉬라고 하네요.",
]
OPTIONS = [
    "화자1이 미끄러운 산길을 걸어 내려왔다.",
    "화자2가 새 운동화를 선물로 받았다.",
    "화자1이 병원에서 일하게 되었다.",
]


def question(number: str, texts: list[str], **fields: Any) -> Question:
    record = {
        "id": number,
        "source": "made",
        "split": "train",
        "group": number,
        "turns": [
            Turn(speaker=f"화자{1 + k % 2}", text=text, id=f"u{k}") for k, text in enumerate(texts)
        ],
        "focus": [],
        "category": "원인",
        "options": [f"{number}에 대한 첫째 답이다.", f"{number}에 대한 둘째 답이다."],
        "answer": 0,
    }
    return Question(**{**record, **fields})


def passage(number: str, text: str, **fields: Any) -> Question:
    return question(number, [], passage=text, **fields)


def chat(number: str, asked: str, answer: str = "네.") -> Chat:
    messages = [Message(role="user", content=asked), Message(role="assistant", content=answer)]
    return Chat(id=number, source="talks", messages=messages)


TEST = question("made-test-0007", SAID, options=OPTIONS, split="test", answer=None)
SCORED = Scored([TEST], RENDERER)
NEAR = Contact("near-scored", "made-test-0007")
HOLDS = Contact("holds-scored-id", "made-test-0007")


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (question("a", SAID), NEAR),
        (question("b", [prose(1, 120)], group="made-test-0007"), NEAR),
        (question("c", [prose(2, 120)], options=OPTIONS[::-1]), NEAR),
        (question("d", [prose(3, 120)], options=[f" {text} " for text in OPTIONS]), NEAR),
        (question("e", [*[prose(n, 27) for n in range(4)], *SAID[1:4]]), NEAR),  # a longer window
        (passage("f", f"{prose(4, 270)} {' '.join(SAID)} {prose(5, 270)}"), NEAR),
        (chat("g", "\n".join(SAID)), NEAR),
        (chat("h", "요약하세요.\n" + "\n".join(f"A: {text}" for text in SAID)), NEAR),
        (chat("i", "화자1: " + " 화자2: ".join(SAID) + " 이 대화의 원인은?"), NEAR),
        (chat("j", "대화를 지어 주세요.", "\n".join(f"갑: {text}" for text in SAID)), NEAR),
        (chat("k", "made-test-0007의 정답은?"), HOLDS),
        (passage("l", f"{prose(7, 120)} (made-test-0007)"), HOLDS),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_found(record: Question | Chat, verdict: Contact) -> None:
    assert SCORED.contacts([record]) == {0: verdict}


@pytest.mark.parametrize(
    "record",
    [
        question("a", [prose(1, 120)]),
        question("b", [prose(1, 120), SAID[0]]),  # one sentence in common
        question("c", [prose(1, 120)], options=[*OPTIONS[:2], "화자1이 병원을 옮기게 되었다."]),
        chat("d", f"{SAID[1]} 라는 말을 높여 보세요."),
        chat("e", "\n".join(OPTIONS[:2])),
        chat("made-test-0007", "무엇을 할까요?"),  # sets count from 1, each of them
        chat("talks/made-test-0007", "무엇을 할까요?"),
        question("made-test-0007", [prose(6, 120)], source="copy", group="x"),
        chat("f", "made-test-00071과 xmade-test-0007은 다른 이름이다."),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_not_found(record: Question | Chat) -> None:
    assert SCORED.contacts([record]) == {}


STOCK = "이에 대한 설명으로 옳은 것만을 <보기>에서 있는 대로 고른 것은?"


@pytest.mark.parametrize(
    ("ask", "options"),
    [
        (STOCK, ["ㄱ", "ㄴ", "ㄱ, ㄷ", "ㄴ, ㄷ", "ㄱ, ㄴ, ㄷ"]),
        ("앞의 글에 따르면 다음 말은 맞는가?", ["예", "아니요"]),
        ("이 일은 언제 일어났는가?", ["1392년", "1418년", "1443년", "1446년", "1450년"]),
        ("다음 값은?", ["12,400원", "13,400원", "14,400원", "15,400원"]),
    ],
)
def test_what_many_questions_share_gives_nothing_away(ask: str, options: list[str]) -> None:
    fields = {"question": ask, "options": options, "group": "g"}
    scored = passage("exam-test-0001", prose(1, 180), **fields)
    mine = [passage("x", prose(2, 180), **{**fields, "group": "h"})]
    assert Scored([scored], EXAM).contacts(mine) == {}


def test_short_contexts_count_with_their_question() -> None:
    ask = {"question": "다음 중 우리나라에서 가장 긴 강은?", "options": list(OPTIONS)}
    scored = Scored([passage("exam-test-0001", "", **ask)], EXAM)
    short = "다음을 보고 답하시오."
    other = {"question": "가장 높은 산은?", "options": ["한라산", "백두산", "지리산", "설악산"]}
    mine = [
        passage("a", "", **other),
        passage("b", "", **ask),
        passage("c", short, **ask),
        passage("d", "", **{**ask, "question": "다음 중 우리나라에서 가장 짧은 강은?"}),
    ]
    assert set(scored.contacts(mine)) == {1}
    assert context(mine[2]) == ""
    assert item(mine[2]).startswith(short)


def test_long_questions_may_be_near_and_short_ones_only_equal() -> None:
    long = [prose(n, 360) for n in range(3)]
    scored = passage("exam-test-0001", "", question="옳은 것은?", options=long)
    edited = [long[0], long[1] + " 꼭", long[2]]
    mine = [passage("a", "", question="옳은 것은?", options=edited, group="h")]
    assert set(Scored([scored], EXAM).contacts(mine)) == {0}


def test_ids_that_could_be_words_are_not_looked_for() -> None:
    scored = [question("12", SAID), question("question", [prose(1, 120)])]
    found = Scored(scored, RENDERER).contacts([chat("a", "12번 question입니다."), chat("12", "?")])
    assert found == {}


def test_the_first_scored_id_is_named_whatever_their_order() -> None:
    twins = [question(f"made-test-{n:04d}", SAID, group=f"g{n}") for n in range(4)]
    for seed in range(5):
        random.Random(seed).shuffle(twins)
        [found] = Scored(twins, RENDERER).contacts([question("a", SAID)]).values()
        assert found.scored == "made-test-0000"


def test_no_scored_questions_find_nothing() -> None:
    nothing = Scored([], RENDERER)
    assert nothing.contacts([question("a", SAID)]) == nothing.contacts([chat("b", "?")]) == {}


SYLLABLES = st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xAC40), max_size=150)


@given(SYLLABLES, st.lists(SYLLABLES, max_size=4), st.integers(0, 90), st.integers(30, 70))
def test_quotes_are_exactly_the_runs_in_common(
    known: str, around: list[str], start: int, length: int
) -> None:
    quotes = Quotes()
    quotes.add("가" * 60, "other")
    quotes.add(known, "known")
    text = known[start : start + length].join(around)
    runs = {text[k : k + RUN] for k in range(len(text) - RUN + 1)}
    wanted = any(run in known or run == "가" * RUN for run in runs)
    assert (quotes.find(text) is not None) == wanted


def test_quotes_of_odd_texts_take_no_time() -> None:
    quotes = Quotes()
    quotes.add(prose(1, 300), "known")
    began = time.perf_counter()
    for text in ("", "\n" * 300_000, "!:" * 300_000, "ㅋ" * 300_000, "가:\n" * 100_000, "가" * 20):
        assert quotes.find(text) is None
    assert time.perf_counter() - began < 10
