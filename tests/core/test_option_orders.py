"""Orders of options: which there are, and under which letters the right answer stands."""

from collections import Counter
from itertools import permutations
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.option_orders import ADDS_ROWS, Order, Orders, arranged, permutation, shown
from core.records import CATEGORIES, LABELS, Question

QUESTIONS = st.lists(
    st.tuples(st.sampled_from(CATEGORIES), st.integers(2, 5), st.integers(0, 4)), max_size=60
)


def questions(drawn: list[tuple[str, int, int]]) -> list[Question]:
    return [
        Question(
            id=f"q-{number}",
            source="made",
            split="train",
            group=f"g-{number}",
            passage="글",
            category=category,
            options=list("가나다라마"[:size]),
            answer=answer % size,
        )
        for number, (category, size, answer) in enumerate(drawn)
    ]


def rows(asked: list[Question], orders: Orders, seed: int = 1) -> list[tuple[Question, Order, str]]:
    return list(arranged(asked, orders, seed))


def right(question: Question, order: Order) -> str:
    return LABELS[order.index(question.answer)]


def spread(letters: list[str], size: int) -> int:
    counts = Counter(letters)
    return max(counts[label] for label in LABELS[:size]) - min(
        counts[label] for label in LABELS[:size]
    )


@given(QUESTIONS, st.sampled_from(["published", "balanced", "cyclic", "all"]), st.integers(0, 9))
def test_every_row_shows_every_option_once_under_an_id_of_its_own(
    drawn: list[tuple[str, int, int]], orders: Orders, seed: int
) -> None:
    asked = questions(drawn)
    made = rows(asked, orders, seed)
    assert all(sorted(order) == list(range(len(one.options))) for one, order, _ in made)
    assert len({row_id for *_, row_id in made}) == len(made)
    size = {"cyclic": lambda n: n, "all": factorial}.get(orders, lambda n: 1)
    assert Counter(one.id for one, *_ in made) == {one.id: size(len(one.options)) for one in asked}
    assert [one.id for one, *_ in made] == sorted(
        (one.id for one, *_ in made), key=[q.id for q in asked].index
    )
    assert (orders in ADDS_ROWS) == (size(3) > 1)


@given(QUESTIONS, st.sampled_from(["cyclic", "all"]))
def test_cyclic_and_all_are_exactly_balanced(
    drawn: list[tuple[str, int, int]], orders: Orders
) -> None:
    for one in questions(drawn):
        size = len(one.options)
        letters = [right(one, order) for _, order, _ in rows([one], orders)]
        assert spread(letters, size) == 0


@given(QUESTIONS, st.integers(0, 9))
def test_balanced_differs_by_one_at_most_over_all_and_in_each_category(
    drawn: list[tuple[str, int, int]], seed: int
) -> None:
    made = rows(questions(drawn), "balanced", seed)
    for size in range(2, 6):
        some = [(one, order) for one, order, _ in made if len(one.options) == size]
        assert spread([right(*pair) for pair in some], size) <= 1
        for category in CATEGORIES:
            within = [right(one, order) for one, order in some if one.category == category]
            assert spread(within, size) <= 1


@given(QUESTIONS, st.randoms())
def test_an_order_does_not_depend_on_where_the_question_stands(
    drawn: list[tuple[str, int, int]], random: object
) -> None:
    asked = questions(drawn)
    first = {row_id: order for _, order, row_id in rows(asked, "balanced")}
    random.shuffle(asked)
    assert first == {row_id: order for _, order, row_id in rows(asked, "balanced")}


def test_balanced_mixes_the_wrong_options_and_heeds_the_seed() -> None:
    asked = questions([("원인", 3, 0)] * 300)
    made = rows(asked, "balanced")
    assert Counter(right(one, order) for one, order, _ in made) == {"A": 100, "B": 100, "C": 100}
    assert all(30 < count < 70 for count in Counter(order for _, order, _ in made).values())
    assert [order for _, order, _ in made] != [order for _, order, _ in rows(asked, "balanced", 2)]


def test_what_is_shown() -> None:
    [one] = questions([("원인", 3, 1)])
    assert [row_id for *_, row_id in rows([one], "published")] == ["q-0"]
    assert [row_id for *_, row_id in rows([one], "cyclic")] == ["q-0~ABC", "q-0~BCA", "q-0~CAB"]
    assert [order for _, order, _ in rows([one], "cyclic")] == [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    assert shown((1, 0, 2)) == "BAC"


def test_balancing_needs_answers() -> None:
    [one] = questions([("원인", 3, 1)])
    with pytest.raises(ValueError, match="q-0: a training row needs an answer"):
        rows([one.model_copy(update={"answer": None})], "balanced")


def test_many_options_have_orders_too() -> None:
    asked = [
        Question(
            id=f"q-{number}",
            source="made",
            split="train",
            group="g",
            passage="글",
            category="원인",
            options=[f"선택 {k}" for k in range(26)],
            answer=number % 26,
        )
        for number in range(52)
    ]
    letters = Counter(right(question, order) for question, order, _ in rows(asked, "balanced"))
    assert set(letters.values()) == {2}
    assert len(rows(asked[:1], "cyclic")) == 26
    with pytest.raises(UserError, match="use orders cyclic, which has 26"):
        rows(asked, "all")


@pytest.mark.parametrize("size", range(1, 6))
def test_a_permutation_by_number_is_that_of_itertools(size: int) -> None:
    items = [*range(10, 10 + size)]
    made = [permutation(items, number) for number in range(factorial(size))]
    assert made == [*permutations(items)]
