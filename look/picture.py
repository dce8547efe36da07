"""A figure as the bytes of a picture in the one look: the same figure gives the same bytes."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from look.style import STYLE

# Korean as outlines; the ids within an SVG are drawn by chance unless they are salted
SVG = {"svg.hashsalt": "maerak", "svg.fonttype": "path"}


def png(draw: Callable[[], Figure]) -> bytes:
    """What `draw` makes as a PNG."""
    return _picture(draw, "png", {"Software": None}, STYLE)


def svg(draw: Callable[[], Figure]) -> bytes:
    """What `draw` makes as an SVG that needs no font."""
    return _picture(draw, "svg", {"Date": None, "Creator": None}, STYLE | SVG)


def _picture(
    draw: Callable[[], Figure], kind: str, unsaid: dict[str, None], style: dict[str, Any]
) -> bytes:
    file = io.BytesIO()
    with matplotlib.rc_context(style):
        draw().savefig(file, format=kind, metadata=unsaid)
    return file.getvalue()
