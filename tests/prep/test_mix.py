"""What is removed from a mix, and what is reported of it."""

import random

from core.records import Chat, Message, Question, Removed, Turn
from prep.mix import Portion, QuestionSet, Scored, chat_portions, question_portions
from prep.render import Renderer, load_prompt
from tests.support.texts import LONG, NEAR, OTHER, prose

RENDERER = Renderer(load_prompt("reference"))


def chat(number: str, asked: str, answer: str = "네.", source: str = "one") -> Chat:
    messages = [Message(role="user", content=asked), Message(role="assistant", content=answer)]
    return Chat(id=number, source=source, messages=messages)


def question(number: str, split: str, texts: list[str], **fields: object) -> Question:
    record = {
        "id": number,
        "source": "cci-2024",
        "split": split,
        "group": number,
        "turns": [Turn(speaker="화자1", text=t, id=f"{number}.{k}") for k, t in enumerate(texts)],
        "focus": [f"{number}.0"],
        "category": "원인",
        "options": ["가", "나", "다"],
        "answer": 0,
    }
    return Question(**{**record, **fields})


def portions(scored: Scored, *sets: list[Question]) -> list[Portion]:
    """Of sets that are called by the source of their first question, in this order."""
    return question_portions([QuestionSet(s[0].source, s, RENDERER) for s in sets], scored)


NOTHING = Scored([], RENDERER)


def reasons(removed: list[Removed]) -> list[tuple[str, str, str | None]]:
    return [(record.id, record.reason, record.near) for record in removed]


def test_chats_lose_duplicates_within_and_across_sets_whatever_their_order() -> None:
    one = [
        chat("a", OTHER),
        chat("b", NEAR),
        chat("c", LONG + " 꼭."),
        chat("d", "네"),
        chat("e", "응"),
    ]
    two = [chat("f", "네", source="two"), chat("g", LONG + "?", source="two")]
    for seed in range(5):
        rng = random.Random(seed)
        rng.shuffle(one)
        rng.shuffle(two)
        (first, second), _ = chat_portions([("one", one, []), ("two", two, [])], NOTHING, RENDERER)
        assert reasons(first.removed) == [("b", "near-duplicate", "c")]
        assert reasons(second.removed) == [
            ("f", "exact-duplicate", "d"),
            ("g", "near-duplicate", "c"),
        ]
        assert [row.id for row in first.rows] == [c.id for c in one if c.id != "b"]
        assert (first.read, first.kept, second.read, second.kept) == (5, 4, 2, 0)


def test_short_chats_are_only_ever_exact_duplicates() -> None:
    chats = [
        chat("a", "네", "?"),
        chat("b", "네", "!"),
        chat("c", "🙂", "🙂"),
        chat("d", "네", "?"),
    ]
    [portion], _ = chat_portions([("one", chats, [])], NOTHING, RENDERER)
    assert reasons(portion.removed) == [("d", "exact-duplicate", "a")]


def test_chats_near_a_scored_dialogue_or_prompt_go() -> None:
    scored = question("t", "test", [LONG, OTHER], answer=None)
    prompt = RENDERER.prompt.texts(scored, range(3))[1]
    dialogue = f"화자1: {NEAR}\n화자1: {OTHER}"
    later = [("user", "안녕?"), ("assistant", "네."), ("user", dialogue), ("assistant", "네.")]
    chats = [
        chat("a", prompt.replace("가\n", "거\n")),
        chat("b", dialogue.lower()),
        Chat(id="c", source="one", messages=[Message(role=r, content=t) for r, t in later]),
        chat("d", "이어 주세요.", dialogue),
        chat("e", prose(3)),
    ]
    [portion], _ = chat_portions([("one", chats, [])], Scored([scored], RENDERER), RENDERER)
    assert sorted(reasons(portion.removed)) == [(k, "near-scored", "t") for k in "abcd"]
    assert [row.id for row in portion.rows] == ["e"]


def test_questions_near_a_scored_dialogue_go() -> None:
    scored = Scored([question("t", "test", [LONG]), question("d", "dev", [OTHER])], RENDERER)
    asked = [
        question("a", "train", [NEAR], options=["라", "마"], category="반응"),
        question("b", "train", [OTHER + " 그렇지요."], group="d"),
        question("c", "train", ["전혀 다른 이야기를 하고 있습니다."]),
        question("e", "train", ["이름만 같은 대화입니다."], group="t"),
    ]
    [portion] = portions(scored, asked)
    assert reasons(portion.removed) == [
        ("a", "near-scored", "t"),
        ("b", "near-scored", "d"),
        ("e", "near-scored", "t"),
    ]
    assert [row.id for row in portion.rows] == ["c"]


def test_questions_on_one_dialogue_stay_and_copies_go() -> None:
    texts = [LONG, OTHER]
    asked = [
        question("b", "train", texts),
        question("a", "train", texts),
        question("c", "train", texts, category="반응"),
        question("d", "train", texts, focus=["d.1"]),
        question("e", "train", texts, options=["나", "가", "다"], answer=1),
        question("f", "train", texts, answer=None),
    ]
    [portion] = portions(NOTHING, asked)
    assert reasons(portion.removed) == [("f", "no-answer", None), ("b", "exact-duplicate", "a")]
    assert [row.id for row in portion.rows] == ["a", "c", "d", "e"]
    assert portion.counts() == {
        "read": 6,
        "removed": {"exact-duplicate": 1, "no-answer": 1},
        "kept": 4,
        "rows": 4,
    }
