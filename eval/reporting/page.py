"""The report as one HTML page and as Markdown, both made of the same figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from eval.reporting import draw
from eval.reporting.facets import Facet
from eval.reporting.items import Item
from look.page import address, page
from prep.jsonl import read_text

HERE = Path(__file__).parent
MANY = 12  # pairs that are told before they fold away


def html(
    title: str,
    figures: Mapping[str, Any],
    facets: Sequence[Facet],
    items: Sequence[Item],
    all_: int,
) -> str:
    """The page; `items` are those to look through, out of `all_`."""
    return page(
        HERE / "page.html.jinja",
        script=read_text(HERE / "filter.js"),
        title=title,
        figures=figures,
        facets=[(facet, _shown(draw.by_facet(figures, facet))) for facet in facets],
        accuracies=_shown(draw.accuracies(figures)),
        calibration=_shown(draw.calibration(figures)),
        confusions=_confusions(figures),
        gaps={(one["first"], one["second"]): one for one in figures["pairs"]},
        items=items,
        categories=list(dict.fromkeys(one.row.category or "-" for one in items)),
        all=all_,
        many=MANY,
    )


def markdown(title: str, figures: Mapping[str, Any], facets: Sequence[Facet]) -> str:
    """The same figures for a terminal or an issue; names are escaped for a table's cell."""
    environment = Environment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = _cell
    template = environment.from_string(read_text(HERE / "page.md.jinja"))
    return template.render(title=title, figures=figures, facets=facets)


def _confusions(figures: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """By letter where options have one, and by published place where that tells something else."""
    keys = {"By the letter shown": "confusion_letters", "By published place": "confusion_published"}
    counts = [
        [[*row.values()] for row in one.get(key, {}).values()]
        for key in keys.values()
        for one in figures["results"].values()
    ]
    half = len(counts) // 2
    told = list(keys.items())[: 1 if counts[:half] == counts[half:] else 2]
    drawn = [(what, _shown(draw.confusions(figures, key))) for what, key in told]
    return [(what, picture) for what, picture in drawn if picture]


def _shown(picture: draw.Picture | None) -> dict[str, Any] | None:
    """What an <img> needs: its address and its width in CSS pixels."""
    return picture and {
        "source": address("svg+xml", picture.svg),
        "width": round(picture.width * 96),
    }


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, within a table too."""
    for sign in "\\`*_[]<>|#&":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
