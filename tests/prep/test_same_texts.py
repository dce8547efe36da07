"""When two texts are the same: signs that carry meaning count, what shows nothing does not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import compared, context, digest, nfc, one_line, present, visible
from prep.dedup import Document, MinHash, Simhash, difference, duplicates
from prep.sources.reader import Place
from tests.support.texts import LONG

APART = [
    ("3 + 2", "3 - 2"), ("3+2", "3-2"), ("3 - 2", "3 2"), ("-5", "5"), ("1 - -1", "1 - 1"),
    ("x < 0", "x > 0"), ("x<3", "x>3"), ("x ≤ 0", "x ≥ 0"), ("x != 0", "x = 0"), ("x=-1", "x=1"),
    ("C", "C++"), ("C", "C#"), ("i++", "i--"), ("a || b", "a && b"), ("~p", "p"), ("x²", "x³"),
    ("2^3", "23"), ("x**2", "x*2"), ("2 * 3", "2 3"), ("1/2", "12"), ("√2", "2"),
    ("p ∧ q", "p ∨ q"),
    ("1.5", "15"), (".5", "5"), ("50%", "50"), ("1:2", "12"), ("10:30", "1030"), ("1, 2", "12"),
    ("$5", "₩5"), ("20℃", "20℉"), ("5㎝", "5㎞"), ("5!", "5"), ("n!", "n"), ("f'(x)", "f(x)"),
    ("|x|", "x"), ("(a+b)*c", "a+b*c"), ("2(3+4)", "23+4"), ("[0,1)", "(0,1)"), ("(0,1]", "(0,1)"),
    ("A→B", "A←B"), ("A ∪ B", "A ∩ B"), ("3 ± 2", "3 ∓ 2"), ("Na+", "Na-"), ("A+", "A"),
    ("㉠에 들어갈 말", "㉡에 들어갈 말"), ("수요 < 공급", "수요 > 공급"), ("○", "×"), ("+", "-"),
    ("정답: +", "정답: -"), ("H-", "H"), ("오늘 😢", "오늘 😊"), ("★★★★★", "★☆☆☆☆"), ("-", "·"),
]  # fmt: skip
SAME = [
    ("다음 <보기>에서", "다음 〈보기〉에서"), ("다음 <보기>에서", "다음 [보기]에서"), ("A.", "(a)"),
    ("밥 먹었어?", "밥 먹었어."), ("안녕~ 오늘은", "안녕, 오늘은"), ("ㄱ, ㄴ", "ㄱㄴ"),
    ("GDP.", "gdp"), ("It's ok", "It’s OK"), ("“인용”", "'인용'"), ("- 항목 하나", "항목 하나"),
    ("1,000원", "1000원"), ("3 + 2", "３＋２"), ("3 − 2", "3-2"), ("3 – 2", "3-2"), ("5㎝", "5cm"),
    ("서울 - 부산", "서울 부산"), ("x≤0", "x ≦ 0"), ("2·3", "2 ⋅ 3"),
    ("• 하나", "하나"), ("**bold** text", "bold text"),
    ("제목\n======", "제목"), ("2020년.", "2020년"), ("1) 하나", "1. 하나"),
    ("각", "\u1100\u1161\u11a8"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), APART)
def test_signs_that_carry_meaning_distinguish_texts(one: str, other: str) -> None:
    assert compared(one) != compared(other)
    assert (
        compared(f"다음 중 {one} 인 것은?") != compared(f"다음 중 {other} 인 것은?") or one in "+-"
    )
    assert digest(one) != digest(other)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_carries_none_does_not(one: str, other: str) -> None:
    assert compared(one) == compared(other)
    assert digest(one) == digest(other)


NOTHING = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164\u115f\u1160\uffa0\u034f\u200e\u202a\u2800\x00\x7f"
)


@given(st.text(max_size=30), st.lists(st.sampled_from(NOTHING), max_size=4), st.integers(0, 30))
def test_invisible_characters_are_no_difference(text: str, hidden: list[str], place: int) -> None:
    text = visible(text)  # what is hidden after an emoji or in another script may stay: see below
    if any("\u0600" <= c <= "\u0dff" or c >= "\u2600" for c in text):
        return
    noisy = text[:place] + "".join(hidden) + text[place:]
    assert nfc(noisy) == nfc(text)
    assert compared(noisy) == compared(text)


@pytest.mark.parametrize("hidden", NOTHING)
def test_a_text_of_what_shows_nothing_is_empty(hidden: str) -> None:
    assert nfc(hidden * 3) == one_line(f" {hidden} ") == context(hidden) == ""
    assert one_line(f"사{hidden}과{hidden}") == "사과"


@pytest.mark.parametrize(
    "text", ["👨\u200d👩\u200d👧", "❤️", "🏴\U000e0067\U000e007f", "क्\u200dष", "می\u200cخواهم"]
)
def test_joiners_stay_where_they_shape_something(text: str) -> None:
    assert visible(text) == text


@given(
    st.text(st.characters(codec="utf-8") | st.sampled_from("3x+-*/<>=()[]|!~'#%. \n"), max_size=40)
)
def test_comparing_is_settled_and_never_fails(text: str) -> None:
    once = compared(text)
    assert compared(nfc(text)) == once == compared(f" {text} ")
    assert (once == "") == (nfc(text) == "")
    assert digest(text) == digest(nfc(text))


@pytest.mark.parametrize("sign", [*"-|!'~#*^&\\:.,+=<>([{}])%$ \n\u200b", "- ", "x'", "3 - ", "<a"])
def test_no_text_takes_long(sign: str) -> None:
    began = time.perf_counter()
    compared(sign * 100_000)
    difference(sign * 20_000 + "가", sign * 20_000 + "나")
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("method", [Simhash(), MinHash()])
@pytest.mark.parametrize(("one", "other"), [("3 + 2", "3 - 2"), ("x < 0", "x > 0"), ("C", "C++")])
def test_near_duplicates_that_differ_in_a_sign_stay(method: object, one: str, other: str) -> None:
    texts = [f"{LONG} {sign} 는 무엇입니까? {LONG}" for sign in (one, other, f" {one} ")]
    items = [Document(text, 0, str(place)) for place, text in enumerate(texts)]
    assert {i: near.kept for i, near in duplicates(items, method).removed.items()} == {0: 2}
    assert difference(texts[0], texts[1]) is not None
    assert difference(texts[0], texts[2]) is None


ABSENT = ["", " ", "nan", "NaN", "None", "null", "N/A", "<NA>", "\u200b", "\u3164"]
SAID = [
    "없음",
    "지문 없음",
    "(지문 없음)",
    "[지문없음]",
    "보기 없음.",
    "해당 없음",
    "<지문 없음>",
    "〈없음〉",
    "- 없음",
    "(None)",
    "[nan]",
    "<NULL>",
    ".",
    "-",
    "―",
    "...",
]


@pytest.mark.parametrize("text", [*ABSENT, *SAID])
def test_absent_contexts(text: str) -> None:
    assert context(text) == ""
    assert (present(text) is None) == (text in ABSENT)


@pytest.mark.parametrize(
    "text", ["글", "없음을 알다", "내용이 없다", "내용 없음", "지문", "0", "+", "○"]
)
def test_short_contexts_are_no_absent_ones(text: str) -> None:
    assert context(text) == text
    assert present(text) == text


def test_values_that_are_no_texts() -> None:
    assert present(float("nan")) is None is present(None)
    assert (present(0), present(0.0), present([]), present(False)) == (0, 0.0, [], False)
    assert context(None) == ""


def test_lines_end_in_one_way_and_the_change_is_noted() -> None:
    place = Place("made.csv, line 2", 2, "made")
    assert place.text("a", "passage", "첫 줄\r\n둘째 줄\r셋째 줄") == "첫 줄\n둘째 줄\n셋째 줄"
    assert place.text("a", "question", "첫 줄\n둘째 줄\r\n") == "첫 줄\n둘째 줄"
    assert [(change.field, change.reason) for change in place.changes] == [("passage", "spaces")]
