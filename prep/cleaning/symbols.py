r"""Symbols that carry no words go; those inside numbers and Latin words stay.

A symbol stays where it joins digits (8:30, 2/3, 5~7, 5 ~ 7), stands before a digit or a Latin
letter and after a word (3월~5월, 010-1234, A/S, K-pop), or is the sign of a number (-3도). What is
removed between two words leaves a space, so that the words do not grow together; after a closing
bracket or quotation mark there stands a particle, which must.
"""

import re
from collections.abc import Callable

from prep.cleaning.rule import TextRule
from prep.text import one_line

SYMBOLS = r"[~～!><@_/\-ᆢ:;()^]"  # those of seed 002, and the wide tilde
SPECIAL = r"(?:[^\w\s.,?%]|_)"  # whatever is no letter, digit, space or mark of a sentence
JAMO = "ㄱ-ㅎㅏ-ㅣ"
_CLOSING = re.compile(r"[)>\]}\"'”’」』]+")
_BETWEEN_DIGITS = r"(?<=\d)(?: (?P<spaced>[:/~-]) |(?P<close>[:/~-])(?P=close)*)(?=\d)"
# name1 will be 화자1, which is no Latin word
_AFTER_A_WORD = r"(?<=[^\W_]|%)[/~-](?=[0-9A-Za-z])(?!name\d)"
_SIGN = r"(?<![^\W_])-(?=\d)"


def remover(symbols: str) -> Callable[[str], str]:
    """A rule that removes the symbols of a character class where they join nothing."""
    kept = f"{_BETWEEN_DIGITS}|(?P<join>{_AFTER_A_WORD}|{_SIGN})"
    pattern = re.compile(f"{kept}|(?:(?!{_SIGN}){symbols})+")

    def replacement(found: re.Match[str]) -> str:
        if joint := found["spaced"] or found["close"] or found["join"]:
            return joint
        text, start, end = found.string, found.start(), found.end()
        before, after = text[max(start - 1, 0) : start], text[end : end + 1]
        if not before.strip() or not re.match(r"[\w-]", after):
            return ""
        # ㅠ_ㅠ is one face, not two letters
        face = re.fullmatch(f"[{JAMO}]{{2}}", before + after)
        particle = _CLOSING.fullmatch(found[0]) and not after.isdigit()
        return "" if face or particle else " "

    return lambda text: one_line(pattern.sub(replacement, text))


RULES = (
    TextRule(
        "symbols",
        "the symbols `~ ! > < @ _ / - ᆢ : ; ( ) ^` go, except in numbers and Latin words",
        (
            ("8:30에 5~7명이 와요!! (친구들)", "8:30에 5~7명이 와요 친구들"),
            ("와~진짜요? 영하 -3도였어^^;;", "와 진짜요? 영하 -3도였어"),
            ("A/S는 (그 번호)로, 010-1234!", "A/S는 그 번호로, 010-1234"),
        ),
        remover(SYMBOLS),
    ),
)
