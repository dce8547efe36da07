"""The report as one HTML page and as Markdown, both made of the same figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from core.files import read_text
from core.look import address, page
from eval.reporting import svg
from eval.reporting.breakdowns import Breakdown
from eval.reporting.runs import ItemView

HERE = Path(__file__).parent
MANY = 12  # pairs that are shown before they fold away


def html(
    title: str,
    figures: Mapping[str, Any],
    breakdowns: Sequence[Breakdown],
    items: Sequence[ItemView],
    all_: int,
) -> str:
    """The page; `items` are those to look through, out of `all_`."""
    return page(
        HERE / "report.html.jinja",
        script=read_text(HERE / "filter.js"),
        title=title,
        figures=figures,
        breakdowns=[(one, _shown(svg.by_breakdown(figures, one))) for one in breakdowns],
        accuracies=_shown(svg.accuracies(figures)),
        calibration=_shown(svg.calibration(figures)),
        confusions=_confusions(figures),
        gaps={(one["first"], one["second"]): one for one in figures["pairs"]},
        items=items,
        categories=list(dict.fromkeys(one.row.category or "-" for one in items)),
        all=all_,
        many=MANY,
    )


def markdown(title: str, figures: Mapping[str, Any], breakdowns: Sequence[Breakdown]) -> str:
    """The same figures for a terminal or an issue; names are escaped for a table's cell."""
    environment = Environment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = _cell
    template = environment.from_string(read_text(HERE / "report.md.jinja"))
    return template.render(title=title, figures=figures, breakdowns=breakdowns)


def _confusions(figures: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """By letter where options have one, and by published place where that differs."""
    keys = {"By the letter shown": "confusion_letters", "By published place": "confusion_published"}
    counts = [
        [[*row.values()] for row in one.get(key, {}).values()]
        for key in keys.values()
        for one in figures["results"].values()
    ]
    half = len(counts) // 2
    orders = list(keys.items())[: 1 if counts[:half] == counts[half:] else 2]
    drawn = [(what, _shown(svg.confusions(figures, key))) for what, key in orders]
    return [(what, picture) for what, picture in drawn if picture]


def _shown(picture: svg.Picture | None) -> dict[str, Any] | None:
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
