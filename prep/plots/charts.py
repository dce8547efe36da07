"""The charts of a corpus: categories, answers, lengths and words, as far as the records go."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil

import pandas as pd

from core.records import CATEGORIES
from prep.plots.counts import KEY, Facts
from prep.plots.draw import Chart, bars, cloud, heat, histogram

MOST = 15  # categories shown; the rest stands as one
TOP, CLOUD = 20, 100  # words shown as bars, and in the cloud
COUNTED = ("references", "options")  # a handful each: bars rather than a histogram
BINS = 24
CAPTIONS = {
    "turns": "Utterances of a question's dialogue.",
    "references": "Reference utterances that a question asks about.",
    "characters": "Characters of a question's dialogue or passage, spaces included.",
    "words": "Words of a question's dialogue or passage, split at spaces.",
    "question characters": "Characters of the question put.",
    "note characters": "Characters of the note (보기) of a question.",
    "options": "Options of a question.",
    "option characters": "Characters of every single option.",
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
            "Categories",
            "Questions of each category, and their share of the split.",
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
    caption = (
        "Where the right option stands, in published order; splits without answers are left out."
    )
    return [
        *found,
        Chart("answers", "Answer positions", caption, bars, positions, 0.6 + 0.26 * len(labels)),
        Chart(
            "answers-by-category",
            "Answer positions by category",
            "Right options by category; the colour is the share within the category.",
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
        name, title = str(measure).replace(" ", "-"), str(measure).capitalize()
        if len(distinct) == 1:
            continue
        if measure in COUNTED:
            counts = {
                key: part.value_counts().reindex(distinct, fill_value=0)
                for key, part in parts.items()
            }
            height = 0.7 + 0.28 * len(distinct)
            found.append(Chart(name, title, CAPTIONS[measure], bars, counts, height))
        else:
            draw = partial(histogram, edges=_edges(distinct), unit=str(measure))
            panels = {key: part.reset_index(drop=True) for key, part in parts.items()}
            found.append(Chart(name, title, CAPTIONS[measure], draw, panels))
    return found


def _edges(distinct: Sequence[int]) -> list[float]:
    """Edges of bins of one integer width, the same for all panels, which can thus be compared."""
    low, high = distinct[0], distinct[-1]
    width = ceil((high - low + 1) / BINS)
    return [low - 0.5 + width * k for k in range(ceil((high - low + 1) / width) + 1)]


def _words(words: Mapping[tuple[str, str], pd.Series]) -> list[Chart]:
    """The most frequent words as bars, and more of them as a cloud."""
    if not words:
        return []
    once = "Content morphemes (nouns, names, roots, verbs, adjectives), every text once"
    return [
        Chart(
            "top-words",
            f"Top {TOP} words",
            f"{once}: how often each is said.",
            partial(bars, share=False),
            {key: counts.head(TOP) for key, counts in words.items()},
            0.6 + 0.2 * TOP,
        ),
        Chart(
            "word-cloud",
            "Word cloud",
            f"{once}: the {CLOUD} most frequent, the larger the more frequent.",
            cloud,
            {key: counts.head(CLOUD) for key, counts in words.items()},
            2.9,
        ),
    ]
