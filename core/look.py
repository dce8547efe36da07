"""One look for all plots and pages, with a Korean font that no machine needs to have installed.

NanumGothic (Naver, SIL Open Font License) comes with the package koreanize-matplotlib, whose code
is not imported: it needs distutils, which Python 3.12 no longer has. The same figure gives the same
bytes; a page needs no other file and nothing from the net.
"""

import hashlib
import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import matplotlib
from fontTools import subset
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager

from core.bilingual import Both

FONTS = Path(str(distribution("koreanize-matplotlib").locate_file("koreanize_matplotlib/fonts")))
REGULAR, BOLD = FONTS / "NanumGothic.ttf", FONTS / "NanumGothicBold.ttf"
# a name of our own, so that another NanumGothic on the machine is never taken for this one
FAMILY = "maerak"
fontManager.ttflist += [
    FontEntry(fname=str(REGULAR), name=FAMILY, weight=400),
    FontEntry(fname=str(BOLD), name=FAMILY, weight=700),
]

INK, FAINT = "#222222", "#d9d9d9"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#8a5a9e"
STYLE: dict[str, Any] = {
    "font.family": [FAMILY, "DejaVu Sans"],  # the second is matplotlib's own, for signs
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": 700,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.unicode_minus": False,
    "text.color": INK,
    "text.parse_math": False,  # texts and names may hold dollars
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "savefig.dpi": 120,
}


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


HERE = Path(__file__).parent


def page(
    template: Path, title: str, facts: Sequence[tuple[str, str]], script: str = "", **context: Any
) -> str:
    """The page of a Jinja template that extends `base.html.jinja`; all in `context` is escaped.

    `title` is what the page says in one sentence, `facts` what it says it of, as pairs of a name
    and a value. `script` is the page's own JavaScript: a policy in its head lets the browser run
    nothing else and load nothing. The Korean font is cut down to the characters that the page
    shows. In templates `both("English", "한국어")` is a text in either language.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, HERE]),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["both"] = Both
    made = environment.get_template(template.name)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    context |= {"title": title, "tab_title": str(title), "facts": facts}
    context |= {"script": Markup(script), "script_sha256": digest}
    text = made.render(**context, font="")
    return made.render(**context, font=b64encode(_font(text)).decode())


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
