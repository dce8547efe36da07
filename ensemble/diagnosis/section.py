"""One subject of a diagnosis, and the tables that several share: of items, of two members."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from core.bilingual import Both
from ensemble.diagnosis.diagnosis import Diagnosis, ItemResult

MEASURES = {
    "agreement": Both("agreement", "일치"),
    "kappa": Both("Cohen's kappa", "코헨 카파"),
    "double_fault": Both("double fault", "둘 다 틀림"),
    "disagreement": Both("disagreement", "하나만 정답"),
    "q": "Q",
}


@dataclass(frozen=True)
class Section:
    """One subject: its caption, and its table, of which `names` columns are names.

    `draw` gives what a page draws of each line; `picture` what it shows above the table.
    """

    name: str
    title: Both
    caption: Both
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    names: int = 1
    draw: Callable[[Diagnosis], list[Markup]] | None = None
    picture: Callable[[Diagnosis], Markup] | None = None


def of_items(name: str, title: Both, caption: Both, items: list[ItemResult]) -> Section:
    """A line for each item, and how the members voted on it."""
    head = [
        "id",
        Both("category", "유형"),
        Both("answer", "정답"),
        Both("vote", "투표"),
        Both("best member", "최고 멤버"),
        Both("votes by option", "선택지별 표"),
    ]
    lines = [
        [
            *(item.id, item.category),
            *map(_option, (item.answer, item.vote, item.best)),
            " · ".join(map(str, item.votes)),
        ]
        for item in items
    ]
    return Section(name, title, caption, head, lines, names=2)


def pairs_of(found: Diagnosis, measures: list[str]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of a table: each measure's mean, and the two members at either end."""
    first, second = np.triu_indices(len(found.members), k=1)
    lines: list[list[str]] = []
    for measure in measures:
        values = found.pairs[measure][first, second]
        known = np.flatnonzero(~np.isnan(values))
        if not known.size:
            none = Both("not defined", "정의되지 않음")
            lines.append([MEASURES[measure], "", none, none])
            continue
        ends = known[values[known].argmin()], known[values[known].argmax()]
        extremes = [
            f"{values[pair]:.3f}  {found.members[first[pair]].name}, "
            f"{found.members[second[pair]].name}"
            for pair in ends
        ]
        lines.append([MEASURES[measure], f"{values[known].mean():.3f}", *extremes])
    head = [
        Both("of two members", "두 멤버"),
        Both("mean", "평균"),
        Both("least", "최소"),
        Both("most", "최대"),
    ]
    return head, lines


def _option(choice: int | None) -> str:
    return Both("none", "없음") if choice is None else str(choice + 1)
