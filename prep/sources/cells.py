"""What one cell of a table can hold besides plain text: literals, options and answers, dialogues.

Public sets write lists as text, answers as labels such as ①, A and 가 or as numbers, options as one
numbered text, and dialogues as lines of "화자1: …". Nothing is evaluated.
"""

import ast
import io
import json
import re
import tokenize
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from core.errors import UserError
from core.records import LABELS, Turn
from core.text import nfc, one_line, present, short, writable
from prep.sources.mapping import as_key

LONGEST = 200_000  # characters; exam questions have some hundreds
NOT_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
NOT_LITERAL += (tokenize.TokenError,)
LITERAL_NAMES = {"nan": None, "NaN": None, "null": None, "true": True, "false": False}


class _Named(ast.NodeTransformer):
    """The names that JSON and numpy write for values of Python."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(LITERAL_NAMES[node.id]) if node.id in LITERAL_NAMES else node


def literal(text: str, where: str) -> Any:
    """The value of JSON or a Python literal (strings, numbers, lists, dictionaries).

    "nan", however it is written, is None. Raises `UserError`, also where a list lacks its commas as
    numpy writes it: Python would join its texts.
    """
    if len(text) > LONGEST:
        raise UserError(
            f"{where}: {len(text)} characters, more than {LONGEST}; shorten or delete the record"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of backslashes in the text
            return writable(_value(text.strip()), where)
    except NOT_LITERAL:
        raise UserError(
            f"{where}: neither JSON nor a Python literal; correct or delete the record"
        ) from None


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError:
        pass
    value = ast.literal_eval(_Named().visit(ast.parse(text, mode="eval")))
    strings = [token.type == tokenize.STRING for token in _tokens(text)]
    if any(first and second for first, second in pairwise(strings)):
        raise ValueError("two texts without a comma")
    return value


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token for token in tokens if token.type != tokenize.NL]


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
        known = [as_key(key) for key in keys]
        return known.index(as_key(value)) if as_key(value) in known else None
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
    tell in one way where an option ends, as where a number is left out.
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
        if any(found[count + 1 : count + 2]):
            raise ValueError(f"has the number {series[count + 1]}, but no {series[count]}")
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


SPEAKER_KEYS = ("speaker", "speaker_id", "role", "from", "화자", "name")
TEXT_KEYS = ("text", "utterance", "content", "value", "발화", "form", "sentence")
ID_KEYS = ("id", "utterance_id", "turn_id")
SPOKEN_LINE = re.compile(r"\s*([^\s:：][^:：]{0,29}?)\s*[:：]\s*(.+)", re.DOTALL)
NO_SPEAKER = re.compile(r"\s*\w+://|[^:：]*(?<![^\W_])\d{1,2}[:：]\d\d(?!\d)")  # addresses, times
LISTED = re.compile(r"\s*\[\s*[\[{\"'\]]")  # a list of turns, where [민지] is a speaker


def turns_of(value: Any, where: str) -> list[tuple[str | None, str, str]]:
    """(own id or None, speaker, text) of each turn.

    Raises `ValueError`, in words, for another form, and `UserError` for a broken list.
    """
    if isinstance(value, str):
        value = literal(value, where) if LISTED.match(value) else _lines(value)
    if not isinstance(value, list) or not value:
        raise ValueError(f"is a {type(value).__name__}, no list of turns and no lines of a speaker")
    return [_turn(one, number) for number, one in enumerate(value, start=1)]


def focus_of(value: Any, turns: Sequence[Turn], where: str) -> list[str]:
    """Ids of the turns that a reference names: by id, by number from 1, or by their text.

    Raises `ValueError` where it names none.
    """
    if isinstance(value, str) and value.strip().startswith("["):
        value = literal(value, where)
    named = value if isinstance(value, list) else [value]
    texts = [one_line(turn.text) for turn in turns]
    ids = [turn.id for turn in turns]
    found: list[str] = []
    for one in named:
        if present(one) is None:
            continue
        said = one_line(str(int(one) if isinstance(one, float) and one.is_integer() else one))
        if said in ids:
            found.append(said)
        elif texts.count(said) == 1:
            found.append(ids[texts.index(said)])
        elif isinstance(one, str) and len(parts := re.split(r"\s*[,;]\s*", said)) > 1:
            found += focus_of(parts, turns, where)
        else:
            raise ValueError(f"{short(said)!r} is no turn (the turns are {', '.join(ids[:9])})")
    return list(dict.fromkeys(found))


def _lines(text: str) -> list[str]:
    return [line for line in nfc(text).split("\n") if line.strip()]


def _turn(one: Any, number: int) -> tuple[str | None, str, str]:
    if isinstance(one, dict):
        speaker, text, own = (
            next((one[key] for key in keys if present(one.get(key)) is not None), None)
            for keys in (SPEAKER_KEYS, TEXT_KEYS, ID_KEYS)
        )
        named = TEXT_KEYS if speaker is not None else SPEAKER_KEYS
        empty = next((key for key in named if key in one and present(one[key]) is None), None)
        if (speaker is None or text is None) and empty:
            raise ValueError(f"has in turn {number} an empty {empty}; fill it or delete the turn")
        if speaker is None or not isinstance(text, str):
            raise ValueError(
                f"has in turn {number} no speaker or no text (its keys: {', '.join(one)}); call "
                "them speaker and text"
            )
        name = f"화자{speaker}" if str(speaker).isdecimal() else str(speaker)
        return None if own is None else nfc(str(own)), one_line(name), text
    found = SPOKEN_LINE.fullmatch(one) if isinstance(one, str) else None
    if found is None or NO_SPEAKER.match(one):
        raise ValueError(f"has in line {number} no speaker before a colon ({short(one)!r})")
    return None, one_line(found[1]), found[2]
