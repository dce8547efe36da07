"""The pictures of a diagnosis, one subject each; what they show is computed elsewhere."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from core.look import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE
from ensemble.diagnosis.diagnosis import Diagnosis, MemberResult
from eval.metrics.accuracy import wilson
from eval.metrics.significance import Difference

WIDTH = 9.5  # inches
LONGEST = 24  # characters of a name; members of one folder differ at the end, which is kept
NAMED = 40  # members whose names are written next to a picture; more would overlap
WRITTEN = 12  # members up to which a heat map says its figures
LADDER = {
    "all": "all members right",
    "majority": "more than half right",
    "plurality": "right has most votes",
    "vote": "hard vote",
    "tie": "right has most votes, or ties",
    "any": "any member right (oracle)",
}
VERDICT_COLOURS = {"helps": BLUE, "may help": "#7fb2d6", "only noise": ORANGE, "harms": "#a02020"}


def accuracies(found: Diagnosis) -> Figure:
    """Each member's accuracy with its interval, best on top, and the vote's as a line."""
    members = sorted(found.members, key=lambda member: -member.score.accuracy)
    figure, axes = _lines(len(members))
    shares = np.array([member.score.accuracy for member in members])
    _whiskers(
        axes,
        shares,
        np.array([wilson(member.score.correct, member.score.n) for member in members]),
        BLUE,
    )
    axes.axvspan(*wilson(found.score.correct, found.score.n), color=GREEN, alpha=0.15, linewidth=0)
    axes.axvline(found.score.accuracy, color=GREEN, linewidth=1.5, label="hard vote, 95 %")
    _name(axes, members)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("accuracy, 95 % interval (Wilson)")
    _legend(axes)
    return figure


def gains(found: Diagnosis) -> Figure:
    """What the vote has over each member, with its interval; the best member on top."""
    members = sorted(found.members, key=lambda member: -member.score.accuracy)
    others = list(range(1, len(members)))
    parts = {"over the best member": (ORANGE, [0]), "over the others": (BLUE, others)}
    label = "percentage points that the vote has more than the member, 95 % interval"
    return _changes(members, [member.gain for member in members], parts, label)


def answers_alike(found: Diagnosis) -> Figure:
    """Agreement and kappa of every two members."""
    return _heats(found, {"agreement": "agreement", "kappa": "Cohen's kappa"})


def errors_alike(found: Diagnosis) -> Figure:
    """Double fault and Q of every two members."""
    return _heats(found, {"double_fault": "double fault: both wrong", "q": "Q: errors associated"})


def bounds(found: Diagnosis) -> Figure:
    """What the members allow, from all right to any right, with the vote's own place between."""
    figure, axes = _axes(2.6)
    shares = {name: count / len(found.labelled.rows) for name, count in found.ladder.items()}
    colours = [GREEN if name == "vote" else BLUE for name in LADDER]
    axes.barh(range(len(LADDER)), [shares[name] for name in LADDER], 0.7, color=colours)
    for place, name in enumerate(LADDER):
        axes.text(1.015, place, f"{shares[name]:.1%}", va="center")
    axes.set_yticks(range(len(LADDER)), LADDER.values())
    axes.invert_yaxis()
    best = found.best.score.accuracy
    axes.axvline(best, color=ORANGE, linewidth=1.4, linestyle="--", label="best member")
    independent = found.majority_if_independent
    label = "more than half right, were errors independent"
    axes.plot([independent] * 2, [0.55, 1.45], color=PURPLE, linewidth=3, label=label)
    axes.set_xlim(0, 1.09)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("share of the items")
    _legend(axes)
    return figure


def left_out(found: Diagnosis) -> Figure:
    """The change of the vote's accuracy without each member, those that help most on top."""
    members = sorted(found.members, key=lambda member: member.without.value)
    parts = {
        verdict: (colour, [n for n, member in enumerate(members) if member.verdict == verdict])
        for verdict, colour in VERDICT_COLOURS.items()
    }
    label = "percentage points that the vote changes without the member, 95 % interval"
    return _changes(members, [member.without for member in members], parts, label)


def flips(found: Diagnosis) -> Figure:
    """By category: items that the vote won over the best member, and items it lost."""
    names = list(found.categories)
    figure, axes = _axes(0.34 * len(names) + 1.2)
    places = range(len(names))
    gained = [found.categories[name].gained for name in names]
    lost = [found.categories[name].lost for name in names]
    right = axes.barh(places, gained, 0.7, color=BLUE, label="only the vote is right")
    left = axes.barh(places, [-n for n in lost], 0.7, color=ORANGE, label="only the best member is")
    axes.bar_label(right, [f"{n:,}" for n in gained], padding=3)
    axes.bar_label(left, [f"{n:,}" for n in lost], padding=3)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    most = max(1, *gained, *lost)
    axes.set_xlim(-1.15 * most, 1.15 * most)
    axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    axes.set_xlabel("items")
    _legend(axes)
    return figure


def wrong_together(found: Diagnosis) -> Figure:
    """How many members are wrong on an item, against independent members as accurate."""
    figure, axes = _axes(2.8)
    places = np.arange(len(found.wrong))
    axes.bar(places, found.wrong, 0.8, color=BLUE, label="items")
    style = {"color": PURPLE, "linewidth": 1.4, "label": "expected, were errors independent"}
    axes.plot(
        places,
        found.wrong_if_independent,
        "o-" if len(places) <= NAMED else "-",
        markersize=4,
        **style,
    )
    axes.axvline(len(found.members) / 2, color=ORANGE, linewidth=1.4, linestyle="--")
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("members that are wrong")
    axes.set_ylabel("items")
    axes.margins(x=0.02)
    _legend(axes)
    return figure


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _lines(members: int) -> tuple[Figure, Axes]:
    """Axes for one line a member."""
    figure, axes = _axes(0.24 * min(members, NAMED) + 1.1)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_ylim(members - 0.4, -0.6)
    return figure, axes


def _changes(
    members: Sequence[MemberResult],
    changes: Sequence[Difference],
    parts: dict[str, tuple[str, list[int]]],
    label: str,
) -> Figure:
    """A change and its interval a member, in parts: by what they are called, colour and places."""
    figure, axes = _lines(len(members))
    for name, (colour, places) in parts.items():
        if places:
            values = 100 * np.array([changes[place].value for place in places])
            known = (changes[place] for place in places)
            ends = 100 * np.array([one.interval or (one.value, one.value) for one in known])
            _whiskers(axes, values, ends, colour, places, name)
    axes.axvline(0, color=INK, linewidth=0.8)
    _name(axes, members)
    axes.set_xlabel(label)
    _legend(axes)
    return figure


def _whiskers(
    axes: Axes,
    values: np.ndarray,
    intervals: np.ndarray,
    colour: str,
    places: Sequence[int] | None = None,
    label: str | None = None,
) -> None:
    sides = np.abs(intervals.T - values)
    axes.errorbar(
        values,
        range(len(values)) if places is None else places,
        xerr=sides,
        fmt="o",
        color=colour,
        markersize=4.5,
        elinewidth=1.2,
        label=label,
    )


def _name(axes: Axes, members: Sequence[MemberResult]) -> None:
    if len(members) <= NAMED:
        axes.set_yticks(range(len(members)), [_short(member.name) for member in members])
        axes.tick_params(axis="y", length=0)
    else:
        axes.set_ylabel("members by rank")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]


def _heats(found: Diagnosis, measures: dict[str, str]) -> Figure:
    """Measures of every two members side by side; the diagonal stays empty."""
    members = found.members
    size = min(0.3 * len(members), 4.0) + 1.0
    figure = Figure(figsize=(WIDTH, max(2.4, size)), layout="constrained")
    grid = figure.subplots(1, len(measures))
    numbers = range(len(members))
    for axes, (measure, title) in zip(grid, measures.items(), strict=True):
        table = found.pairs[measure].copy()
        np.fill_diagonal(table, np.nan)
        axes.set_facecolor(FAINT)
        shown = axes.imshow(table, cmap="Blues", interpolation="nearest")
        figure.colorbar(shown, ax=axes, shrink=0.8)
        axes.set_title(title)
        if len(members) <= WRITTEN:
            _write(axes, table)
        if len(members) <= NAMED:
            axes.set_xticks(numbers, [str(number + 1) for number in numbers])
            axes.set_yticks(numbers, [str(number + 1) for number in numbers])
        axes.tick_params(length=0, labelsize=8 if len(members) <= 20 else 6)
        axes.spines[["bottom", "left"]].set_visible(False)
    if len(members) <= NAMED:
        names = [
            f"{number}  {_short(member.name)}" for number, member in enumerate(members, start=1)
        ]
        grid[0].set_yticks(numbers, names)
    return figure


def _write(axes: Axes, table: np.ndarray) -> None:
    known = table[~np.isnan(table)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    for (line, column), value in np.ndenumerate(table):
        if not np.isnan(value):
            dark = value > low + 0.6 * (high - low)
            colour = "white" if dark else INK
            axes.text(column, line, f"{value:.2f}", ha="center", va="center", color=colour, size=7)


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2, handlelength=1.5
    )
