"""Weights of sources: how many records are taken, which, and what becomes of the others."""

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import Chat, Message, Question, Row, ids_of_copies
from prep.guards.contamination import Scored
from prep.mix import Portion, QuestionSet, chat_portions, question_portions, times
from prep.render import Renderer, load_prompt

WEIGHTS = st.integers(0, 400).map(lambda hundredths: hundredths / 100)
RENDERER = Renderer(load_prompt("exam"), orders="balanced")
NOTHING = Scored([], RENDERER)


def questions(count: int, together: int = 1) -> list[Question]:
    return [
        Question(
            id=f"q-{number:03d}",
            source="made",
            split="train",
            group=f"g-{number // together}",
            passage=f"{number}쪽에 실린 글이다.",
            category="원인",
            options=["가", "나", "다"],
            answer=0,
        )
        for number in range(count)
    ]


def chats(count: int) -> list[Chat]:
    return [
        Chat(
            id=f"c-{number:03d}",
            source="talks",
            messages=[
                Message(role="user", content=f"{number}번?"),
                Message(role="assistant", content="네."),
            ],
        )
        for number in range(count)
    ]


@given(st.integers(0, 80), WEIGHTS)
def test_ungrouped_records_are_taken_exactly(count: int, weight: float) -> None:
    counts = times(chats(count), weight, 1)
    every, part = divmod(Fraction(str(weight)), 1)
    # nearest, and of two equally near the smaller
    extra = -((-part * count + Fraction(1, 2)) // 1)
    assert sum(counts) == every * count + extra
    assert set(counts) <= {every, every + 1}


@given(st.integers(1, 60), st.integers(1, 6), WEIGHTS)
def test_no_group_is_split_and_the_share_is_missed_by_half_a_group_at_most(
    count: int, together: int, weight: float
) -> None:
    asked = questions(count, together)
    counts = times(asked, weight, 1)
    taken = {(one.group, n) for one, n in zip(asked, counts, strict=True)}
    assert len(taken) == len({one.group for one in asked})
    assert abs(sum(counts) - Fraction(str(weight)) * count) <= Fraction(together, 2)


@given(st.integers(1, 60), WEIGHTS, WEIGHTS, st.randoms())
def test_a_smaller_weight_takes_a_part_of_a_larger_wherever_records_stand(
    count: int, one: float, other: float, random: object
) -> None:
    asked = questions(count, 2)
    small, large = (times(asked, weight, 1) for weight in sorted((one, other)))
    assert all(a <= b for a, b in zip(small, large, strict=True))
    by_id = {q.id: n for q, n in zip(asked, small, strict=True)}
    random.shuffle(asked)
    again = times(asked, min(one, other), 1)
    assert by_id == {q.id: n for q, n in zip(asked, again, strict=True)}


def test_the_seed_draws_others() -> None:
    assert times(chats(40), 0.5, 1) != times(chats(40), 0.5, 2)
    with pytest.raises(ValueError, match="weight -1"):
        times([], -1, 1)


def portion_of(asked: list[Question], renderer: Renderer = RENDERER, **more: Any) -> Portion:
    weight, fits = more.get("weight", 1.0), more.get("fits")
    [portion] = question_portions([QuestionSet("made", asked, renderer, weight)], NOTHING, fits)
    return portion


def test_rows_of_repeats_and_orders_are_named_after_the_record() -> None:
    assert ids_of_copies("c-000", 3) == ["c-000", "c-000~2", "c-000~3"]
    assert ids_of_copies("c-000", 0) == []
    [row, *_] = portion_of(questions(2), Renderer(load_prompt("exam"), orders="all")).rows
    assert (row.id, row.record) == ("q-000~ABC", "q-000")


@pytest.mark.parametrize("orders", ["published", "balanced", "cyclic"])
@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_published_ids_that_look_like_repeats_or_orders_are_left_alone(
    orders: str, weight: float
) -> None:
    own = ["a", "a~2", "a~2~2", "a~ABC", "a~2~BCA", "~", "~A", "한~글 3"]
    asked = [
        one.model_copy(update={"id": id_, "group": id_})
        for one, id_ in zip(questions(len(own)), own, strict=True)
    ]
    renderer = Renderer(load_prompt("exam"), orders=orders)
    lost = portion_of(asked, renderer, weight=weight, fits=lambda row: row.record != "a~2")
    assert [(one.id, one.reason) for one in lost.removed] == [("a~2", "too-long")]
    assert {row.record for row in lost.rows} == {*own} - {"a~2"}
    each = len(lost.rows) // (len(own) - 1)
    assert Counter(row.record for row in lost.rows) == dict.fromkeys({*own} - {"a~2"}, each)


def test_a_portion_tells_of_records_left_out_and_repeats_rows() -> None:
    portion = portion_of(questions(9, 3), weight=0.7)
    assert (portion.read, portion.kept, len(portion.rows)) == (9, 6, 6)
    assert portion.counts()["removed"] == {"not-sampled": 3}
    twice = portion_of(questions(9), weight=2.0)
    assert (twice.kept, len({row.id for row in twice.rows})) == (9, 18)
    letters = [row.answer for row in twice.rows]
    assert {letter: letters.count(letter) for letter in "ABC"} == {"A": 6, "B": 6, "C": 6}

    (half, none), _ = chat_portions(
        [("talks", chats(10), []), ("more", [], [])], NOTHING, RENDERER, {"talks": 0.5}
    )
    assert (half.kept, half.counts()["removed"]) == (5, {"not-sampled": 5})
    assert (none.read, none.rows) == (0, [])
    [more], _ = chat_portions([("talks", chats(2), [])], NOTHING, RENDERER, {"talks": 3.0})
    assert [row.id for row in more.rows][:3] == ["c-000", "c-000~2", "c-000~3"]
    assert {row.group for row in more.rows} == {"c-000", "c-001"}


def test_what_is_too_long_is_removed_with_all_its_rows_and_letters_stay_balanced() -> None:
    asked = questions(30)

    def fits(row: Row) -> bool:
        return row.id[:5] not in ("q-003", "q-007", "q-011") or row.order == [2, 1, 0]

    portion = portion_of(asked, fits=fits)
    gone = {one.id for one in portion.removed if one.reason == "too-long"}
    assert gone <= {"q-003", "q-007", "q-011"}
    assert portion.kept + len(gone) == 30
    assert all(fits(row) for row in portion.rows)
    letters = [row.answer for row in portion.rows]
    assert max(map(letters.count, "ABC")) - min(map(letters.count, "ABC")) <= 1

    cyclic = Renderer(load_prompt("exam"), orders="cyclic")
    portion = portion_of(asked, cyclic, fits=lambda row: row.id != "q-004~BCA")
    assert [(one.id, one.reason) for one in portion.removed] == [("q-004", "too-long")]
    assert len(portion.rows) == 29 * 3

    [talks], _ = chat_portions(
        [("talks", chats(6), [])], NOTHING, RENDERER, fits=lambda row: row.id != "c-002"
    )
    assert [(one.id, one.reason) for one in talks.removed] == [("c-002", "too-long")]
