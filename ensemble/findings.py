"""What is found of one member, one category and one item of an ensemble, and how JSON has it."""

from dataclasses import dataclass
from typing import Any

from eval.accuracy import Tally
from eval.significance import Difference


@dataclass(frozen=True)
class Member:
    """One member: its own score, the items it abstained on, and how the vote compares."""

    name: str
    score: Tally
    abstained: list[str]
    without: Difference  # the vote's accuracy without the member, less that with it
    gain: Difference  # the vote's accuracy less the member's
    won: int  # items that the vote has right and the member wrong
    lost: int

    @property
    def verdict(self) -> str:
        """What the vote loses or wins without it, and whether the two votes differ.

        "helps" and "may help": the vote is worse without it; "only noise" and "harms": it is not.
        In the second and third the difference may be chance.
        """
        if self.without.value < 0:
            return "helps" if self.without.differs else "may help"
        return "harms" if self.without.differs else "only noise"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        without = self.without.as_dict() | {"verdict": self.verdict}
        gain = self.gain.as_dict() | {"won": self.won, "lost": self.lost}
        known = {"abstained": self.abstained, "without": without, "gain": gain}
        return self.score.as_dict() | known


@dataclass(frozen=True)
class Category:
    """The items of one category: how many, and how many are right or flip."""

    n: int
    vote: int
    members: float  # the members' mean share of right answers
    none: int  # items that no member has right
    gained: int
    lost: int


@dataclass(frozen=True)
class Item:
    """One row and how members voted; options from 0, `vote` and `best` None without an answer."""

    id: str
    category: str
    answer: int
    votes: list[int]
    vote: int | None
    best: int | None
