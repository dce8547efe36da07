"""The orders in which a question shows its options, in training and, where asked, in scoring.

| orders     | rows a question | the right answer's letter                                         |
|------------|-----------------|-------------------------------------------------------------------|
| published  | 1               | as published                                                      |
| balanced   | 1               | equally often each, over the questions with as many options (± 1) |
| cyclic     | n               | each once: the n rotations                                        |
| all        | n!              | each (n - 1)! times                                               |

`cyclic` and `all` add rows, and are augmentation; `published` and `balanced` are not.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations
from math import factorial
from typing import Literal

from core.errors import UserError
from core.records import LABELS, Question, draw, ids_of_copies

Orders = Literal["published", "balanced", "cyclic", "all"]
Order = tuple[int, ...]
ADDS_ROWS: frozenset[Orders] = frozenset({"cyclic", "all"})
MOST = 6  # options that are shown in all their orders: 720 of them


def arranged(
    questions: Sequence[Question], orders: Orders, seed: int, counts: Sequence[int] | None = None
) -> Iterator[tuple[Question, Order, str]]:
    """(question, order, row id) for every row, in the order of the questions.

    `order[k]` is the published index of the option shown as the k-th letter. `counts` says how
    often each question is taken, once where it is not given. What a question is shown in depends on
    the seed, its source and id, and for `balanced` on which other questions there are, but never on
    where they stand. `balanced` raises ValueError for a question without an answer.
    """
    taken = [
        (question, name)
        for question, count in zip(questions, counts or [1] * len(questions), strict=True)
        for name in ids_of_copies(question.id, count)
    ]
    balanced = _balanced(taken, seed) if orders == "balanced" else {}
    for place, (question, name) in enumerate(taken):
        if orders == "published":
            yield question, tuple(range(len(question.options))), name
            continue
        size = len(question.options)
        shown_in = [balanced[place]] if orders == "balanced" else each_order(orders, size)
        for order in shown_in:
            yield question, order, f"{name}~{shown(order)}"


def each_order(orders: Literal["cyclic", "all"], size: int) -> list[Order]:
    """The orders of `size` options: all rotations, or all permutations; the published one first.

    Raises `UserError` where there are too many permutations.
    """
    published = tuple(range(size))
    if orders == "all" and size > MOST:
        raise UserError(
            f"{size} options have {factorial(size):,} orders; use orders cyclic, which has {size}"
        )
    if orders == "cyclic":
        return [published[k:] + published[:k] for k in published]
    return list(permutations(published))


def permutation(items: Sequence[int], number: int) -> Order:
    """The permutation that `itertools.permutations` gives as number `number` from 0."""
    left, result = list(items), []
    for size in range(len(left), 0, -1):
        place, number = divmod(number, factorial(size - 1))
        result.append(left.pop(place))
    return tuple(result)


def shown(order: Sequence[int]) -> str:
    """The published labels in the order shown: (1, 0, 2) is "BAC"."""
    return "".join(LABELS[i] for i in order)


def _balanced(taken: Sequence[tuple[Question, str]], seed: int) -> dict[int, Order]:
    """One order a question and name, by place, such that every letter is right equally often.

    Questions are counted through in a drawn order, category after category, and the count gives the
    letter: both within a category and over all of them two letters differ by one question at most.
    """

    def drawn(place: int) -> tuple[int, str, int, str, str]:
        one, name = taken[place]
        number = draw(seed, "order", one.source, name)
        return len(one.options), one.category, number, one.source, name

    result: dict[int, Order] = {}
    counted: dict[int, int] = {}  # by number of options
    for place in sorted(range(len(taken)), key=drawn):
        question, name = taken[place]
        if question.answer is None:
            raise ValueError(f"{question.id}: a training row needs an answer")
        size = len(question.options)
        count = counted[size] = counted.get(size, draw(seed, "first letter", size)) + 1
        wrong = [i for i in range(size) if i != question.answer]
        number = draw(seed, "others", question.source, name) % factorial(size - 1)
        rest = permutation(wrong, number)
        letter = count % size
        result[place] = (*rest[:letter], question.answer, *rest[letter:])
    return result
