"""Write the tables of docs/cleaning.md from the rules, between its two marks.

Run as: python prep/cleaning/docs.py
"""

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.errors import UserError, entry
from core.files import atomic_file, read_text
from core.records import Question, Turn
from prep.cleaning import PRESETS, RULES, clean
from prep.cleaning.cleaning_rules import Rule, TextRule
from prep.cleaning.jamo import ABBREVIATIONS, SOURCES

PAGE = Path("docs/cleaning.md")
MARKS = "<!-- written by `python prep/cleaning/docs.py` -->", "<!-- end -->"


def dialogue(example: str) -> Question:
    """The question an example shows: "화자1: 갔어? / 화자2*: 응", where * marks a reference."""
    turns, focus = [], []
    for number, line in enumerate(example.split(" / ")):
        speaker, _, text = line.partition(":")
        turns.append(Turn(speaker=speaker.rstrip("*"), text=text.strip(), id=str(number)))
        focus += [str(number)] * speaker.endswith("*")
    return Question(
        id="example",
        source="example",
        split="train",
        group="example",
        turns=turns,
        focus=focus,
        category="원인",
        options=["가", "나"],
        answer=None,
    )


def written(question: Question) -> str:
    """A question's dialogue as an example shows it."""
    return " / ".join(
        f"{turn.speaker}{'*' * (turn.id in question.focus)}: {turn.text}".rstrip()
        for turn in question.turns
    )


def by_pohanghang(rule: Rule, example: str) -> str:
    """What the nine steps of pohanghang make of an example."""
    if not isinstance(rule, TextRule):
        return written(clean(dialogue(example), PRESETS["pohanghang"])[0])
    if "turns" not in rule.places:
        return example
    for name in PRESETS["pohanghang"]:
        step = RULES[name]
        if isinstance(step, TextRule):
            example = step.change(example)
    return example


def tables() -> str:
    """The rules, the presets and the abbreviations as Markdown."""
    ours = [rule for name, rule in RULES.items() if not name.startswith("pohanghang-")]
    steps = [rule for name, rule in RULES.items() if name.startswith("pohanghang-")]
    presets = [(f"`{name}`", ", ".join(f"`{r}`" for r in rules)) for name, rules in PRESETS.items()]
    spelt = [(entry.jamo, entry.words, entry.sources) for entry in ABBREVIATIONS]
    return "\n\n".join(
        [
            "### Rules",
            _table(
                ("rule", "what it does", "before", "after", "what pohanghang makes of it"),
                (
                    (f"`{r.name}`", r.what, _code(a), _code(b), _code(by_pohanghang(r, a)))
                    for r in ours
                    for a, b in r.examples
                ),
            ),
            "### The steps of pohanghang",
            _table(
                ("rule", "what it does", "before", "after"),
                ((f"`{r.name}`", r.what, _code(a), _code(b)) for r in steps for a, b in r.examples),
            ),
            "### Presets",
            _table(("preset", "rules in their order"), presets),
            "### Abbreviations",
            _table(("jamo", "spelt out", "sources"), spelt),
            "\n".join(f"* {key}: {source}" for key, source in SOURCES.items()),
        ]
    )


def page(text: str) -> str:
    """A page's text with its tables renewed; raises `ValueError` where it lacks the marks."""
    first, last = map(re.escape, MARKS)
    parts = re.fullmatch(f"(?s)(.*{first}\n).*({last}.*)", text)
    if parts is None:
        raise ValueError(f"needs the lines {MARKS[0]} and {MARKS[1]}")
    return f"{parts[1]}\n{tables()}\n\n{parts[2]}"


def _code(text: str) -> str:
    """A text as code that keeps its spaces; nothing as a dash."""
    return f"`{text}`".replace("\n", "⏎") if text else "–"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; what stands above it once is not repeated in the first two columns."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    last: Sequence[str] = ()
    for row in rows:
        same = len(heads) > 3 and row[:2] == last
        lines.append(f"| {' | '.join(('', '', *row[2:]) if same else row)} |")
        last = row[:2]
    return "\n".join(lines)


def main() -> None:
    """Renew the page."""
    argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog="example: python prep/cleaning/docs.py"
    ).parse_args()
    try:
        text = page(read_text(PAGE))
    except ValueError as error:
        raise UserError(f"{PAGE}: {error}; restore it from the repository") from None
    with atomic_file(PAGE) as file:
        file.write(text)
    print(PAGE)


if __name__ == "__main__":
    entry(main)
