"""Report how often predictions are right, how sure they are, and whether runs differ.

Run as: python eval/report.py predictions/*.jsonl --data data/cci/dev.jsonl --html report.html
"""

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from core.errors import UserError, entry
from core.files import atomic_file, require_place
from core.jsonl import read_json, write_json
from eval.metrics.accuracy import show
from eval.provenance import facts
from eval.reporting.breakdowns import breakdowns
from eval.reporting.figures import figures
from eval.reporting.runs import items, load, questions_of
from recipes.members.tables import MEMBERS, load_members

TABLES = ("categories.csv", "calibration.csv")
EPILOG = """\
examples:
  python eval/report.py predictions/*.jsonl --data data/cci/dev.jsonl
  python eval/report.py predictions/*.jsonl --data data/cci/dev.jsonl --html report.html
  python eval/report.py --set pohanghang

The page needs no server and no net. It holds the text of the questions: whoever may not share the
corpus must not share it, unless it is made with --errors 0."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, write what is asked for and print the table."""
    args = _arguments(argv)
    questions_file = args.questions or args.data.with_name("questions.jsonl")
    _require_places(
        args, [*args.predictions, args.data, questions_file, *[args.earlier] * bool(args.earlier)]
    )
    scored = load(args.predictions, args.data, args.mixed)
    known = args.questions is not None or questions_file.is_file()
    questions = questions_of(scored.rows, questions_file) if known else {}
    earlier = _earlier(args.earlier) if args.earlier else None
    if args.html or args.markdown or args.json or args.plots:
        from eval.reporting.headline import headline
        from eval.reporting.page import html, markdown  # seconds to import, and only wanted here

        parts = breakdowns(scored.rows, questions)
        found = figures(scored, parts)
        if args.html:
            about = facts({run.name: run.meta for run in scored.runs}, args.data, args.command)
            browsed = items(scored, questions)[: args.errors]
            with Console(stderr=True).status("drawing the page"):
                text = html(about, found, parts, browsed, len(scored.rows), earlier)
            _write(args.html, text)
        if args.markdown:
            _write(args.markdown, markdown(headline(found), found, parts))
        if args.json:
            write_json(args.json, found)
        if args.plots:
            _tables(args.plots, found)
    show([run.result for run in scored.runs], scored.rows)


def _require_places(args: argparse.Namespace, read: Sequence[Path]) -> None:
    """Refuse, before anything is counted, files to write that cannot be or that are read."""
    tables = [args.plots / name for name in TABLES] if args.plots else []
    written = [path for path in (args.html, args.markdown, args.json, *tables) if path]
    for number, path in enumerate(written):
        require_place(path, *read, *written[:number])


def _earlier(path: Path) -> dict[str, Any]:
    """The results of an earlier report, by run; raises `UserError` for another file."""
    found = read_json(path)
    results = found.get("results") if isinstance(found, dict) else None
    if not isinstance(results, dict) or not all(
        isinstance(one, dict) and isinstance(one.get("accuracy"), float | int)
        for one in results.values()
    ):
        raise UserError(f"{path}: holds no figures of a report; name what --json wrote")
    return results


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write(text)


def _tables(folder: Path, found: Mapping[str, Any]) -> None:
    """What DVC plots: one line a run and category, and one a run and calibration bin."""
    results = found["results"].items()
    _csv(
        folder / TABLES[0],
        ("run", "category", "n", "accuracy", "low", "high"),
        (
            (name, category, part["n"], part["accuracy"], *part["wilson95"])
            for name, one in results
            for category, part in one["categories"].items()
        ),
    )
    _csv(
        folder / TABLES[1],
        ("run", "n", "confidence", "accuracy"),
        (
            (name, part["n"], part["confidence"], part["accuracy"])
            for name, one in results
            for part in one["calibration"]
        ),
    )


def _csv(path: Path, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    with atomic_file(path) as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("predictions", nargs="*", type=Path, help="files that score.py or vote.py wrote")
    add("--set", metavar="NAME", help=f"also the members of a set of {MEMBERS}, on its data")
    add("--data", type=Path, help="the scored rows, with answers")
    add(
        "--mixed",
        action="store_true",
        help="compare runs that saw the questions in other prompts, cleaning or orders too",
    )
    add("--html", type=Path, metavar="FILE", help="write one self-contained page")
    add("--markdown", type=Path, metavar="FILE", help="write the figures as Markdown")
    add("--json", type=Path, metavar="FILE", help="write all figures, for programs and DVC")
    add("--plots", type=Path, metavar="FOLDER", help="write categories.csv and calibration.csv")
    add(
        "--earlier",
        type=Path,
        metavar="FILE",
        help="what --json wrote at an earlier time: the page says how accuracies changed since",
    )
    add(
        "--questions",
        type=Path,
        metavar="FILE",
        help="the questions of the rows (default: questions.jsonl next to --data, if it is there)",
    )
    add(
        "--errors",
        type=int,
        default=1000,
        metavar="N",
        help="items on the page, those most runs got wrong first (%(default)s)",
    )
    args = parser.parse_args(argv)
    if args.errors < 0:
        parser.error("--errors must not be negative")
    # what gives these figures again; the names of what is written are not a part of them
    named = ["--set", args.set] if args.set else ["--data", str(args.data)]
    args.command = ["eval/report.py", *map(str, args.predictions), *named]
    if args.set:
        members = load_members()
        args.predictions += members.compared(args.set)
        args.data = args.data or members.data(args.set)
        args.mixed = args.mixed or members.sets[args.set].mixed
    elif not (args.predictions and args.data):
        parser.error("name predictions and --data; or a set by --set")
    return args


if __name__ == "__main__":
    entry(main)
