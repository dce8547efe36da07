"""The report's pictures as SVG: one panel a run, Korean as outlines, the same bytes every time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from core.look import BLUE, FAINT, INK, ORANGE, svg
from eval.reporting.breakdowns import Breakdown

ACROSS = 4  # panels side by side, at most
WIDTH = 10.5  # inches of three panels or more
LONGEST = 30  # characters of a panel's title


@dataclass(frozen=True)
class Picture:
    """An SVG and how wide it wants to be shown, in inches."""

    svg: bytes
    width: float


def accuracies(figures: Mapping[str, Any]) -> Picture:
    """Every run's accuracy, with its interval over dialogues if it has one; the chance level."""
    results = figures["results"]

    def draw(axes: Axes) -> None:
        known = ((one["accuracy"], one["bootstrap95"]) for one in results.values())
        parts = [(share, ends or (share, share)) for share, ends in known]
        low = min(figures["chance"], *(ends[0] for _, ends in parts))
        _dots(axes, [_short(name) for name in results], parts, figures["chance"], low)

    return _picture([("", draw)], 0.75 + 0.3 * len(results), width=WIDTH / 2)


def by_breakdown(figures: Mapping[str, Any], breakdown: Breakdown) -> Picture:
    """Accuracy of each value with its Wilson interval; a line at the run's accuracy over all."""
    results = figures["results"]
    low = min(
        part["wilson95"][0] for one in results.values() for part in one[breakdown.name].values()
    )
    panels = []
    for name, one in results.items():
        parts = [(part["accuracy"], part["wilson95"]) for part in one[breakdown.name].values()]
        names = [_short(value) for value in breakdown.order]
        panels.append(
            (name, partial(_dots, names=names, parts=parts, line=one["accuracy"], low=low))
        )
    return _picture(panels, 0.7 + 0.27 * len(breakdown.order))


def calibration(figures: Mapping[str, Any]) -> Picture | None:
    """Accuracy against confidence, the dots' area by their items; none where no run has any."""
    panels = [
        (f"{name} · ECE {one['ece']:.3f}", partial(_curve, bins=one["calibration"]))
        for name, one in figures["results"].items()
        if one["calibration"]
    ]
    return _picture(panels, 2.9) if panels else None


def confusions(figures: Mapping[str, Any], key: str) -> Picture | None:
    """What was chosen for what is right, coloured by the share of the row."""
    panels = [
        (name, partial(_heat, table=one[key]))
        for name, one in figures["results"].items()
        if key in one
    ]
    return _picture(panels, 2.3) if panels else None


def _picture(
    panels: Sequence[tuple[str, Callable[[Axes], None]]], height: float, width: float | None = None
) -> Picture:
    """Panels in rows of `ACROSS`, each `width` × `height` inches."""
    columns = min(ACROSS, len(panels))
    width = width or WIDTH / max(columns, 3)
    rows = ceil(len(panels) / columns)

    def figure() -> Figure:
        made = Figure(figsize=(width * columns, height * rows), layout="constrained")
        grid = made.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, (title, draw) in zip(grid, panels, strict=False):
            draw(axes)
            axes.set_title(_short(title))
        return made

    return Picture(svg(figure), width * columns)


def _dots(
    axes: Axes,
    names: Sequence[str],
    parts: Sequence[tuple[float, Sequence[float]]],
    line: float,
    low: float,
) -> None:
    """A dot a line with its interval, the first on top; `line` is what to compare with.

    The axis runs from just under `low` to 100 %, so that panels of one `low` can be compared.
    """
    values = np.array([value for value, _ in parts])
    ends = np.array([interval for _, interval in parts])
    places = np.arange(len(names))
    axes.hlines(places, ends[:, 0], ends[:, 1], color=BLUE, linewidth=2, alpha=0.55)
    axes.plot(values, places, "o", color=BLUE, markersize=5)
    axes.axvline(line, color=ORANGE, linewidth=1, linestyle="--", zorder=0)
    axes.set_yticks(places, list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(max(0.0, low - 0.04), 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _curve(axes: Axes, bins: Sequence[Mapping[str, float]]) -> None:
    """A calibration curve; the nearer to the diagonal the better."""
    x, y, n = ([one[key] for one in bins] for key in ("confidence", "accuracy", "n"))
    axes.plot([0, 1], [0, 1], color=ORANGE, linewidth=1, linestyle="--")
    axes.plot(x, y, color=BLUE, linewidth=1.2)
    axes.scatter(x, y, s=[12 + 260 * one / sum(n) for one in n], color=BLUE, alpha=0.75, zorder=3)
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def _heat(axes: Axes, table: Mapping[str, Mapping[str, int]]) -> None:
    """Counts in their cells; "none", no answer, only where there is any."""
    names = list(table)
    none = any(row["none"] for row in table.values())
    columns = [*names, *["none"] * none]
    counts = np.array([[table[row][column] for column in columns] for row in names])
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.6 else INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("chosen")
    axes.set_ylabel("right")
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
