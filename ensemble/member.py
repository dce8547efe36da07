"""What is found of one member: its score, what the vote is without it, and has over it."""

from dataclasses import dataclass
from typing import Any

from eval.accuracy import Tally
from eval.significance import Difference, mcnemar

DECIMALS = 6


def as_json(change: Difference) -> dict[str, Any]:
    """A difference and its interval for JSON."""
    low, high = round(change.low, DECIMALS), round(change.high, DECIMALS)
    return {"difference": round(change.value, DECIMALS), "bootstrap95": [low, high]}


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
        without = as_json(self.without) | {"verdict": self.verdict}
        gain = as_json(self.gain) | {"won": self.won, "lost": self.lost}
        gain["mcnemar_p"] = round(self.p_value, DECIMALS)
        known = {"abstained": self.abstained, "without": without, "gain": gain}
        return self.score.as_dict() | known

    @property
    def p_value(self) -> float:
        """McNemar's, that the vote and the member are equally often right."""
        return mcnemar(self.won, self.lost)
