"""The charts of a corpus as tables for its page: the same panels, drawn in the cells."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from core.bilingual import Both
from core.drawn import Scale, bar, drawing, grid, table, tinted
from prep.plots.charts import Chart, heat, histogram
from prep.plots.counts import SPLITS

CLOUD = 120  # words in the cloud
SMALLEST, LARGEST = 0.8, 3.2  # letters in it, in those of the page
OFTEN = 2  # times as often in a split as in the others: a word that tells it apart
KINDS = {"train": "green", "dev": "orange", "test": "purple"}


def shown(chart: Chart) -> Markup:
    """A chart as HTML: a table, or small ones side by side."""
    panels = {
        " · ".join(part for part in (split, version) if part): data
        for row in chart.rows
        for split, version, data in row
    }
    draw = chart.draw.func if isinstance(chart.draw, partial) else chart.draw
    if draw is heat:
        grids = (_heat(name, data) for name, data in panels.items())
        return Markup('<div class="grids">{}</div>').format(Markup("\n").join(grids))
    if draw is histogram:
        return _histograms(panels, chart.draw.keywords["edges"])
    ranked = chart.name == "top-words"
    return _ranks(panels) if ranked else _bars(chart.title, panels)


def _bars(title: str, panels: Mapping[str, pd.Series]) -> Markup:
    """A line a value, a column a panel: count, share and a bar from 0 to 100 %."""
    scale = Scale(0.0, 1.0)

    def cell(name: str, value: Any) -> Markup:
        count, total = int(panels[name][value]), max(1, int(panels[name].sum()))
        drawn = drawing(f"{name}, {value}: {count:,}", bar(scale, 0.0, count / total))
        return Markup('<span class="figure">{:,} ({:.1%})</span>{}').format(
            count, count / total, drawn
        )

    values = next(iter(panels.values())).index
    rows = [[str(value), *(cell(name, value) for name in panels)] for value in values]
    return table([title, *panels], rows)


def _ranks(panels: Mapping[str, pd.Series]) -> Markup:
    """A line a rank, a column a panel: its word, count and bar."""
    scale = Scale(0.0, float(max(one.max() for one in panels.values())))

    def cell(one: pd.Series, rank: int) -> str:
        if rank >= len(one):
            return ""
        word, count = one.index[rank], int(one.iloc[rank])
        drawn = drawing(f"{word}: {count:,}", bar(scale, 0.0, count))
        return Markup('<span class="figure">{} {:,}</span>{}').format(word, count, drawn)

    longest = max(map(len, panels.values()))
    rows = [[str(k + 1), *(cell(one, k) for one in panels.values())] for k in range(longest)]
    return table([Both("rank", "순위"), *panels], rows)


def _histograms(panels: Mapping[str, pd.Series], edges: Sequence[float]) -> Markup:
    """A line a panel: how many values, least, mean and most, and a column for each bin."""
    parts = [np.histogram(values, edges)[0] for values in panels.values()]
    rows = [
        [
            *(name, f"{len(values):,}", f"{values.min():,}", f"{values.mean():,.1f}"),
            *(f"{values.max():,}", _columns(counts, edges)),
        ]
        for (name, values), counts in zip(panels.items(), parts, strict=True)
    ]
    ends = f"{math.ceil(edges[0]):,}–{math.floor(edges[-1]):,}"
    head = ["", "n", Both("least", "최소"), Both("mean", "평균"), Both("most", "최대")]
    return table([*head, Both(f"drawn: {ends}", f"그림 범위: {ends}")], rows)


def _columns(counts: np.ndarray, edges: Sequence[float]) -> Markup:
    most = max(1, int(counts.max()))
    columns = [
        Markup('<i style="height:{:.0f}%" title="{}"></i>').format(
            100 * count / most, f"{_values(low, high)}: {count:,}"
        )
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    ]
    return Markup('<span class="columns">{}</span>').format(Markup("").join(columns))


def _values(low: float, high: float) -> str:
    first, last = math.ceil(low), math.floor(high)
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def _heat(name: str, counts: pd.DataFrame) -> Markup:
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    cells = [
        [
            tinted(f"{count:,}", share, f"{name}, {row}, {column}: {share:.1%}")
            for column, count, share in zip(counts.columns, line, of, strict=True)
        ]
        for row, line, of in zip(counts.index, counts.to_numpy(), shares.to_numpy(), strict=True)
    ]
    return grid(name, [*map(str, counts.index)], [*map(str, counts.columns)], cells)


def cloud(words: Mapping[tuple[str, str], pd.Series]) -> Markup:
    """The most frequent words of all splits, the larger the more frequent, in alphabetical order.

    Coloured where a split says one at least `OFTEN` times as often as the others together: what
    tells the splits apart. Of several versions the last is counted.
    """
    version = [version for _, version in words][-1]
    known = {split: words[split, version] for split in SPLITS if (split, version) in words}
    counts = pd.DataFrame(known).fillna(0)
    totals = counts.sum(axis=1)
    first = sorted(counts.index, key=lambda word: (-totals[word], word))[:CLOUD]
    most = math.sqrt(totals.max())
    parts = []
    for word in sorted(first):
        rates = 1000 * counts.loc[word] / counts.sum()
        size = SMALLEST + (LARGEST - SMALLEST) * math.sqrt(totals[word]) / most
        each = ", ".join(f"{split} {rates[split]:.1f}" for split in known)
        parts.append(
            Markup('<span class="{}" style="font-size:{:.2f}em" title="{}">{}</span>').format(
                _kind(counts, word), size, f"{word}: {totals[word]:,.0f}; {each} / 1,000", word
            )
        )
    return Markup('<p class="cloud">{}</p>').format(Markup(" ").join(parts))


def _kind(counts: pd.DataFrame, word: str) -> str:
    """The colour of the split that says a word more often than the others do."""
    sums = counts.sum()
    for split in counts.columns:
        others = sums.sum() - sums[split]
        if others:
            own = counts.at[word, split] / sums[split]
            if own >= OFTEN * (counts.loc[word].sum() - counts.at[word, split]) / others:
                return KINDS[split]
    return ""
