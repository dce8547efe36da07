"""The page that shows all plots and figures of a corpus."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from core import look
from prep.plots.counts import Facts
from prep.plots.draw import Chart

TEMPLATE = Path(__file__).with_name("corpus.html.jinja")


def corpus_page(
    title: str,
    inputs: Sequence[dict[str, str]],
    facts: Facts,
    pictures: Sequence[tuple[Chart, bytes]],
) -> str:
    """The page as text; `inputs` are what was read (split, file, sha256)."""
    context = {
        "title": title,
        "inputs": inputs,
        "overview": facts.overview(),
        "versions": list(facts.items["version"].unique()),
        "figures": _by_version(pd.DataFrame(facts.figures())),
        "charts": [
            {"chart": chart, "source": look.address("png", png), "same": len(chart.rows) == 1}
            for chart, png in pictures
        ],
    }
    return look.page(TEMPLATE, **context)


def _by_version(figures: pd.DataFrame) -> list[dict[str, Any]]:
    """One line a measure and split, with the figures of each version under its name."""
    return [
        {
            "measure": measure,
            "split": split,
            "n": int(part["n"].iloc[0]),
            "by": {line["version"]: line for line in part.to_dict("records")},
        }
        for (measure, split), part in figures.groupby(["measure", "split"], sort=False)
    ]
