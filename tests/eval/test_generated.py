"""Replies are read strictly: what is not one answer is a failure with a reason."""

import json
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import LABELS
from eval.methods.base import Answer
from eval.methods.generated import Generated, majority, read_json, read_text, schema
from tests.support.scored_rows import rows

OPTIONS = ["비타민 C가 부족했다.", "비가 왔다.", "눈이 왔다."]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A", 0),
        (" B \n", 1),
        ("C.", 2),
        ("B. 비가 왔다.", 1),
        ("B) 비가 왔다.", 1),
        ("B. 다른 말", 1),
        ("A. 비타민 C가 부족했다.", 0),  # the option's own text
        ("A. 비타민 C가 모자랐다.", "several-letters"),  # not its own
        ("A. 비가 왔다.\nB. 비가 왔다.", "several-letters"),
        ("A, B", "several-letters"),
        ("A 또는 B", "several-letters"),
        ("D", "not-a-label"),
        ("D. 해가 떴다.", "not-a-label"),
        ("", "no-letter"),
        ("a", "no-letter"),
        ("답은 A입니다.", "no-letter"),
        ("비가 왔다.", "no-letter"),
        ("ABC", "no-letter"),
        ("A!", "no-letter"),
    ],
)
def test_text(text: str, found: int | str) -> None:
    assert read_text(text, ["A", "B", "C"], OPTIONS) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"reasoning": "A가 아니라 B", "answer": "B"}', 1),
        ('\n{"answer": "C", "reasoning": ""} ', 2),
        ('{"reasoning": "", "answer": "D"}', "not-a-label"),
        ('{"reasoning": "", "answer": "b"}', "not-a-label"),
        ('{"reasoning": "", "answer": "A. 비"}', "not-a-label"),
        ('{"answer": "A"}', "wrong-fields"),
        ('{"reasoning": 1, "answer": "A"}', "wrong-fields"),
        ('{"reasoning": "", "answer": 0}', "wrong-fields"),
        ('{"reasoning": "", "answer": ["A", "B"]}', "wrong-fields"),
        ('{"reasoning": "", "answer": "A", "sure": true}', "wrong-fields"),
        ('["A"]', "wrong-fields"),
        ('{"reasoning": "", "answer": "A", "answer": "B"}', "invalid-json"),
        ('{"reasoning": "", "answer": "A"', "invalid-json"),
        ('```json\n{"reasoning": "", "answer": "A"}\n```', "invalid-json"),
        ("A", "invalid-json"),
        ("[" * 100_000, "invalid-json"),
        ("", "invalid-json"),
    ],
)
def test_json(text: str, found: int | str) -> None:
    assert read_json(text, ["A", "B", "C"]) == found


@given(st.integers(2, 5), st.data())
def test_whatever_the_schema_allows_is_read(size: int, data: st.DataObject) -> None:
    labels = list(LABELS[:size])
    allowed = schema(labels)["properties"]["answer"]["enum"]
    answer, reasoning = data.draw(st.sampled_from(allowed)), data.draw(st.text())
    assert read_json(json.dumps({"reasoning": reasoning, "answer": answer}), labels) == (
        labels.index(answer)
    )
    assert read_text(answer, labels, None) == labels.index(answer)


@given(st.text())
def test_any_text_is_an_answer_or_a_reason(text: str) -> None:
    for found in (read_text(text, ["A", "B"], None), read_json(text, ["A", "B"])):
        assert found in (0, 1) or isinstance(found, str)


def test_the_majority_by_hand() -> None:
    # two for the second, one for the first, one unread: (1 + 1, 2 + 1, 0 + 1) of 3 + 3
    assert majority([1, 0, None, 1], 3) == [pytest.approx(log(n / 6), abs=1e-6) for n in (2, 3, 1)]
    assert majority([None, None], 3) is None


@given(st.lists(st.none() | st.integers(0, 3)), st.randoms())
def test_the_majority_does_not_depend_on_the_order_of_the_samples(parsed: list, rng) -> None:
    mixed = rng.sample(parsed, len(parsed))
    assert majority(mixed, 4) == majority(parsed, 4)


def test_a_reply_that_is_cut_off_is_no_answer_whatever_it_says() -> None:
    [row] = rows(1)
    answer = Generated("greedy", "text", 5).read(row, [("A. 산", False)])
    assert (answer.scores, answer.choice) == (None, None)
    assert [one.model_dump() for one in answer.failures] == [
        {"id": row.id, "sample": 0, "reason": "cut-off", "text": "A. 산"}
    ]


def test_samples_that_cannot_be_read_abstain() -> None:
    [row] = rows(1)
    drawn = Generated("self-consistency", "text", 5, samples=3, temperature=1.0)
    answer = drawn.read(row, [("B", True), ("?", True), ("B", False)])
    assert answer.scores == majority([1], 3)
    assert [(one.sample, one.reason) for one in answer.failures] == [
        (1, "no-letter"),
        (2, "cut-off"),
    ]
    nothing = drawn.read(row, [("?", True)] * 3)
    assert (nothing.scores, nothing.choice, len(nothing.failures)) == (None, None, 3)
    failures = drawn.found([answer, nothing])["failures"]
    assert failures == {"unanswered": 1, "replies": {"cut-off": 1, "no-letter": 4}}
    assert Answer.model_validate(answer.model_dump()) == answer
