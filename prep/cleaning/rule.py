"""What a cleaning rule is: one on single texts, or one on the utterances of a dialogue."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from core.records import Turn


@dataclass(frozen=True)
class TextRule:
    """A rule on one text: an utterance, an option, or either, as `places` says.

    A rule that `spares` references leaves one of which it would keep nothing as it is.
    """

    name: str
    what: str
    examples: tuple[tuple[str, str], ...]
    change: Callable[[str], str]
    places: tuple[Literal["turns", "options"], ...] = ("turns",)
    spares: bool = True

    def turns(self, turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
        """The utterances after the rule; `focus` holds the ids of the references."""
        if "turns" not in self.places:
            return list(turns)
        return [self._turn(turn, turn.id in focus) for turn in turns]

    def _turn(self, turn: Turn, reference: bool) -> Turn:
        text = self.change(turn.text)
        lost = turn.text.strip() and not text.strip()
        if text == turn.text or (lost and reference and self.spares):
            return turn
        return turn.model_copy(update={"text": text})

    def options(self, options: Sequence[str]) -> list[str]:
        """The options after the rule, or as they were if it would make two of them equal."""
        if "options" not in self.places:
            return list(options)
        changed = [self.change(option) for option in options]
        return changed if len(set(changed)) == len(set(options)) else list(options)


@dataclass(frozen=True)
class TurnsRule:
    """A rule that drops or joins utterances; an example's reference is marked by an asterisk."""

    name: str
    what: str
    examples: tuple[tuple[str, str], ...]
    change: Callable[[Sequence[Turn], Set[str]], list[Turn]]

    def turns(self, turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
        """The utterances after the rule; `focus` holds the ids of the references."""
        return self.change(turns, focus)

    def options(self, options: Sequence[str]) -> list[str]:
        """The options as they are."""
        return list(options)


Rule = TextRule | TurnsRule
