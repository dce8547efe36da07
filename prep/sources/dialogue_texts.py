"""Dialogues as tables hold them: a list of speakers and texts, or lines of "화자1: …"."""

import re
from collections.abc import Sequence
from typing import Any

from core.records import Turn
from core.text import nfc, one_line, present, short
from prep.sources.literal import literal

SPEAKER = ("speaker", "speaker_id", "role", "from", "화자", "name")
TEXT = ("text", "utterance", "content", "value", "발화", "form", "sentence")
ID = ("id", "utterance_id", "turn_id")
LINE = re.compile(r"\s*([^\s:：][^:：]{0,29}?)\s*[:：]\s*(.+)", re.DOTALL)


def turns_of(value: Any, where: str) -> list[tuple[str | None, str, str]]:
    """(own id or None, speaker, text) of each turn.

    Raises `ValueError`, in words, for another form, and `UserError` for a broken list.
    """
    if isinstance(value, str):
        text = value.strip()
        value = literal(text, where) if text.startswith("[") else _lines(text)
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
            for keys in (SPEAKER, TEXT, ID)
        )
        if speaker is None or not isinstance(text, str):
            raise ValueError(
                f"has in turn {number} no speaker or no text (its keys: {', '.join(one)}); call "
                "them speaker and text"
            )
        named = f"화자{speaker}" if str(speaker).isdecimal() else str(speaker)
        return None if own is None else nfc(str(own)), one_line(named), text
    found = LINE.fullmatch(one) if isinstance(one, str) else None
    if found is None:
        raise ValueError(f"has in line {number} no speaker before a colon ({short(one)!r})")
    return None, one_line(found[1]), found[2]
