"""A diagnosis in sentences and tables, the same for terminal and page; options count from 1."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ensemble.diagnosis import pictures
from ensemble.diagnosis.diagnosis import Diagnosis, ItemResult
from eval.metrics.accuracy import Accuracy, wilson
from eval.metrics.significance import LEVEL, Difference, p_value_text, verdict

MEASURES = {
    "agreement": "agreement",
    "kappa": "Cohen's kappa",
    "double_fault": "double fault",
    "disagreement": "disagreement",
    "q": "Q",
}
SELECTION = (
    "Choosing members by this, on the items reported on, is selection: it flatters the vote of "
    "those chosen, so judge them on other items."
)


@dataclass(frozen=True)
class Section:
    """One subject: its caption, its picture, and its table, of which `names` columns are names."""

    name: str
    title: str
    caption: str
    draw: Callable[[Diagnosis], Figure] | None
    head: list[str]
    lines: list[list[str]]
    names: int = 1


def sentences(found: Diagnosis) -> Iterator[str]:
    """What a person needs to know first."""
    n = len(found.labelled.rows)
    yield (
        f"The hard vote of {len(found.members)} members has {_score(found.score)}: {n:,} items of "
        f"{len({row.group for row in found.labelled.rows}):,} dialogues or passages."
    )
    if found.too_few:
        yield f"{found.too_few}. What follows is said of these items alone."
    best = found.best
    gained, lost = len(found.gained), len(found.lost)
    known = found.gain.interval is not None
    interval = f" (95 % interval over dialogues {_interval(found.gain)})" if known else ""
    yield (
        f"The best member, {best.name}, has {_score(best.score)}. The vote's gain over it is "
        f"{_points(found.gain.value)}{interval}; it "
        f"wins {gained:,} items and loses {lost:,}: "
        f"{verdict(found.gain, 'the vote', 'the best member', n)}. That member was found best on "
        "these same items, which flatters it."
    )
    majority = found.ladder["majority"] / n
    faults = found.double_faults
    yield (
        f"More than half of the members are right on {majority:.1%} of the items; were their "
        f"errors independent, it would be {found.majority_if_independent:.1%}. Two members are "
        f"both wrong on {faults[0]:.1%} on average; independent ones would be on {faults[1]:.1%}."
    )
    noise = [m.name for m in found.members if m.without.value >= 0]
    harmful = [m.name for m in found.members if m.verdict == "harms"]
    if noise:
        harm = f", and {_listed(harmful)} harms the vote" if harmful else ""
        yield (
            f"The vote is not lower without {_listed(noise)}: each of them, taken alone, adds only "
            f"noise on these items{harm}. {SELECTION}"
        )
    else:
        yield f"The vote is lower without any single one of its members. {SELECTION}"
    if found.tied:
        yield f"{found.tied:,} items tie; the vote's rule for ties decides them."
    silent = [f"{m.name} ({len(m.abstained):,})" for m in found.members if m.abstained]
    if silent:
        yield f"No readable answer from {_listed(silent)}: it counts as wrong, and casts no vote."


def sections(found: Diagnosis) -> list[Section]:
    """All subjects in the order of the page."""
    return [
        Section(
            "members",
            "Members",
            "Accuracy with its 95 % Wilson interval. The table keeps the order in which the files "
            "were named; its numbers stand for the members in the heat maps below.",
            pictures.accuracies,
            ["member", "right", "accuracy", "95 % interval", "no answer"],
            [
                [f"{place} {m.name}", *_scores(m.score), f"{len(m.abstained):,}"]
                for place, m in enumerate(found.members, start=1)
            ]
            + [["hard vote", *_scores(found.score), ""]],
        ),
        Section(
            "gain",
            "Gain over each member",
            "The vote's accuracy less the member's, with its 95 % interval over dialogues, which "
            f"holds for all members at once and leaves 0 out where p is at most {LEVEL}; items "
            "that only the vote or only the member has right.",
            pictures.gains,
            ["over", "gain", "95 % interval", "won", "lost", "p"],
            [
                [
                    *(m.name, _points(m.gain.value), _interval(m.gain)),
                    *(f"{m.won:,}", f"{m.lost:,}", _p(m.gain)),
                ]
                for m in sorted(found.members, key=lambda member: -member.score.accuracy)
            ],
        ),
        Section(
            "bounds",
            "Bounds",
            "Ever weaker conditions. A vote that follows the most votes ends between the third and "
            "the fifth; no choice among the members' answers passes the last.",
            pictures.bounds,
            ["condition", "items", "share"],
            [
                [pictures.LADDER[name], f"{count:,}", f"{count / len(found.labelled.rows):.1%}"]
                for name, count in found.ladder.items()
            ],
        ),
        Section(
            "left-out",
            "Without one member",
            "How the vote's accuracy changes without each member, with its 95 % interval over "
            "dialogues, which holds for all members at once. The member helps, or may help, where "
            "the vote is lower without it; else it adds only noise, or harms. It helps or harms "
            "where the interval leaves 0 out.",
            pictures.left_out,
            ["without", "change", "95 % interval", "the member"],
            [
                [m.name, _points(m.without.value), _interval(m.without), m.verdict]
                for m in sorted(found.members, key=lambda member: member.without.value)
            ],
        ),
        Section(
            "answers",
            "Answers alike",
            "Agreement of every two members, and kappa, which takes off what chance would give "
            "them; of the items that both answered.",
            pictures.answers_alike,
            *_pairs(found, ["agreement", "kappa"]),
            names=4,
        ),
        Section(
            "errors",
            "Errors alike",
            "Double fault: the share of items that two members both have wrong. Disagreement: that "
            "exactly one has right. Q: 0 where errors are independent, 1 where they coincide.",
            pictures.errors_alike,
            *_pairs(found, ["double_fault", "disagreement", "q"]),
            names=4,
        ),
        Section(
            "together",
            "Wrong together",
            "On how many items so many members are wrong, and on how many they would be, were "
            "their errors independent. From the dashed line on, no more than half are right.",
            pictures.wrong_together,
            ["members wrong", "items", "if independent"],
            [
                [f"{k}", f"{count:,}", f"{expected:,.1f}"]
                for k, (count, expected) in enumerate(
                    zip(found.wrong, found.wrong_if_independent, strict=True)
                )
            ],
        ),
        Section(
            "categories",
            "Flips by category",
            f"Items that the vote has right and the best member, {found.best.name}, wrong (won), "
            "and the other way round (lost).",
            pictures.flips,
            ["category", "items", "vote", "members' mean", "none right", "won", "lost"],
            [
                [name, f"{c.n:,}", f"{c.vote / c.n:.1%}", f"{c.members:.1%}"]
                + [f"{count:,}" for count in (c.none, c.gained, c.lost)]
                for name, c in found.categories.items()
            ],
        ),
        _items(
            "won", "Won by the vote", "Right in the vote, wrong in the best member.", found.gained
        ),
        _items(
            "lost", "Lost by the vote", "Wrong in the vote, right in the best member.", found.lost
        ),
        _items(
            "hardest",
            "Hardest items",
            "Those that fewest members have right first. Where nearly all choose one and the same "
            "wrong option, look whether the published answer is right.",
            found.hardest,
        ),
    ]


def _items(name: str, title: str, caption: str, items: list[ItemResult]) -> Section:
    head = ["id", "category", "answer", "vote", "best member", "votes by option"]
    lines = [
        [
            *(item.id, item.category),
            *map(_option, (item.answer, item.vote, item.best)),
            " · ".join(map(str, item.votes)),
        ]
        for item in items
    ]
    return Section(name, title, caption, None, head, lines, names=2)


def _pairs(found: Diagnosis, measures: list[str]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of a table: each measure's mean, and the two members at either end."""
    first, second = np.triu_indices(len(found.members), k=1)
    lines = []
    for measure in measures:
        values = found.pairs[measure][first, second]
        known = np.flatnonzero(~np.isnan(values))
        if not known.size:
            lines.append([MEASURES[measure], "", "not defined", "not defined"])
            continue
        ends = known[values[known].argmin()], known[values[known].argmax()]
        extremes = [
            f"{values[pair]:.3f}  {found.members[first[pair]].name}, "
            f"{found.members[second[pair]].name}"
            for pair in ends
        ]
        lines.append([MEASURES[measure], f"{values[known].mean():.3f}", *extremes])
    return ["of two members", "mean", "least", "most"], lines


def _scores(score: Accuracy) -> list[str]:
    low, high = wilson(score.correct, score.n)
    return [f"{score.correct:,}/{score.n:,}", f"{score.accuracy:.1%}", f"{low:.1%}–{high:.1%}"]


def _score(score: Accuracy) -> str:
    right, share, interval = _scores(score)
    return f"{right} right, {share} ({interval})"


def _points(share: float) -> str:
    return f"{100 * share:+.2f} points" if share else "0 points"


def _interval(change: Difference) -> str:
    """Its ends in points; none where there are too few dialogues or no item differs."""
    if change.interval is None:
        return "–"
    low, high = change.interval
    return f"{100 * low:+.2f} to {100 * high:+.2f}"


def _p(change: Difference) -> str:
    return "–" if change.p is None else p_value_text(change.p).removeprefix("p ").removeprefix("= ")


def _option(choice: int | None) -> str:
    return "none" if choice is None else str(choice + 1)


def _listed(names: list[str], most: int = 10) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
