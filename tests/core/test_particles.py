"""Particles after every kind of sound; the expected forms are written by hand."""

import pytest

from core.particles import attach, particle
from core.records import CATEGORIES

FORMS = ("은", "이", "을", "과", "으로")
CASES = {
    # vowel
    "동기": "는 가 를 와 로",
    "전제": "는 가 를 와 로",
    # ㄹ counts as a consonant, but not before (으)로
    "서울": "은 이 을 과 로",
    "발": "은 이 을 과 로",
    # other consonants; a cluster with ㄹ (여덟) is not ㄹ
    "원인": "은 이 을 과 으로",
    "후행사건": "은 이 을 과 으로",
    "반응": "은 이 을 과 으로",
    "여덟": "은 이 을 과 으로",
    # digits, read in Sino-Korean
    "화자0": "은 이 을 과 으로",
    "화자1": "은 이 을 과 로",
    "화자2": "는 가 를 와 로",
    "화자3": "은 이 을 과 으로",
    "4": "는 가 를 와 로",
    "5": "는 가 를 와 로",
    "6": "은 이 을 과 으로",
    "7": "은 이 을 과 로",
    "8": "은 이 을 과 로",
    "9": "는 가 를 와 로",
    "1,000": "은 이 을 과 으로",
    "2.0": "은 이 을 과 으로",
    # Latin letters by name
    "A": "는 가 를 와 로",
    "L": "은 이 을 과 로",
    "M": "은 이 을 과 으로",
    "N": "은 이 을 과 으로",
    "R": "은 이 을 과 로",
    "s": "는 가 를 와 로",
    # a gloss is not read, what stands in quotes or title marks is
    "원인(cause)": "은 이 을 과 으로",
    "전제 [prerequisite]": "는 가 를 와 로",
    "동기(내적)(감정)": "는 가 를 와 로",
    "**원인(cause)**": "은 이 을 과 으로",
    "**내적 동기(motivation)**": "는 가 를 와 로",
    "(원인)": "은 이 을 과 으로",
    "'원인'": "은 이 을 과 으로",
    "소설 「소나기」": "는 가 를 와 로",
    "정말?": "은 이 을 과 로",
    # nothing readable
    "": "은(는) 이(가) 을(를) 과(와) (으)로",
    "…!": "은(는) 이(가) 을(를) 과(와) (으)로",
    "🙂": "은(는) 이(가) 을(를) 과(와) (으)로",
}


@pytest.mark.parametrize("word", CASES)
def test_each_pair_after_each_kind_of_sound(word: str) -> None:
    assert [particle(word, form) for form in FORMS] == CASES[word].split(" ")


def test_either_form_names_the_pair() -> None:
    for consonant, vowel in (
        ("은", "는"),
        ("이", "가"),
        ("을", "를"),
        ("과", "와"),
        ("으로", "로"),
    ):
        assert particle("원인", consonant) == particle("원인", vowel) == consonant
        assert particle("동기", consonant) == particle("동기", vowel) == vowel


def test_the_five_categories_in_the_question() -> None:
    assert [attach(category, "으로") for category in CATEGORIES] == [
        "원인으로",
        "후행사건으로",
        "전제로",
        "동기로",
        "반응으로",
    ]


def test_an_unknown_particle_is_refused() -> None:
    with pytest.raises(ValueError, match="no particle '까지'"):
        particle("원인", "까지")
