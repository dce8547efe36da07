"""What a teacher is asked with: versioned Jinja files, as those of prep/prompts are."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from core.files import read_text
from core.records import Message, Question
from prep.render import load_prompt

WORDINGS = Path(__file__).with_name("prompts")


@cache
def _template(name: str) -> tuple[str, Template]:
    path = WORDINGS / f"{name}.jinja"
    source = read_text(path)
    head = re.match(r"\{# (\S+) v(\d+) #\}\n", source)
    if head is None or head[1] != name:
        raise ValueError(f"{path}: the first line must read {{# {name} vN #}}")
    environment = Environment(
        loader=FileSystemLoader(WORDINGS),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return f"{name}@{head[2]}", environment.from_string(source)


def version(name: str) -> str:
    """A wording's name and version, as rows carry it: "hint@1"."""
    return _template(name)[0]


def messages(name: str, **shown: object) -> list[Message]:
    """The user's message that a wording makes of what it shows."""
    return [Message(role="user", content=_template(name)[1].render(**shown).strip())]


def asked(question: Question, order: tuple[int, ...] | None = None) -> str:
    """All of a question but its answer, its options in an order, as the prompt `task` shows it."""
    shown = order or tuple(range(len(question.options)))
    return load_prompt("task").texts(question, shown)[1]
