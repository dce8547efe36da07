"""HTML pages that need no file beside them and nothing from the net, font included."""

import hashlib
import io
from base64 import b64encode
from pathlib import Path
from typing import Any

from fontTools import subset
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from look.style import REGULAR

HERE = Path(__file__).parent


def page(template: Path, script: str = "", **context: Any) -> str:
    """The page of a Jinja template that extends `base.html.jinja`; all in `context` is escaped.

    `script` is the page's own JavaScript: a policy in its head lets the browser run nothing else
    and load nothing. The Korean font is cut down to the characters that the page shows.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, HERE]),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = environment.get_template(template.name)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    context |= {"script": Markup(script), "script_sha256": digest}
    text = made.render(**context, font="")
    return made.render(**context, font=b64encode(_font(text)).decode())


def address(kind: str, data: bytes) -> str:
    """What an image of a page has as its source: the data themselves."""
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


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
