"""The charts of a corpus: how a panel is drawn, and what is drawn, as far as the records go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from core.bilingual import Both
from core.look import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, png
from core.records import CATEGORIES
from prep.plots.counts import KEY, SPLITS, Facts

WIDTH = 10.5  # inches


@dataclass(frozen=True)
class Chart:
    """A picture of one subject; `panels` holds what `draw` shows for each (split, version).

    `name` is the file's stem, `height` that of a panel in inches.
    """

    name: str
    title: Both
    caption: Both
    draw: Callable[[Axes, Any], None]
    panels: Mapping[tuple[str, str], Any]
    height: float = 2.4

    @property
    def rows(self) -> list[list[tuple[str, str, Any]]]:
        """(split, version, data) by row: splits side by side, or each split's versions.

        A chart that cleaning does not change shows each split once; its version is then "".
        """
        splits = [split for split in SPLITS if any(split == part for part, _ in self.panels)]
        versions = list(dict.fromkeys(version for _, version in self.panels))
        first = versions[0] if versions else ""
        if all(
            data.equals(self.panels.get((part, first))) for (part, _), data in self.panels.items()
        ):
            return [[(split, "", self.panels[split, first]) for split in splits]]
        return [
            [(split, v, self.panels[split, v]) for v in versions if (split, v) in self.panels]
            for split in splits
        ]

    def png(self) -> bytes:
        """The picture; the same data give the same bytes."""
        return png(self._figure)

    def _figure(self) -> Figure:
        rows = self.rows
        columns = max(map(len, rows))
        figure = Figure(figsize=(WIDTH, self.height * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for places, row in zip(grid, rows, strict=True):
            for axes in places[len(row) :]:
                axes.set_axis_off()
            for axes, (split, version, data) in zip(places, row, strict=False):
                self.draw(axes, data)
                axes.set_title(" · ".join(part for part in (split, version) if part))
        return figure


def bars(axes: Axes, counts: pd.Series, share: bool = True) -> None:
    """A bar a line, the first on top, with its count and, where wanted, its share."""
    places = range(len(counts))
    drawn = axes.barh(places, counts, color=BLUE, height=0.75)
    total = counts.sum()
    texts = [f"{n:,} ({n / total:.1%})" if share else f"{n:,}" for n in counts]
    axes.bar_label(drawn, texts, padding=3)
    axes.set_yticks(places, [str(name) for name in counts.index])
    axes.invert_yaxis()
    axes.margins(x=0.4 if share else 0.15, y=0.02)
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0, labelbottom=False)


def histogram(axes: Axes, values: pd.Series, edges: list[float], unit: str) -> None:
    """How many questions hold how many, with lines at the least, the mean and the most."""
    axes.hist(values, edges, color=BLUE, alpha=0.75, edgecolor="white", linewidth=0.5)
    marks = (("min", values.min(), GREEN), ("mean", values.mean(), ORANGE))
    for name, value, colour in (*marks, ("max", values.max(), PURPLE)):
        shown = f"{name} {value:,.1f}" if name == "mean" else f"{name} {value:,}"
        axes.axvline(value, color=colour, linewidth=1.5, linestyle="--", label=shown)
    axes.set_xlabel(unit)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(y=0.05)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    above = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
    axes.legend(ncols=3, fontsize=8, handlelength=1.2, columnspacing=1.0, **above)


def heat(axes: Axes, table: pd.DataFrame) -> None:
    """Counts of a table in its cells, coloured by their share of the row."""
    shares = table.div(table.sum(axis=1).clip(lower=1), axis=0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, counts in enumerate(table.to_numpy()):
        for column, count in enumerate(counts):
            dark = shares.iat[row, column] > 0.6
            colour = "white" if dark else INK
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    axes.set_xticks(range(table.shape[1]), list(table.columns))
    axes.set_yticks(range(table.shape[0]), [str(name) for name in table.index])
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)


MOST = 15  # categories shown; the rest stands as one
TOP = 20  # words shown as bars
COUNTED = ("references", "options")  # a handful each: bars rather than a histogram
BINS = 24
MEASURES = {
    "turns": (
        Both("Turns", "발화 수"),
        Both("Utterances of a question's dialogue.", "문항의 대화에 있는 발화의 수."),
    ),
    "references": (
        Both("References", "참조 발화 수"),
        Both("Reference utterances that a question asks about.", "문항이 묻는 참조 발화의 수."),
    ),
    "characters": (
        Both("Characters", "글자 수"),
        Both(
            "Characters of a question's dialogue or passage, spaces included.",
            "문항의 대화나 지문의 글자 수, 공백 포함.",
        ),
    ),
    "words": (
        Both("Words", "어절 수"),
        Both(
            "Words of a question's dialogue or passage, split at spaces.",
            "문항의 대화나 지문의 어절 수, 공백으로 나눔.",
        ),
    ),
    "question characters": (
        Both("Question characters", "질문 글자 수"),
        Both("Characters of the question put.", "질문 문장의 글자 수."),
    ),
    "note characters": (
        Both("Note characters", "보기 글자 수"),
        Both("Characters of the note (보기) of a question.", "문항의 보기 글자 수."),
    ),
    "options": (
        Both("Options", "선택지 수"),
        Both("Options of a question.", "문항의 선택지 수."),
    ),
    "option characters": (
        Both("Option characters", "선택지 글자 수"),
        Both("Characters of every single option.", "선택지 하나하나의 글자 수."),
    ),
}


def charts(facts: Facts, words: Mapping[tuple[str, str], pd.Series]) -> list[Chart]:
    """All charts that the records have something for, in the order of the page."""
    return [*_labels(facts.items), *_measures(facts.values), *_words(words)]


def _labels(items: pd.DataFrame) -> list[Chart]:
    """Categories, answers, and how answers spread over categories."""
    order = _order(items["category"])
    shown = items["category"].where(items["category"].isin(order), "(others)")
    items = items.assign(category=shown)
    order += ["(others)"] * (not set(shown) <= set(order))
    height = 0.6 + 0.26 * len(order)
    found = [
        Chart(
            "categories",
            Both("Categories", "유형"),
            Both(
                "Questions of each category, and their share of the split.",
                "유형별 문항 수와 스플릿에서 차지하는 비율.",
            ),
            bars,
            {
                key: part["category"].value_counts().reindex(order, fill_value=0)
                for key, part in items.groupby(KEY, sort=False)
            },
            height,
        )
    ]
    answered = items.dropna(subset=["answer"])
    if answered.empty:
        return found
    labels = sorted(answered["answer"].unique())
    parts = dict(list(answered.groupby(KEY, sort=False)))
    positions = {
        key: part["answer"].value_counts().reindex(labels, fill_value=0)
        for key, part in parts.items()
    }
    tables = {
        key: pd.crosstab(part["category"], part["answer"])
        .reindex(index=order, columns=labels, fill_value=0)
        .rename_axis(index=None, columns=None)
        for key, part in parts.items()
    }
    caption = Both(
        "Where the right option stands, in published order; splits without answers are left out.",
        "원래 순서에서 정답이 있는 자리. 정답이 없는 스플릿은 제외.",
    )
    return [
        *found,
        Chart(
            "answers",
            Both("Answer positions", "정답 위치"),
            caption,
            bars,
            positions,
            0.6 + 0.26 * len(labels),
        ),
        Chart(
            "answers-by-category",
            Both("Answer positions by category", "유형별 정답 위치"),
            Both(
                "Right options by category; the tint is the share within the category, 0 to 1.",
                "유형별 정답 위치. 색의 짙기는 유형 안의 비율, 0~1.",
            ),
            heat,
            tables,
            height,
        ),
    ]


def _order(categories: pd.Series) -> list[str]:
    """The corpus's own categories in their order; others by frequency, the first few."""
    if set(categories) <= set(CATEGORIES):
        return list(CATEGORIES)
    counts = categories.value_counts()
    return sorted(counts.index, key=lambda name: (-counts[name], name))[:MOST]


def _measures(values: pd.DataFrame) -> list[Chart]:
    """A chart of every measure that has more than one value; the page's table has the rest."""
    found = []
    for measure, frame in values.groupby("measure", sort=False):
        distinct = sorted(frame["value"].unique())
        parts = {key: part["value"] for key, part in frame.groupby(KEY, sort=False)}
        name, (title, caption) = str(measure).replace(" ", "-"), MEASURES[str(measure)]
        if len(distinct) == 1:
            continue
        if measure in COUNTED:
            counts = {
                key: part.value_counts().reindex(distinct, fill_value=0)
                for key, part in parts.items()
            }
            height = 0.7 + 0.28 * len(distinct)
            found.append(Chart(name, title, caption, bars, counts, height))
        else:
            draw = partial(histogram, edges=_edges(distinct), unit=str(measure))
            panels = {key: part.reset_index(drop=True) for key, part in parts.items()}
            found.append(Chart(name, title, caption, draw, panels))
    return found


def _edges(distinct: Sequence[int]) -> list[float]:
    """Edges of bins of one integer width, the same for all panels, which can thus be compared."""
    low, high = distinct[0], distinct[-1]
    width = ceil((high - low + 1) / BINS)
    return [low - 0.5 + width * k for k in range(ceil((high - low + 1) / width) + 1)]


def _words(words: Mapping[tuple[str, str], pd.Series]) -> list[Chart]:
    """The most frequent words."""
    if not words:
        return []
    return [
        Chart(
            "top-words",
            Both(f"Top {TOP} words", f"많이 쓰인 낱말 {TOP}개"),
            Both(
                "Content morphemes (nouns, names, roots, verbs, adjectives), every text once: how "
                "often each is said.",
                "내용 형태소(명사, 고유명사, 어근, 동사, 형용사)의 빈도. 같은 글은 한 번만 셈.",
            ),
            partial(bars, share=False),
            {key: counts.head(TOP) for key, counts in words.items()},
            0.6 + 0.2 * TOP,
        )
    ]
