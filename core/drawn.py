"""Figures drawn where they are read: a bar, a dot with its interval or a tint in a table's cell.

A drawing stands next to its figure, so that nothing is said twice, no run is a colour to look up,
and no library has to come with the page. On a narrow screen each row of a table becomes a card,
its cells named by their headings. All that comes from data is escaped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from core.bilingual import Both

Ends = Sequence[float]


@dataclass(frozen=True)
class Scale:
    """The values at the two ends of a drawing."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float], step: float, high: float | None = None) -> "Scale":
        """From the multiple of `step` under the least value to `high`, or to that over the most."""
        known = list(values)
        top = math.ceil(max(known) / step) * step if high is None else high
        low = math.floor(min(known) / step) * step
        if top > low:
            return cls(low, top)
        return cls(low, low + step) if high is None else cls(high - step, high)

    def at(self, value: float) -> float:
        """Where a value stands, in percent of the width; beyond the ends: at them."""
        return min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low)))


def drawing(said: str, *parts: Markup) -> Markup:
    """A drawing of its parts; `said` is what it says when it is pointed at, and to a reader."""
    inside = Markup("").join(parts)
    return Markup('<span class="drawn" role="img" title="{0}" aria-label="{0}">{1}</span>').format(
        str(said), inside
    )


def interval(scale: Scale, value: float, ends: Ends | None, kind: str = "") -> Markup:
    """A dot, and a line between the ends of its interval if it has one."""
    line = _between("span", scale, *ends, kind) if ends else Markup()
    return line + Markup('<i class="dot {}" style="left:{:.1f}%"></i>').format(
        kind, scale.at(value)
    )


def bar(scale: Scale, low: float, high: float, kind: str = "") -> Markup:
    """A bar from one value to another."""
    return _between("bar", scale, low, high, kind)


def mark(scale: Scale, value: float, kind: str = "") -> Markup:
    """An upright line at a value that others are compared with; nothing where it is off the scale.

    Kinds: "" dashed, "firm" drawn through.
    """
    if not scale.low <= value <= scale.high:
        return Markup()
    return Markup('<i class="mark {}" style="left:{:.1f}%"></i>').format(kind, scale.at(value))


def _between(what: str, scale: Scale, low: float, high: float, kind: str) -> Markup:
    left, right = sorted((scale.at(low), scale.at(high)))
    return Markup('<i class="{} {}" style="left:{:.1f}%;width:{:.1f}%"></i>').format(
        what, kind, left, right - left
    )


def tinted(text: str, depth: float, said: str, kind: str = "") -> Markup:
    """A text on a tint, 0 to 1; kind "other" is the tint of what lies on the other side of 0."""
    return Markup('<span class="tint {}" style="--depth:{:.2f}" title="{}">{}</span>').format(
        kind, min(1.0, max(0.0, depth)), str(said), text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> Markup:
    """A table, of which the first `names` columns hold names.

    A row is a card on a narrow screen, each cell behind its heading.
    """
    columns = [Markup(' class="name"') if k < names else Markup() for k in range(len(head))]
    top = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(kind, one)
        for kind, one in zip(columns, head, strict=True)
    )
    named = [_named(one) for one in head]
    body = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<td{}{}>{}</td>").format(kind, name, cell)
                for kind, name, cell in zip(columns, named, row, strict=True)
            )
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll"><table class="cards"><thead><tr>{}</tr></thead>\n<tbody>{}</tbody>'
        "</table></div>"
    ).format(top, body)


def _named(heading: str) -> Markup:
    """What a card says before the cell, in either language."""
    name = Markup(' data-name="{}"').format(str(heading))
    return name + Markup(' data-ko="{}"').format(heading.ko) if isinstance(heading, Both) else name


def grid(
    title: str, names: Sequence[str], columns: Sequence[str], cells: Iterable[Sequence[str]]
) -> Markup:
    """A small table of tinted cells (`tinted`) that fits a narrow screen as it is."""
    top = Markup("").join(Markup('<th scope="col">{}</th>').format(one) for one in columns)
    body = Markup("\n").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            name, Markup("").join(Markup("<td>{}</td>").format(one) for one in row)
        )
        for name, row in zip(names, cells, strict=True)
    )
    return Markup(
        '<table class="grid"><caption>{}</caption><thead><tr><td></td>{}</tr></thead>\n'
        "<tbody>{}</tbody></table>"
    ).format(title, top, body)
