"""Signatures, the banded join against brute force, and what is removed from a mix."""

import random
import unicodedata

import numpy as np
import pytest

from prep.dedup import Signed, copies, kept_characters, near_any, near_copies, near_pairs, signature
from prep.mix import Scored, chat_portions, question_portion
from prep.records import Chat, Message, Question, Removed, Turn
from prep.render import Renderer, load_prompt

RENDERER = Renderer(load_prompt("reference"))


def prose(seed: int, syllables: int = 1500) -> str:
    """Random Hangul in sentences: long enough for Simhash to see that a small edit is small."""
    rng = random.Random(seed)
    words = [
        "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(3)) for _ in range(syllables // 3)
    ]
    return " ".join(words) + "."


LONG, OTHER = prose(1), prose(2)
NEAR = LONG[:800] + "말" + LONG[801:]


def distance(left: str, right: str) -> int:
    return (signature(left) ^ signature(right)).bit_count()


def test_the_fixtures_are_near_and_far() -> None:
    assert 0 < distance(LONG, NEAR) <= 3
    assert distance(LONG, OTHER) > 10


def test_a_signature_is_blind_to_spaces_marks_case_and_composition() -> None:
    assert kept_characters(" Ab,  다_라! \n") == "ab다라"
    loose = unicodedata.normalize("NFD", LONG.replace(" ", "  ").replace(".", "!?"))
    assert signature(loose) == signature(LONG)


def test_a_gram_that_repeats_without_end() -> None:
    assert signature("ㅋ" * 5000) == signature("ㅋ" * 300) is not None


@pytest.mark.parametrize("text", ["", "?!…", "🙂🙂🙂🙂", "네, 네", "아아"])
def test_texts_too_short_to_compare(text: str) -> None:
    assert signature(text) is None
    assert near_copies([text, f" {text}", "네!!"], 7) == {}


def test_many_texts_are_signed_alike_on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [prose(seed, 30 * seed) for seed in range(20)] + ["네", LONG, NEAR]
    alone = Signed.of(texts, "alone")
    monkeypatch.setattr("prep.dedup.MANY", 1)
    together = Signed.of(texts, "together")
    assert alone.values.tolist() == together.values.tolist()
    assert alone.places.tolist() == together.places.tolist() == [*range(1, 20), 21, 22]


def test_short_texts_still_equal_themselves() -> None:
    assert near_any(["네", "네.", "응"], ["음", "네"], 3) == {0: 1}
    assert copies(["네", "응", "네", "네"]) == {2: 0, 3: 0}


@pytest.mark.parametrize("bits", range(8))
def test_the_join_finds_what_brute_force_finds(bits: int) -> None:
    rng = random.Random(bits)
    base = [rng.getrandbits(64) for _ in range(60)]
    flipped = [
        value ^ sum(1 << bit for bit in rng.sample(range(64), rng.randrange(10)))
        for value in base
        for _ in range(3)
    ]
    left, right = base + flipped[::2], flipped
    wanted = {
        (i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if (a ^ b).bit_count() <= bits
    }
    found = {
        pair
        for rows, columns in near_pairs(
            np.array(left, dtype=np.uint64), np.array(right, dtype=np.uint64), bits
        )
        for pair in zip(rows.tolist(), columns.tolist(), strict=True)
    }
    assert found == wanted
    assert len(wanted) > 60


def test_the_join_in_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prep.dedup.CHUNK", 5)
    signs = np.array([1, 2, 3, 4, 1 << 40], dtype=np.uint64)
    found = {
        pair
        for rows, columns in near_pairs(signs, signs, 2)
        for pair in zip(rows.tolist(), columns.tolist(), strict=True)
    }
    apart = {(2, 3), (3, 2), (2, 4), (4, 2)}  # 3 differs from 4 and from 2**40 in three bits
    assert found == {(i, j) for i in range(5) for j in range(5)} - apart


def test_an_earlier_kept_text_removes_its_neighbours() -> None:
    assert near_copies([LONG, OTHER, NEAR, LONG + "!"], 3) == {2: 0, 3: 0}
    assert near_copies([NEAR, LONG], 0) == {}


def test_a_removed_text_removes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0 - 1 - 2 is a chain: 1 goes because of 0, and 2, which is near to 1 alone, stays
    signs = {"a": 0b0000, "b": 0b0011, "c": 0b1111, "d": 0b0011}
    monkeypatch.setattr("prep.dedup.signature", signs.get)
    assert near_copies(["a", "b", "c", "d"], 2) == {1: 0, 3: 0}


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


NOTHING = Scored([], RENDERER, 3)


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
        first, second = chat_portions([("one", one, []), ("two", two, [])], NOTHING, RENDERER)
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
    [portion] = chat_portions([("one", chats, [])], NOTHING, RENDERER)
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
    [portion] = chat_portions([("one", chats, [])], Scored([scored], RENDERER, 3), RENDERER)
    assert sorted(reasons(portion.removed)) == [(k, "near-scored", "t") for k in "abcd"]
    assert [row.id for row in portion.rows] == ["e"]


def test_questions_near_a_scored_dialogue_go() -> None:
    scored = Scored([question("t", "test", [LONG]), question("d", "dev", [OTHER])], RENDERER, 3)
    asked = [
        question("a", "train", [NEAR], options=["라", "마"], category="반응"),
        question("b", "train", [OTHER + " 그렇지요."], group="d"),
        question("c", "train", ["전혀 다른 이야기를 하고 있습니다."]),
        question("e", "train", ["이름만 같은 대화입니다."], group="t"),
    ]
    portion = question_portion(asked, scored, RENDERER)
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
        question("e", "train", texts, options=["나", "가", "다"]),
        question("f", "train", texts, answer=None),
    ]
    portion = question_portion(asked, NOTHING, RENDERER)
    assert reasons(portion.removed) == [("f", "no-answer", None), ("b", "exact-duplicate", "a")]
    assert [row.id for row in portion.rows] == ["a", "c", "d", "e"]
    assert portion.counts() == {
        "read": 6,
        "removed": {"exact-duplicate": 1, "no-answer": 1},
        "kept": 4,
        "rows": 4,
    }
