"""Orders at test time: how answers combine, what cancels out, and which rows are refused."""

from collections.abc import Sequence
from math import log
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.jsonl import write_records
from core.option_orders import each_order
from core.records import Prediction, Row
from eval.methods import pride
from eval.methods.base import Answer
from eval.methods.permutations import combined, plan
from eval.options import option_logprobs
from tests.support.scored_rows import rows, save_orders, save_rows

NATS = st.floats(-20, 0)
MADE = st.integers(2, 5).flatmap(
    lambda size: st.tuples(*[st.lists(NATS, min_size=size, max_size=size)] * 2)
)


def letters(options: Sequence[float], bias: Sequence[float], order: Sequence[int]) -> list[float]:
    """What a model scores that adds a letter's own attraction to an option's log-probability."""
    return [options[index] + bias[k] for k, index in enumerate(order)]


def predicted(choice: int | None, *logprobs: float) -> Prediction:
    return Prediction(id="x~ABC", order=[0, 1, 2], logprobs=list(logprobs) or None, choice=choice)


def test_the_mean_by_hand() -> None:
    # means -1.5, -1.5, -2: probabilities .38365, .38365, .23270; of equals the one published first
    found = combined("x", [predicted(0, -1.0, -2.0, -3.0), predicted(1, -2.0, -1.0, -1.0)], "mean")
    assert found.logprobs == pytest.approx([-0.958020, -0.958020, -1.458020], abs=1e-6)
    assert (found.id, found.order, found.choice) == ("x", [0, 1, 2], 0)


def test_the_vote_by_hand() -> None:
    seen = [
        predicted(2, -3.0, -2.0, -0.2),
        predicted(1, -3.0, -0.1, -3.0),
        predicted(2, -1.0, -2.0, -0.9),
    ]
    found = combined("x", seen, "vote")
    assert found.choice == 2
    shares = [log(n / 6) for n in (1, 2, 3)]
    assert found.logprobs == pytest.approx(shares, abs=1e-6)
    # of a tie the greater mean log-probability wins, here that of option 1
    assert combined("x", seen[:2], "vote").choice == 1
    # without any, to the option published first
    assert combined("x", [predicted(2), predicted(1)], "vote").choice == 1


def test_an_order_without_an_answer_abstains() -> None:
    seen = [predicted(None), predicted(1), predicted(None)]
    assert combined("x", seen, "vote").choice == 1
    assert combined("x", [predicted(None)] * 3, "vote") == Prediction(
        id="x", order=[0, 1, 2], logprobs=None, choice=None
    )
    assert combined("x", [predicted(None), predicted(0, -0.1, -3.0, -4.0)], "mean").choice == 0
    assert combined("x", [predicted(None)] * 3, "mean").choice is None


@given(MADE, st.sampled_from(["cyclic", "all"]))
def test_what_a_letter_attracts_cancels_out(made: tuple, kind: str) -> None:
    options, bias = made
    each = []
    for order in each_order(kind, len(options)):
        logprobs = option_logprobs(letters(options, bias, order), order)
        each.append(Prediction(id="x", order=list(order), logprobs=logprobs, choice=0))
    found = combined("x", each, "mean").logprobs
    expected = option_logprobs(options, range(len(options)))
    assert found == pytest.approx(expected, rel=0, abs=5e-6)


@given(st.lists(st.lists(NATS, min_size=3, max_size=3), min_size=1, max_size=6), st.randoms())
def test_the_order_of_the_orders_changes_nothing(drawn: list, rng) -> None:
    each = [predicted(of.index(max(of)), *of) for of in drawn]
    for how in ("mean", "vote"):
        mixed = combined("x", rng.sample(each, len(each)), how)
        assert mixed == combined("x", each, how)


@given(MADE)
def test_pride_finds_a_planted_prior_exactly(made: tuple) -> None:
    options, bias = made
    size = len(options)
    rotations = [letters(options, bias, order) for order in each_order("cyclic", size)]
    shifted = [[value + 7.0 * k for value in of] for k, of in enumerate(rotations)]
    planted = option_logprobs(bias, range(size))
    for seen in (rotations, shifted):
        prior = pride.prior([seen, seen])
        assert prior[size] == pytest.approx(planted, rel=0, abs=1e-6)
        free = pride.debiased(rotations[-1], prior)
        order = each_order("cyclic", size)[-1]
        assert option_logprobs(free, order) == pytest.approx(
            option_logprobs(options, range(size)), rel=0, abs=5e-6
        )


def test_priors_are_averaged_as_probabilities_and_by_number_of_options() -> None:
    one = [[log(0.5), log(0.5)], [log(0.5), log(0.5)]]
    other = [[log(0.9), log(0.1)], [log(0.9), log(0.1)]]
    three = [[log(0.2), log(0.3), log(0.5)]] * 3
    prior = pride.prior([one, other, three])
    assert prior[2] == pytest.approx([log(0.7), log(0.3)])
    assert prior[3] == pytest.approx([log(0.2), log(0.3), log(0.5)])


def in_groups(count: int, of: int) -> list[Row]:
    return [row.model_copy(update={"group": f"g{k // of}"}) for k, row in enumerate(rows(count))]


def test_the_share_is_of_dialogues_and_drawn_by_name() -> None:
    made = in_groups(400, 4)
    drawn = pride.sample(made, 0.05, seed=1)
    assert len({row.group for row in drawn}) == 5
    assert len(drawn) == 20
    ids = {row.id for row in drawn}
    assert ids == {row.id for row in pride.sample(made[::-1], 0.05, seed=1)}
    assert ids != {row.id for row in pride.sample(made, 0.05, seed=2)}
    two = {"labels": ["A", "B"], "order": [0, 1], "options": None, "answer": None}
    rare = made[7].model_copy(update=two)
    assert rare in pride.sample([*made[:7], rare, *made[8:]], 0.01, seed=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "test.jsonl"


def score(row: Row) -> Answer:
    """A model that prefers the option published first, and still more the letter C."""
    scores = letters([-1.0, -1.5, -2.0], [0.0, 0.0, 3.0], row.order)
    return Answer(scores=scores)


@pytest.mark.parametrize("kind", ["cyclic", "all"])
def test_orders_become_one_prediction_a_question(data: Path, kind: str) -> None:
    made = save_rows(data, 4)
    save_orders(data, made, "all")
    planned = plan(made, data, permutations=kind)
    assert len(planned.asked) == 4 * {"cyclic": 3, "all": 6}[kind]
    found, _ = planned.predictions([score(row) for row in planned.asked])
    assert [one.id for one in found] == [row.id for row in made]
    assert {one.choice for one in found} == {0}  # 2 where C shows it, without the others
    voted = plan(made, data, permutations=kind, combine="vote")
    votes, _ = voted.predictions([score(row) for row in voted.asked])
    assert [one.logprobs for one in votes] == [
        pytest.approx([log((len(planned.asked) / 4 / 3 + 1) / (len(planned.asked) / 4 + 3))] * 3)
    ] * 4


def test_pride_frees_rows_of_one_order_and_looks_at_no_answer(data: Path) -> None:
    made = save_rows(data, 40)
    save_orders(data, made, "cyclic")
    planned = plan(made, data, share=0.05)
    assert len(planned.asked) == 40 + 2 * 3
    plain, _ = plan(made, data).predictions([score(row) for row in made])
    assert {one.choice for one in plain} == {0, 1, 2}  # whatever C shows
    found, more = planned.predictions([score(row) for row in planned.asked])
    assert {one.choice for one in found} == {0}
    shares = [value - log(2 + 2.718281828459045**3) for value in (0.0, 0.0, 3.0)]
    assert more["pride_prior"]["3"] == pytest.approx(shares, abs=1e-5)
    other = [row.model_copy(update={"answer": None}) for row in made]
    blind = plan(other, data, share=0.05)
    assert blind.predictions([score(row) for row in blind.asked]) == (found, more)


def test_wrong_orders_are_refused(data: Path) -> None:
    made = save_rows(data, 2)
    with pytest.raises(UserError, match=r"test.orders.jsonl: no such file; set scoring_orders"):
        plan(made, data, permutations="all")
    permuted = save_orders(data, made, "cyclic")

    def refused(match: str, others: list[Row], kind: str = "cyclic") -> None:
        write_records(data.with_name("test.orders.jsonl"), others)
        with pytest.raises(UserError, match=match):
            plan(made, data, permutations=kind)

    refused(r"합성-000 not in the order ACB \(3 of 6 orders are missing\)", permuted, "all")
    refused(r"합성-001 not in the order CAB \(1 of 3", permuted[:-1])
    refused("row 합성-000~ABC: shows that order twice", [*permuted, permuted[0]])
    stray = permuted[0].model_copy(update={"id": "합성-9~ABC", "record": "합성-9"})
    refused("row 합성-9~ABC: .*test.jsonl has no such id", [*permuted, stray])
    stale = permuted[1].model_copy(update={"prompt": "test@2"})
    refused("another prompt or other options", [permuted[0], stale, *permuted[2:]])
    cleaned = permuted[1].model_copy(update={"options": ["가", "나", "다"]})
    refused("another prompt or other options", [permuted[0], cleaned, *permuted[2:]])
