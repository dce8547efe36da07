"""Rules on a dialogue: empty utterances are dropped, consecutive ones of a speaker merged."""

from collections.abc import Sequence, Set

from core.records import Turn
from prep.cleaning.rule import TurnsRule


def empty(turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
    """The utterances that have a text, and all references."""
    return [turn for turn in turns if turn.text.strip() or turn.id in focus]


def merge(turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
    """Consecutive utterances of a speaker as one under the first one's id; no reference is one."""
    merged: list[Turn] = []
    for turn in turns:
        last = merged[-1] if merged else None
        if last and last.speaker == turn.speaker and not {last.id, turn.id} & focus:
            merged[-1] = last.model_copy(update={"text": f"{last.text} {turn.text}"})
        else:
            merged.append(turn)
    return merged


RULES = (
    TurnsRule(
        "empty",
        "an utterance without text is dropped, unless it is a reference",
        (
            ("화자1: 갔어? / 화자2: / 화자1: 응", "화자1: 갔어? / 화자1: 응"),
            ("화자1: 갔어? / 화자2*: ㅋㅋ", "화자1: 갔어? / 화자2*: ㅋㅋ"),
        ),
        empty,
    ),
    TurnsRule(
        "merge",
        "consecutive utterances of a speaker become one, never across or into a reference (*)",
        (
            ("화자1: 밥은? / 화자1: 먹었어? / 화자2: 응", "화자1: 밥은? 먹었어? / 화자2: 응"),
            (
                "화자1: 비 온다 / 화자1*: 우산 없어 / 화자1: 어쩌지",
                "화자1: 비 온다 / 화자1*: 우산 없어 / 화자1: 어쩌지",
            ),
        ),
        merge,
    ),
)
