"""What holds for cleaning whatever is cleaned: idempotence, references, digits, changes listed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.records import Question
from prep.cleaning import RULES, clean
from prep.cleaning.docs import dialogue
from tests.support.cleaned_text import MAERAK, text

PIECES = [
    *"가나아요네 .,?!~～^;:-_/()[]<>@&%'\"\n12380ㅋㅋㅎㅠㅜㅡㅇㄱㅅㄴㄷㄹㅈㅊㅂㄲㅌㅁaK…ᆢ👍",
    *("name1", "name2", "name3", "[name1]", "(name2)", "화자1", "화자 2", "8:30", "5 ~ 7", "-3도"),
    *(
        "안녕하세요",
        "반갑습니다",
        "만나서",
        "안녕",
        "하이",
        "ㅇㅇ",
        "ㄱㅅ",
        "ㅇㅋ",
        "....",
        "??",
        "  ",
    ),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
TURNS = st.lists(st.tuples(st.sampled_from("12"), st.booleans(), TEXTS), min_size=1, max_size=7)


def questions(pieces: list[tuple[str, bool, str]], options: list[str]) -> Question:
    marked = " / ".join(f"화자{speaker}{'*' * reference}:" for speaker, reference, _ in pieces)
    question = dialogue(marked)
    turns = [
        turn.model_copy(update={"text": said})
        for turn, (_, _, said) in zip(question.turns, pieces, strict=True)
    ]
    return question.model_copy(update={"turns": turns, "options": options})


QUESTIONS = st.builds(questions, TURNS, st.lists(TEXTS, min_size=2, max_size=5))


@pytest.mark.slow
@given(QUESTIONS)
@settings(max_examples=500)
def test_to_clean_twice_is_to_clean_once(question: Question) -> None:
    done, changes = clean(question, MAERAK)
    assert clean(done, MAERAK) == (done, [])
    assert clean(question, MAERAK) == (done, changes)
    assert bool(changes) == (done != question)


@pytest.mark.slow
@given(QUESTIONS)
@settings(max_examples=300)
def test_no_reference_and_no_order_is_lost(question: Question) -> None:
    done, changes = clean(question, MAERAK)
    assert done.focus == question.focus
    before = {turn.id: turn for turn in question.turns}
    ids = [turn.id for turn in done.turns]
    assert ids == [turn.id for turn in question.turns if turn.id in set(ids)]
    for turn in done.turns:
        assert turn.speaker == before[turn.id].speaker
        if turn.id in done.focus:
            assert bool(turn.text.strip()) == bool(before[turn.id].text.strip())
            assert "merge" not in {c.reason for c in changes if c.field == f"turns.{turn.id}"}
    assert len(set(done.options)) == len(set(question.options))


@given(TEXTS)
@settings(max_examples=500)
def test_no_digit_is_lost(said: str) -> None:
    done = text(said)
    greeted = not done and re.search("name|화자", said)  # a greeting is dropped with the name in it
    assert greeted or re.findall(r"\d+", done) == re.findall(r"\d+", said)


@given(QUESTIONS, st.permutations(sorted(RULES)))
@settings(max_examples=200)
def test_rules_in_any_order_give_a_question_and_list_every_change(
    question: Question, rules: list[str]
) -> None:
    done, changes = clean(question, rules)
    texts = {f"turns.{t.id}": t.text for t in question.turns}
    texts |= {f"options.{i}": option for i, option in enumerate(question.options)}
    for change in changes:
        assert texts[change.field] == change.before
        texts[change.field] = change.after
    kept = {f"turns.{t.id}": t.text for t in done.turns}
    kept |= {f"options.{i}": option for i, option in enumerate(done.options)}
    assert {field: after for field, after in texts.items() if after is not None} == kept
