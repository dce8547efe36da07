"""Bare jamo: abbreviations are spelt out, laughter and tears take one form, the rest stays."""

import re
from typing import NamedTuple

from prep.cleaning.cleaning_rules import JAMO, TextRule

SOURCES = {
    "W": "Korean Wiki Project, Internet and text messaging, revision 28518, "
    "koreanwikiproject.com/wiki/index.php?title=Internet_and_text_messaging&oldid=28518",
    "N": "손병준, 'ㅂㅂㅂㄱ', 'ㄴㅈ', 'ㅇㅂ'이 뭔지 아시나요? (news article), 2014-11-04",
    "S": "세계일보, 2007-07-12, segye.com/newsView/20070712000116 (survey of internet terms)",
    "T": "Texting Language, github.com/stevengnb/korean-learning",
    "M": "Korean Text Message (SMS) Slang, jonnyontheroad.blogspot.kr, 2011-01-26",
    "K": "WoW!Korea, Korean abbreviations explained, kt-org.wowkorea.jp/news-read/2158.html",
}


class Abbreviation(NamedTuple):
    """Jamo, the words they stand for, and the keys of `SOURCES` that say so."""

    jamo: str
    words: str
    sources: str


ABBREVIATIONS = (
    Abbreviation("ㅇㅇ", "응", "W T"),
    Abbreviation("ㄴㄴ", "아니", "T M"),  # both read it as "no no"; 아니 is the Korean for it
    Abbreviation("ㅇㅋ", "오케이", "W K"),
    Abbreviation("ㄱㅅ", "감사", "W N"),
    Abbreviation("ㄳ", "감사", "W S"),
    Abbreviation("ㅈㅅ", "죄송", "T"),
    Abbreviation("ㅊㅋ", "축하", "W T"),
    Abbreviation("ㅅㄱ", "수고", "W T"),
    Abbreviation("ㄱㄱ", "고고", "T"),
    Abbreviation("ㄷㄷ", "덜덜", "T M"),
    Abbreviation("ㅎㄷㄷ", "후덜덜", "T"),
    Abbreviation("ㄹㅇ", "레알", "N T"),
    Abbreviation("ㅇㅈ", "인정", "N K"),
    Abbreviation("ㅇㄱㄹㅇ", "이거 레알", "N K"),
    Abbreviation("ㅎㅇ", "하이", "W N"),
    Abbreviation("ㅂㅂ", "바이바이", "T M"),
    Abbreviation("ㅂㅇ", "바이", "W"),
)
_WORDS = {entry.jamo: entry.words for entry in ABBREVIATIONS}
# ㄱ, ㄲ and ㅌ are slips of the finger inside a row of ㅋ, ㅡ is the mouth of a crying face
_LAUGHTER = {"ㅋㅋ": "ㅋ[ㅋㄱㄲㅌ]*ㅋ", "ㅎㅎ": "ㅎㅎ+", "ㅠㅠ": "[ㅠㅜ][ㅠㅜㅡ]*[ㅠㅜ]"}


def _repeated(jamo: str) -> str:
    """A pattern for an abbreviation that may go on: ㅇㅇㅇ, ㅎㄷㄷㄷ, ㄱㅅㄱㅅ."""
    return f"{jamo}{jamo[-1]}*" if jamo[-2:] == 2 * jamo[-1] else f"(?:{jamo})+"


_LAUGHED = re.compile("|".join(f"({form})" for form in _LAUGHTER.values()))
# possessive and atomic: a row of a hundred thousand ㅋ is read once
_THEN_LAUGHTER = f"(?>{'|'.join(_LAUGHTER.values())})*+(?![{JAMO}])"
_ABBREVIATED = re.compile(
    # nothing but laughter may follow at once: a longer row of jamo is another word
    f"(?<![{JAMO}])(?:{'|'.join(f'({_repeated(jamo)})' for jamo in _WORDS)})(?={_THEN_LAUGHTER})"
)


def abbreviations(text: str) -> str:
    """The text with the abbreviations of the table spelt out; other jamo stay."""

    def spelt(found: re.Match[str]) -> str:
        words = [*_WORDS.values()][(found.lastindex or 1) - 1]
        joined = re.match(r"\w", found.string[max(found.start() - 1, 0) : found.start()])
        return f" {words}" if joined else words

    return _ABBREVIATED.sub(spelt, text)


def laughter(text: str) -> str:
    """The text with every row of laughter or tears as two letters; one letter stays one."""
    forms = [*_LAUGHTER]
    return _LAUGHED.sub(lambda found: forms[(found.lastindex or 1) - 1], text)


RULES = (
    TextRule(
        "abbreviations",
        "abbreviations in jamo are spelt out by the table below; unknown jamo stay",
        (
            ("ㅇㅇ 그건 ㅇㅈ", "응 그건 인정"),
            ("ㄱㅅㄱㅅㅋㅋ 늦어서 ㅈㅅ해요", "감사ㅋㅋ 늦어서 죄송해요"),
        ),
        abbreviations,
    ),
    TextRule(
        "laughter",
        "a row of laughter or tears becomes ㅋㅋ, ㅎㅎ or ㅠㅠ",
        (
            ("ㅋㅋㅋㅋㅋ 어떡해ㅜㅜㅜ", "ㅋㅋ 어떡해ㅠㅠ"),
            ("ㅋㅋㄱㅋ 슬퍼 ㅠㅡㅠ", "ㅋㅋ 슬퍼 ㅠㅠ"),
        ),
        laughter,
    ),
)
