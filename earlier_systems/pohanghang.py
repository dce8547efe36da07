"""Pohanghang's nine cleaning steps (oneonlee/KR-Conversation-Inference_Refined), defects included.

They are here to be compared with, not to be used: they lose numbers, meaning and references. The
ninth step, the merging of utterances, is the rule `merge`. The library `regex` is the team's own,
whose idea of a word and of whitespace differs from that of `re` in rare characters.
"""

from collections.abc import Callable, Sequence, Set
from typing import Any, NamedTuple

import regex

from core.records import Turn


def step1_spaces(text: str) -> str:
    """Newlines are spaces; two spaces become one, in one pass, so that of four two remain."""
    return text.replace("\n", " ").replace("  ", " ")


def step2_eung(text: str) -> str:
    """ㅇㅇ is 응, but only with whitespace around it."""
    return regex.sub(r"(?<!\S)ㅇㅇ+(?!\S)", "응", text)


def step3_marks(text: str) -> str:
    """Four dots or more are three; two question marks or more are two."""
    return regex.sub(r"\?\?+", "??", regex.sub(r"\.{4,}", "...", text))


def step4_symbols(text: str) -> str:
    """Fourteen symbols go wherever they stand: 8:30 is 830, 2/3 is 23, two words become one."""
    return text.translate(dict.fromkeys(map(ord, "~!><@_/-ᆢ:;()^")))


def step5_greetings(text: str) -> str:
    """Words that begin with 안녕 or 반갑습 go, in 안녕히 주무셨어요 as well."""
    return regex.sub(r"\b(?:안녕|반갑습)\w*", "", text)


def step6_names(text: str) -> str:
    """name1 and name2 are 화자1 and 화자2, in name12 as well; brackets stay."""
    return text.replace("name1", "화자1").replace("name2", "화자2")


def step7_jamo(text: str) -> str:
    """All bare jamo go: laughter, tears, ㅇㅈ and ㄱㅅ alike."""
    return regex.sub(r"[ㄱ-ㅎㅏ-ㅣ]+", "", text)


def step8_wordless(text: str) -> str:
    """A text without a Hangul syllable but with a symbol is empty, so are OK. and 100%."""
    if not regex.search(r"[가-힣]", text) and regex.search(r"[^\w\s]", text):
        return ""
    return text.strip()


def step8_empty(turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
    """Utterances without text go, references among them."""
    return [turn for turn in turns if turn.text]


def short(turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
    """Utterances of one character or none go, references among them.

    No part of the nine steps: the team's prompt builder does it, to cleaned and raw data alike.
    """
    return [turn for turn in turns if len(turn.text) > 1]


class CleaningStep(NamedTuple):
    """A step: its name, what it does, texts or dialogues before and after it, its function."""

    name: str
    what: str
    examples: tuple[tuple[str, str], ...]
    change: Callable[..., Any]


def _text(name: str, change: Callable[[str], str], *examples: tuple[str, str]) -> CleaningStep:
    what = (change.__doc__ or "").rstrip(".")
    return CleaningStep(f"pohanghang-{name}", what[:1].lower() + what[1:], examples, change)


ON_TEXTS = (
    _text("spaces", step1_spaces, ("가나\n다    라", "가나 다  라")),
    _text("eung", step2_eung, ("ㅇㅇㅇ 알았어", "응 알았어"), ("ㅇㅇ, 갈게", "ㅇㅇ, 갈게")),
    _text("marks", step3_marks, ("글쎄..... 정말???", "글쎄... 정말??")),
    _text("symbols", step4_symbols, ("8:30에 2/3만, 5~7명!", "830에 23만, 57명")),
    _text("greetings", step5_greetings, ("엄마 안녕히 주무셨어요?", "엄마  주무셨어요?")),
    _text("names", step6_names, ("[name1]아, name12도?", "[화자1]아, 화자12도?")),
    _text("jamo", step7_jamo, ("그건 ㅇㅈㅋㅋ", "그건 ")),
    _text("wordless", step8_wordless, ("100%", ""), ("OK.", ""), (" 좋아 ", "좋아")),
)
EMPTY = CleaningStep(
    "pohanghang-empty",
    "utterances without text go, references (*) among them",
    (("화자1: 갔어? / 화자2*: / 화자1: 응", "화자1: 갔어? / 화자1: 응"),),
    step8_empty,
)
SHORT = CleaningStep(
    "pohanghang-short",
    "utterances of one character or none go, references (*) among them; the team's prompt builder "
    "did it on top of the nine steps",
    (("화자1: 갔어? / 화자2*: 응", "화자1: 갔어?"),),
    short,
)
