"""One HTML page with all plots and figures inside it: no file beside it, nothing from the net."""

import io
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from fontTools import subset
from jinja2 import Environment, StrictUndefined

from prep.jsonl import read_text
from prep.plots.draw import Chart
from prep.plots.facts import Facts
from prep.plots.style import REGULAR

TEMPLATE = Path(__file__).with_name("page.html.jinja")


def page(
    title: str,
    inputs: Sequence[dict[str, str]],
    facts: Facts,
    pictures: Sequence[tuple[Chart, bytes]],
) -> str:
    """The page as text; `inputs` are what was read (split, file, sha256)."""
    environment = Environment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    context = {
        "title": title,
        "inputs": inputs,
        "overview": facts.overview(),
        "versions": list(facts.items["version"].unique()),
        "figures": _by_version(pd.DataFrame(facts.figures())),
        "charts": [
            {"chart": chart, "png": b64encode(png).decode(), "same": len(chart.rows) == 1}
            for chart, png in pictures
        ],
    }
    template = environment.from_string(read_text(TEMPLATE))
    text = template.render(**context, font="")
    return template.render(**context, font=b64encode(_font(text)).decode())


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


def _font(text: str) -> bytes:
    """The Korean font (WOFF2) with the characters of a text only."""
    options = subset.Options(flavor="woff2", layout_features=[], notdef_outline=True)
    options.drop_tables += [f"TSI{n}" for n in range(6)]  # its maker's notes on hinting
    font = subset.load_font(str(REGULAR), options)
    maker = subset.Subsetter(options)
    maker.populate(text=text)
    maker.subset(font)
    file = io.BytesIO()
    subset.save_font(font, file, options)
    return file.getvalue()
