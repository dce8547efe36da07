"""How tables write options and answers: labels such as ①, A and 가, numbers, and numbered texts."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from core.records import LABELS
from core.text import one_line
from prep.sources.mapping import as_key

CIRCLED = tuple("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳㉑㉒㉓㉔㉕㉖")
SYLLABLES = tuple("가나다라마바사아자차카타파하")
SERIES = {"A": LABELS, "①": CIRCLED, "가": SYLLABLES}
NUMBER = re.compile(r"[(\[]?\s*(-?\d{1,3})(?:\.0+)?\s*[)\].]?\s*번?")
LABEL = re.compile(r"[(\[]?\s*(\S)\s*[)\].:]*\s*(.*)", re.DOTALL)


def option_of(
    value: Any, answers: str | None, options: Sequence[str], keys: Sequence[str] | None = None
) -> int | None:
    """The index of the option that an answer names, or None where it names none.

    `answers` is the notation that the mapping states; with `keys`, those of fixed options, an
    answer is one of them. A number may be out of range: it is not looked at here.
    """
    if keys is not None:
        return keys.index(as_key(value)) if as_key(value) in keys else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        return int(value) if answers == "from 0" else None
    said = one_line(str(value))
    if answers == "text":
        return options.index(said) if list(options).count(said) == 1 else None
    if answers in SERIES:
        found = LABEL.fullmatch(said)
        series = SERIES[answers][: len(options)]
        label = found[1].upper() if found else ""
        if found is None or label not in series:
            return None
        place = series.index(label)
        return place if found[2] in ("", options[place]) else None
    number = NUMBER.fullmatch(said)
    return int(number[1]) - (answers == "from 1") if number else None


def written(choice: int, answers: str | None, options: Sequence[str]) -> str | int:
    """An answer as the mapping writes it; a number where it counts."""
    if answers == "text":
        return options[choice]
    if answers in SERIES:
        return SERIES[answers][choice]
    return choice + (answers == "from 1")


def notations(values: Sequence[Any], options: Sequence[Sequence[str]]) -> list[str]:
    """The notations in which every one of these answers names an option; for proposals alone."""
    return [
        answers
        for answers in ("A", "①", "가", "text", "from 1", "from 0")
        if values
        and all(
            (place := option_of(value, answers, shown)) is not None and 0 <= place < len(shown)
            for value, shown in zip(values, options, strict=True)
        )
    ]


def split_numbered(text: str) -> list[str]:
    """The options of one text that numbers them: ① …, 1) …, (1) …, 1. …, A) … or 가. …

    Raises `ValueError`, in words, where the text begins with no such number, or where it does not
    tell in one way where an option ends.
    """
    for series in (CIRCLED, tuple(map(str, range(1, len(LABELS) + 1))), LABELS, SYLLABLES):
        marks = [_mark(label, series is CIRCLED) for label in series]
        first = marks[0].match(text.lstrip())
        if first is None:
            continue
        found = [[*mark.finditer(text)] for mark in marks]
        count = next((k for k, each in enumerate(found) if not each), len(found))
        for label, each in zip(series, found[:count], strict=False):
            if len(each) > 1:
                raise ValueError(f"has the number {label} {len(each)} times")
        places = [each[0] for each in found[:count]]
        if any(one.start() >= two.start() for one, two in pairwise(places)):
            raise ValueError("has its numbers in another order than they count")
        ends = [*(place.start() for place in places[1:]), len(text)]
        return [text[p.end() : end].strip() for p, end in zip(places, ends, strict=True)]
    raise ValueError("begins with no number such as ①, 1), 1., A) or 가.")


def _mark(label: str, circled: bool) -> re.Pattern[str]:
    """A number in front of an option: at the start or behind a space, and no decimal point."""
    plain = re.escape(label)
    return re.compile(plain if circled else rf"(?<!\S)(?:\({plain}\)|{plain}[).](?!\d))\s*")
