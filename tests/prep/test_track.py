"""The rules of the tracks, one case a line, and how they end a build."""

from dataclasses import dataclass
from datetime import date

import pytest

from core.errors import UserError
from prep.guards.track import (
    Finding,
    ModelFacts,
    Track,
    check_augmentation,
    check_model,
    check_sources,
    enforce,
)


@dataclass(frozen=True)
class Facts:
    name: str
    licence: str | None = "CC-BY-4.0"
    non_commercial: bool | None = False
    tracks: tuple[Track, ...] = ("na",)


CORPUS = Facts("corpus", tracks=("ga", "na"))


def verdicts(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.subject, finding.verdict) for finding in found]


@pytest.mark.parametrize(
    ("track", "source", "wanted"),
    [
        ("ga", CORPUS, []),
        ("na", CORPUS, []),
        ("ga", Facts("set"), ["refused"]),
        ("na", Facts("set"), []),
        (None, Facts("set", tracks=()), []),
        ("na", Facts("set", tracks=("ga",)), ["refused"]),
        ("na", Facts("set", "CC-BY-NC-4.0", True), ["flagged"]),
        ("ga", Facts("set", "CC-BY-NC-4.0", True), ["refused", "flagged"]),
        (None, Facts("set", None, None), ["flagged"]),
        ("na", Facts("set", "own terms", None), ["flagged"]),
    ],
)
def test_sources(track: Track | None, source: Facts, wanted: list[str]) -> None:
    found = check_sources(track, [CORPUS, source] if source != CORPUS else [source])
    assert verdicts(found) == [(source.name, verdict) for verdict in wanted]


@pytest.mark.parametrize(
    ("track", "published", "wanted"),
    [
        ("ga", date(2024, 6, 27), []),
        ("na", date(2024, 7, 1), []),
        ("na", date(2024, 7, 2), ["refused"]),
        ("ga", date(2024, 7, 2), ["refused"]),
        ("ga", None, ["flagged"]),
        (None, date(2025, 1, 1), []),
        (None, None, []),
    ],
)
def test_models(track: Track | None, published: date | None, wanted: list[str]) -> None:
    model = ModelFacts("owner/model", published, "Apache-2.0", False)
    assert verdicts(check_model(track, model)) == [("owner/model", verdict) for verdict in wanted]


def test_a_models_licence_is_flagged_with_the_reason() -> None:
    model = ModelFacts("owner/model", date(2024, 1, 1), "CC-BY-NC-4.0", True)
    [finding] = check_model("na", model)
    assert str(finding) == (
        "owner/model: licence CC-BY-NC-4.0 forbids commercial use; ask whether it may count"
    )


@pytest.mark.parametrize(
    ("track", "orders", "weight", "wanted"),
    [
        ("ga", "published", 1.0, []),
        ("ga", "published", 0.5, []),
        ("ga", "balanced", 1.0, [("orders balanced", "flagged")]),
        ("ga", "cyclic", 1.0, [("orders cyclic", "refused")]),
        ("ga", "all", 1.0, [("orders all", "refused")]),
        ("ga", "published", 1.5, [("corpus, weight 1.5", "refused")]),
        ("na", "all", 3.0, []),
        (None, "all", 3.0, []),
    ],
)
def test_augmentation(
    track: Track | None, orders: str, weight: float, wanted: list[tuple[str, str]]
) -> None:
    assert verdicts(check_augmentation(track, orders, {"corpus": weight})) == wanted


def test_flagged_findings_become_notes_and_refused_ones_end_the_build() -> None:
    flagged = Finding("a", "flagged", "look at it")
    assert enforce([flagged]) == ["a: look at it"]
    refused = [Finding(name, "refused", "leave it out") for name in ("b", "c")]
    with pytest.raises(UserError, match=r"^b: leave it out\. c: leave it out$"):
        enforce([flagged, *refused])
