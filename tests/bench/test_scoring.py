"""The scoring bench asks what its docstring says, and a contender that ends early says why."""

from itertools import pairwise

import pytest

from bench.contenders import SEGMENTS, Worker
from bench.workload import HEAD, OPTION, QUESTION, prompts
from core.errors import UserError


def shared(one, other):
    return next(k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


def test_three_to_five_items_share_a_dialogue_and_all_the_instruction():
    rows = prompts(60)
    ends = QUESTION + 3 * OPTION
    beginnings = [shared(one, other) for one, other in pairwise(rows)]
    talks, sizes = [tuple(row[:-ends]) for row in rows], {}
    for talk in talks:
        sizes[talk] = sizes.get(talk, 0) + 1
    assert set(list(sizes.values())[:-1]) == {3, 4, 5}  # the last has what is left
    assert all(begun >= HEAD for begun in beginnings)
    assert prompts(60) == rows


def test_orders_show_the_same_options_of_the_same_questions():
    for orders, options in ((1, 3), (6, 3), (2, 2)):
        rows = prompts(4, orders, options)
        assert len(rows) == 4 * orders
        for first in range(0, len(rows), orders):
            asked = rows[first : first + orders]
            assert len({tuple(row) for row in asked}) == orders
            assert len({tuple(sorted(row)) for row in asked}) == 1


def test_a_contender_that_ends_early_says_why(tmp_path):
    with pytest.raises(UserError, match=r"shared beginnings .*nowhere: ended early: \w+"):
        Worker(SEGMENTS, tmp_path / "nowhere")
