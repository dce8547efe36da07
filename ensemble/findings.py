"""What is found of one member, one category and one item of an ensemble, and how JSON has it."""

from dataclasses import dataclass
from typing import Any

from eval.accuracy import Tally
from eval.significance import Difference, mcnemar

DECIMALS = 6  # of a figure in JSON


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
        """What the vote loses or wins without it, and whether the interval leaves that open.

        "helps" and "may help": the vote is worse without it; "only noise" and "harms": it is not.
        The second and third are estimates whose interval holds 0.
        """
        if self.without.value < 0:
            return "helps" if self.without.high < 0 else "may help"
        return "harms" if self.without.low > 0 else "only noise"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        without = rounded(self.without) | {"verdict": self.verdict}
        gain = rounded(self.gain) | {"won": self.won, "lost": self.lost}
        gain["mcnemar_p"] = round(self.p_value, DECIMALS)
        known = {"abstained": self.abstained, "without": without, "gain": gain}
        return self.score.as_dict() | known

    @property
    def p_value(self) -> float:
        """McNemar's, that the vote and the member are equally often right."""
        return mcnemar(self.won, self.lost)


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


def rounded(found: Difference) -> dict[str, Any]:
    """A difference for JSON, without its p-value."""
    low, high = round(found.low, DECIMALS), round(found.high, DECIMALS)
    return {"difference": round(found.value, DECIMALS), "bootstrap95": [low, high]}
