"""One look for all plots, with a Korean font that no machine needs to have installed.

NanumGothic (Naver, SIL Open Font License) comes with the package koreanize-matplotlib, whose code
is not imported: it needs distutils, which Python 3.12 no longer has.
"""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from matplotlib.font_manager import FontEntry, fontManager

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
