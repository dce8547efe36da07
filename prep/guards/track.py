"""The rules of the competition's two tracks, and what breaks them.

| rule (인공지능 말평 2024)                     | 가 (`ga`)     | 나 (`na`)     |
|---------------------------------------------|---------------|---------------|
| data besides the corpus of the task         | refused       | allowed       |
| augmentation: whatever adds training rows   | refused       | allowed       |
| a model published after 2024-07-01          | refused       | refused       |
| a licence that forbids commercial use       | flagged       | flagged       |
| a date or licence that nobody has looked up | flagged       | flagged       |

Showing each question once, its options in another order than published, adds no row: in track 가 it
is flagged, not refused. So is a preference of the right option before a wrong one of its question.
Licences are flagged because the rules ask for open models with a clean licence, and leave it to the
jury what that is. Without a track, only licences are looked at.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

from core.errors import UserError
from core.option_orders import ADDS_ROWS, Orders

Track = Literal["ga", "na"]
NAMES: dict[Track, str] = {"ga": "가", "na": "나"}
NEWEST_MODEL = date(2024, 7, 1)  # this day itself is allowed


class SourceFacts(Protocol):
    """What the register of sources says of one."""

    @property
    def name(self) -> str:
        """The name its rows carry."""

    @property
    def licence(self) -> str | None:
        """Its licence, or None where that is not known."""

    @property
    def non_commercial(self) -> bool | None:
        """Whether the licence forbids commercial use, or None where that is not known."""

    @property
    def tracks(self) -> Collection[Track]:
        """The tracks that may train on it."""


@dataclass(frozen=True)
class ModelFacts:
    """What must be known of a base model; None stands for unknown."""

    name: str
    published: date | None
    licence: str | None
    non_commercial: bool | None


@dataclass(frozen=True)
class Finding:
    """Something that breaks a rule (refused), or that a person must look at (flagged)."""

    subject: str
    verdict: Literal["refused", "flagged"]
    reason: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"


def check_sources(track: Track | None, sources: Iterable[SourceFacts]) -> list[Finding]:
    """What the sources of a run break, in their order."""
    found = []
    for source in sources:
        if track and track not in source.tracks:
            reason = f"track {NAMES[track]} allows no data besides the corpus; leave it out"
            found.append(Finding(source.name, "refused", reason))
        found += _licence(source.name, source.licence, source.non_commercial)
    return found


def check_model(track: Track | None, model: ModelFacts) -> list[Finding]:
    """What a base model breaks."""
    found = []
    if track and model.published is None:
        reason = f"publication date unknown; no model after {NEWEST_MODEL} may be used, look it up"
        found.append(Finding(model.name, "flagged", reason))
    elif track and model.published is not None and model.published > NEWEST_MODEL:
        reason = f"published {model.published}, after {NEWEST_MODEL}; use an older model"
        found.append(Finding(model.name, "refused", reason))
    return found + _licence(model.name, model.licence, model.non_commercial)


def check_augmentation(
    track: Track | None, orders: Orders, weights: Mapping[str, float]
) -> list[Finding]:
    """What a run's orders of options and the weights of its sources break."""
    if track != "ga":
        return []
    reason = "track 가 allows no augmentation, and {} adds training rows; {}"
    found = []
    if orders in ADDS_ROWS:
        why = reason.format("every further order", "choose published or balanced")
        found.append(Finding(f"orders {orders}", "refused", why))
    elif orders != "published":
        why = "shows options in another order than published, though it adds no row"
        found.append(Finding(f"orders {orders}", "flagged", why))
    for name, weight in weights.items():
        if weight > 1:
            why = reason.format("a repeat", "train more epochs instead")
            found.append(Finding(f"{name}, weight {weight:g}", "refused", why))
    return found


def enforce(found: Iterable[Finding]) -> list[str]:
    """What is flagged, as sentences; raises `UserError` where anything is refused."""
    everything = list(found)
    if refused := [str(one) for one in everything if one.verdict == "refused"]:
        raise UserError(". ".join(refused))
    return [str(one) for one in everything]


def _licence(name: str, licence: str | None, non_commercial: bool | None) -> list[Finding]:
    if non_commercial:
        reason = f"licence {licence or 'unknown'} forbids commercial use; ask whether it may count"
    elif licence is None or non_commercial is None:
        reason = f"licence {licence or 'unknown'}, commercial use not looked up; look it up"
    else:
        return []
    return [Finding(name, "flagged", reason)]
