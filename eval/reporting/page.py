"""The report as one HTML page and as Markdown, both made of the same figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from core.files import read_text
from core.look import page
from eval.reporting import report_tables
from eval.reporting.breakdowns import Breakdown
from eval.reporting.headline import headline
from eval.reporting.runs import ItemView

HERE = Path(__file__).parent
MANY = 12  # pairs that are shown before they fold away
WIDE = 5  # runs whose drawings stand side by side at their full width


def html(
    facts: Sequence[tuple[str, str]],
    figures: Mapping[str, Any],
    breakdowns: Sequence[Breakdown],
    items: Sequence[ItemView],
    all_: int,
    earlier: Mapping[str, Any] | None = None,
) -> str:
    """The page; `items` are those to look through, out of `all_`.

    `facts` say what was reported on, `earlier` are the results of an earlier report, by run.
    """
    pairs = figures["pairs"]
    return page(
        HERE / "report.html.jinja",
        headline(figures),
        facts,
        script=read_text(HERE / "filter.js"),
        figures=figures,
        accuracies=report_tables.accuracies(figures, earlier),
        matrix=report_tables.matrix(figures) if len(figures["results"]) > 2 else "",
        comparisons=report_tables.comparisons(figures) if pairs else "",
        breakdowns=[(one, report_tables.breakdown(figures, one)) for one in breakdowns],
        calibration=report_tables.calibration(figures),
        confusions=report_tables.confusions(figures),
        few=report_tables.FEW,
        items=items,
        categories=list(dict.fromkeys(one.row.category or "-" for one in items)),
        all=all_,
        many=MANY,
        wide=len(figures["results"]) <= WIDE,
    )


def markdown(title: str, figures: Mapping[str, Any], breakdowns: Sequence[Breakdown]) -> str:
    """The same figures for a terminal or an issue; names are escaped for a table's cell."""
    environment = Environment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = _cell
    template = environment.from_string(read_text(HERE / "report.md.jinja"))
    return template.render(title=title, figures=figures, breakdowns=breakdowns)


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, within a table too."""
    for sign in "\\`*_[]<>|#&":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
