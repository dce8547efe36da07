"""Every rule by its examples, what the preset maerak promises, and the defects of pohanghang."""

import re
import time
from pathlib import Path
from typing import Annotated, get_args

import pytest
from pydantic import AfterValidator, TypeAdapter, ValidationError

from core.records import Change
from prep.cleaning import PRESETS, RULES, clean, docs, known, rules_of
from prep.cleaning.cleaning_rules import TextRule
from prep.cleaning.docs import dialogue
from prep.cleaning.jamo import ABBREVIATIONS, SOURCES
from tests.support.cleaned_text import MAERAK, cleaned, text

POHANGHANG = PRESETS["pohanghang"]


@pytest.mark.parametrize("name", RULES)
def test_each_rule_does_what_its_examples_show(name: str) -> None:
    rule = RULES[name]
    assert rule.name == name
    assert any(before != after for before, after in rule.examples)
    for before, after in rule.examples:
        if isinstance(rule, TextRule):
            assert rule.change(before) == after
        else:
            assert cleaned(before, (name,)) == after


def test_the_reasons_are_the_rules_and_the_page_shows_them() -> None:
    assert get_args(Change) == (
        *("not-a-string", "nfc", "invisible", "absent", "note-split"),
        *RULES,
    )
    page = Path("docs/cleaning.md").read_text(encoding="utf-8")
    assert docs.page(page) == page, "run: python prep/cleaning/docs.py"
    assert {key for entry in ABBREVIATIONS for key in entry.sources.split()} == SOURCES.keys()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("8:30에 봐~", "8:30에 봐"),
        ("8 : 30 아니면 5 ~ 7", "8:30 아니면 5~7"),
        ("2/3는 1.5배, 1,000원", "2/3는 1.5배, 1,000원"),
        ("5~~7명!", "5~7명"),
        ("10%~20%", "10%~20%"),
        ("3월~5월, 2024-11-20", "3월~5월, 2024-11-20"),
        ("02-123-4567", "02-123-4567"),
        ("(-3도)", "-3도"),
        ("온도(-3)", "온도 -3"),
        ("3)4 5>6 7^8", "3 4 5 6 7 8"),
        ("- 하나", "하나"),
        ("K-pop이랑 A/S", "K-pop이랑 A/S"),
        ("나-name1", "나 화자1"),
        ("산/바다", "산 바다"),
        ("오빠(친구)가", "오빠 친구가"),
        ("ㅠ_ㅠ", "ㅠㅠ"),
        ("ㅋㅋ~ㅋㅋ", "ㅋㅋ"),
    ],
)
def test_symbols(before: str, after: str) -> None:
    assert text(before) == after
    assert text(after) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ㅇㅇㅇㅇ", "응"),
        ("그래ㅇㅇ", "그래 응"),
        ("ㅊㅋㅊㅋㅋㅋ", "축하ㅋㅋ"),
        ("ㅇㅋㅋㅋ", "오케이ㅋㅋ"),
        ("ㄹㅇㅋㅋㄱㅋ", "레알ㅋㅋ"),
        ("ㅎㄷㄷㄷ", "후덜덜"),
        ("ㅅㄱ하세요", "수고하세요"),
        ("ㅇㅅㅇ ㅁㅅㅁ ㅇㅇㅁ", "ㅇㅅㅇ ㅁㅅㅁ ㅇㅇㅁ"),
        ("ㅇ ㅋ ㅠ ㅜ", "ㅇ ㅋ ㅠ ㅜ"),
        ("ㅋㅋㅋㅎㅎㅎㅜㅜㅜ", "ㅋㅋㅎㅎㅠㅠ"),
        ("ㅋㄱㅋ ㄱㄱㄱ", "ㅋㅋ 고고"),
    ],
)
def test_jamo(before: str, after: str) -> None:
    assert text(before) == after
    assert text(after) == after


def test_long_rows_are_read_once() -> None:
    started = time.perf_counter()
    for row in ("ㅋ" * 100_000, "ㄱㅅ" * 50_000, "~!" * 50_000, "8:" * 50_000, "ㅇㅇㅁ" * 30_000):
        text("ㅇㅇ" + row + "ㅁ")
    assert time.perf_counter() - started < 10  # quadratic, it would be minutes


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("안녕하세요!", ""),
        ("네 name2님 만나서 반가워요ㅎㅎ", ""),
        ("ㅎㅇ", ""),
        ("안녕히 가세요", "안녕히 가세요"),
        ("안녕? 밥 먹었어?", "안녕? 밥 먹었어?"),
        ("만나서 저도", "만나서 저도"),
        ("OK.", "OK."),
        ("👍", "👍"),
        ("3", "3"),
        ("!!", ""),
    ],
)
def test_what_utterances_become_empty(before: str, after: str) -> None:
    assert text(before) == after


def test_names_in_utterances_and_options_alike() -> None:
    question = dialogue("화자1: [name1]은 <name2>아 username1 name12 / 화자2: &name2&도?")
    options = ["[name1]이 간다.", "화자 2가 간다.", "화자 12가 간다~", "name2는 안 간다."]
    question = question.model_copy(update={"options": options})
    done, _ = clean(question, MAERAK)
    assert [turn.text for turn in done.turns] == ["화자1은 화자2아 username1 name12", "화자2도?"]
    assert done.options == ["화자1이 간다.", "화자2가 간다.", "화자 12가 간다~", "화자2는 안 간다."]


def test_options_that_would_become_equal_stay() -> None:
    question = dialogue("화자1: 그래").model_copy(
        update={"options": ["name1이  간다.", "화자1이 간다."]}
    )
    done, changes = clean(question, MAERAK)
    assert done.options == ["name1이 간다.", "화자1이 간다."]
    assert [(c.field, c.reason) for c in changes] == [("options.0", "spaces")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("화자1: 가 / 화자1*: 나 / 화자1: 다 / 화자1: 라", "화자1: 가 / 화자1*: 나 / 화자1: 다 라"),
        ("화자1*: 안녕하세요~ / 화자2: 안녕! / 화자1: 갈까", "화자1*: 안녕하세요 / 화자1: 갈까"),
        ("화자1: 가 / 화자2*: ~^^ / 화자1: 나 / 화자2*: ...", None),
        ("화자1: 가 / 화자2: ^^ / 화자1: 나", "화자1: 가 나"),
        ("화자1: 안녕 / 화자2: 반가워", None),
    ],
)
def test_dialogues(before: str, after: str | None) -> None:
    assert cleaned(before) == (after or before)


def test_changes_are_listed_by_rule() -> None:
    question = dialogue("화자1: 안녕~ / 화자2: 몇 시ㅋㅋㅋ / 화자2: 8:30? / 화자1: ㅇㅇ!")
    done, changes = clean(question, MAERAK)
    assert [(turn.id, turn.text) for turn in done.turns] == [("1", "몇 시ㅋㅋ 8:30?"), ("3", "응")]
    assert [(c.reason, c.field, c.before, c.after) for c in changes] == [
        ("symbols", "turns.0", "안녕~", "안녕"),
        ("symbols", "turns.3", "ㅇㅇ!", "ㅇㅇ"),
        ("abbreviations", "turns.3", "ㅇㅇ", "응"),
        ("laughter", "turns.1", "몇 시ㅋㅋㅋ", "몇 시ㅋㅋ"),
        ("greetings", "turns.0", "안녕", ""),
        ("empty", "turns.0", "", None),
        ("merge", "turns.1", "몇 시ㅋㅋ", "몇 시ㅋㅋ 8:30?"),
        ("merge", "turns.2", "8:30?", None),
    ]


def test_what_is_no_dialogue_stays() -> None:
    exam = dialogue("화자1: 가").model_copy(update={"turns": [], "passage": "[A]~[B]의  관계는?"})
    for rules in PRESETS.values():
        assert clean(exam, rules) == (exam, [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("가    나", "가  나"),
        ("8:30에 2/3, 5~7", "830에 23, 57"),
        ("-3도", "3도"),
        ("와~진짜", "와진짜"),
        ("그건 ㅇㅈ ㄹㅇ", "그건"),
        ("ㅇㅇ!", ""),
        ("ㅇㅇ 그래", "응 그래"),
        ("안녕히 주무세요", "주무세요"),
        ("[name1]아", "[화자1]아"),
        ("??", ""),
        ("3.5", ""),
        ("7", "7"),
        ("ㅋㅋㅋ", ""),
    ],
)
def test_pohanghang_with_its_defects(before: str, after: str) -> None:
    assert text(before, POHANGHANG) == after


def test_pohanghang_loses_references_and_merges_across_them() -> None:
    before = "화자1: 가요 / 화자1*: ㅠㅠ / 화자1: 나도 / 화자2*: 그래요"
    assert cleaned(before, POHANGHANG) == "화자1: 가요 나도 / 화자2*: 그래요"
    assert cleaned(before) == "화자1: 가요 / 화자1*: ㅠㅠ / 화자1: 나도 / 화자2*: 그래요"
    question = dialogue(before).model_copy(update={"options": ["name1", "name2"]})
    assert clean(question, POHANGHANG)[0].options == ["name1", "name2"]
    assert cleaned(before, ("pohanghang-short",)) == before
    assert cleaned("화자1*: 네 / 화자2: 그래", ("pohanghang-short",)) == "화자2: 그래"
    assert cleaned("화자1*: ㅋㅋ", POHANGHANG) == "화자1*: ㅋㅋ"  # a record needs a dialogue


def test_a_value_is_a_preset_or_a_list_of_rules() -> None:
    for name, rules in PRESETS.items():
        assert rules_of(name) == rules_of(list(rules)) == rules
    field = TypeAdapter(Annotated[str | list[str], AfterValidator(known)])
    assert field.validate_python("maerak") == "maerak"
    assert field.validate_python(["names", "spaces"]) == ["names", "spaces"]
    for value, said in [
        ("maerac", "no preset 'maerac'; the nearest known name is maerak"),
        (["merged"], "no cleaning rule 'merged'; the nearest known name is merge"),
        (["names", "names"], "cleaning rule names is there twice"),
    ]:
        with pytest.raises(ValidationError, match=re.escape(said)):
            field.validate_python(value)
    with pytest.raises(ValueError, match="no cleaning rule"):
        clean(dialogue("화자1: 가"), ["x"])
