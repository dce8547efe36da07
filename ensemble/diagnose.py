"""Say what each member adds to the hard vote, on rows whose answers are known.

Run as: python ensemble/diagnose.py predictions/*.jsonl --data data/cci/dev.jsonl --html FILE
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup
from rich import box
from rich.console import Console
from rich.table import Table

from core.bilingual import Both
from core.errors import entry
from core.files import atomic_file, require_place, sha256
from core.jsonl import write_json
from ensemble.diagnosis.diagnosis import Diagnosis
from ensemble.diagnosis.labelled_answers import read
from eval.predictions import read_meta
from eval.provenance import facts
from recipes.members.tables import MEMBERS, load_members

if TYPE_CHECKING:
    from ensemble.diagnosis.sections import Section


TEMPLATE = Path(__file__).with_name("diagnosis") / "diagnosis.html.jinja"
PRINTED, SHOWN = 20, 500  # lines of a table in the terminal and on the page; --json has all
EPILOG = """\
example:
  python ensemble/diagnose.py predictions/*.jsonl --data data/cci/dev.jsonl --html page.html
  python ensemble/diagnose.py --set pohanghang

Tables are Markdown. Answers are read from the rows, never from the official test file; members
chosen on the rows reported on must be judged on others."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, diagnose, print the tables and write what is asked for."""
    args = _arguments(argv)
    require_place(args.json, args.data, *args.predictions)
    require_place(args.html, args.data, *args.predictions, args.json)
    found = Diagnosis.of(read(args.predictions, args.data, args.mixed))
    inputs = [
        {"path": str(path), "sha256": sha256(path)} for path in (args.data, *args.predictions)
    ]
    if args.json:
        write_json(args.json, {"inputs": inputs, **found.as_dict()})
    if args.html:
        metas = dict(zip(found.labelled.names, map(read_meta, args.predictions), strict=True))
        text = page(found, inputs, facts(metas, args.data, args.command))
        with atomic_file(args.html) as file:
            file.write(text)
    show(found)


def page(
    found: Diagnosis, inputs: Sequence[dict[str, str]], facts: Sequence[tuple[str, str]]
) -> str:
    """The HTML page; the same predictions give the same bytes. `facts` say what was diagnosed."""
    from core import drawn, look
    from ensemble.diagnosis.diagnosis_sentences import headline, sentences
    from ensemble.diagnosis.sections import sections

    read = [[one["path"], Markup("<code>{}</code>").format(one["sha256"])] for one in inputs]
    return look.page(
        TEMPLATE,
        headline(found),
        facts,
        sentences=list(sentences(found)),
        sections=[(one, _shown(one, found)) for one in sections(found)],
        most=SHOWN,
        inputs=drawn.table([Both("file", "파일"), "SHA-256"], read, names=2),
    )


def _shown(section: "Section", found: Diagnosis) -> Markup:
    """A section's picture and table; what is drawn of a line stands behind its names."""
    from core import drawn

    head, lines, names = [*section.head], [[*line] for line in section.lines], section.names
    if section.draw:
        head.insert(names, Both("drawn", "그림"))
        for line, cell in zip(lines, section.draw(found), strict=True):
            line.insert(names, cell)
    above = section.picture(found) if section.picture else Markup()
    return above + drawn.table(head, lines[:SHOWN], names)


def show(found: Diagnosis) -> None:
    """Print sentences and tables as Markdown."""
    from ensemble.diagnosis.diagnosis_sentences import sentences
    from ensemble.diagnosis.sections import sections

    # a pipe has no width to fit: nothing is wrapped there
    width = None if sys.stdout.isatty() else 240
    console = Console(width=width, markup=False, highlight=False, soft_wrap=True)
    for sentence in sentences(found):
        console.print(f"* {sentence}")
    for section in sections(found):
        console.print(f"\n### {section.title}")
        console.print(_table(section))
        if len(section.lines) > PRINTED:
            console.print(f"{PRINTED} of {len(section.lines):,} lines")


def _table(section: "Section") -> Table:
    table = Table(box=box.MARKDOWN)
    for place, name in enumerate(section.head):
        table.add_column(name, justify="left" if place < section.names else "right", no_wrap=True)
    for line in section.lines[:PRINTED]:
        table.add_row(*(cell.replace("|", r"\|") for cell in line))
    return table


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("predictions", nargs="*", type=Path, help="the members' files; the order settles ties")
    add("--set", metavar="NAME", help=f"instead: who votes in a set of {MEMBERS}, on its data")
    add("--data", type=Path, help="the scored rows, with answers, such as dev")
    add("--mixed", action="store_true", help="members may come of different preparations")
    add("--html", type=Path, metavar="FILE", help="write one page with all pictures and tables")
    add("--json", type=Path, metavar="FILE", help="write all figures, every item listed")
    args = parser.parse_args(argv)
    named = ["--data", str(args.data)] if args.predictions else ["--set", str(args.set)]
    args.command = ["ensemble/diagnose.py", *map(str, args.predictions), *named]
    if args.set and not args.predictions:
        members = load_members()
        args.predictions = members.known_voters(args.set)
        args.data = args.data or members.data(args.set)
        args.mixed = args.mixed or members.sets[args.set].mixed
    elif args.set or not (args.predictions and args.data):
        parser.error("name either predictions and --data, or a set by --set")
    return args


if __name__ == "__main__":
    entry(main)
