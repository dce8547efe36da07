"""Score texts that a model wrote against those that are right.

Run as: python eval/score_texts.py texts.jsonl --references data/own/test-texts.jsonl

A text is as eval/generate.py writes it: {"id", "text"}, with "ended": false where the model was cut
off. What is right is {"id", "references": [...]}, with a "group" and a "category" where there are
such, or a row of prep that ends with the right text. Intervals are over groups.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from core.errors import UserError, entry
from core.files import require_place, sha256
from core.jsonl import write_json, write_records
from core.text import short
from eval.metrics.answer_texts import MEASURES, measured, unread
from eval.metrics.significance import intervals, rounded, too_few
from eval.written import RightTexts, WrittenText, read_references, read_texts


@dataclass(frozen=True)
class Scores:
    """The measures of each item, (items, measures), and of those unread the reason by id."""

    items: list[RightTexts]
    values: NDArray[np.float64]
    unread: dict[str, str]

    def figures(self) -> dict[str, Any]:
        """Every measure with its interval, of all items and of each category."""
        parts = {"all": list(range(len(self.items)))}
        for place, one in enumerate(self.items):
            if one.category:
                parts.setdefault(one.category, []).append(place)
        return {name: self._figures(places) for name, places in parts.items()}

    def _figures(self, places: list[int]) -> dict[str, Any]:
        values = self.values[places]
        ends = intervals(values, [self.items[k].group or self.items[k].id for k in places])
        means = values.mean(axis=0).round(6).tolist()
        return {
            "n": len(places),
            **{
                name: {"mean": mean, "interval95": rounded(end)}
                for name, mean, end in zip(MEASURES, means, ends, strict=True)
            },
        }


def score(
    references: list[RightTexts],
    texts: dict[str, WrittenText],
    form: re.Pattern[str] | None = None,
) -> Scores:
    """Measure every item that has a right text; one without a text is a failure, not left out."""
    values, failures = [], {}
    for one in references:
        written = texts.get(one.id)
        text, ended = (written.text, written.ended) if written else (None, True)
        if reason := unread(text, ended, form):
            failures[one.id] = reason
        values.append([0.0] * len(MEASURES) if reason else measured(text or "", one.references))
    return Scores(references, np.array(values), failures)


def table(scores: Scores) -> Table:
    """A line for all items and one for each category: means, and below them their intervals."""
    grid = Table()
    grid.add_column("items")
    for name in ("n", *MEASURES):
        grid.add_column(name, justify="right")
    for name, part in scores.figures().items():
        cells = []
        for measure in MEASURES:
            ends = part[measure]["interval95"]
            below = f"{ends[0]:.1%}–{ends[1]:.1%}" if ends else "–"
            cells.append(f"{part[measure]['mean']:.1%}\n{below}")
        grid.add_row(name, str(part["n"]), *cells)
    return grid


def main(argv: Sequence[str] | None = None) -> None:
    """Read both files, print the table and write what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python eval/score_texts.py texts.jsonl --references rows.jsonl",
    )
    add = parser.add_argument
    add("texts", type=Path, help="what the model wrote, JSONL")
    add("--references", type=Path, required=True, help="what is right, JSONL, or rows of prep")
    add("--form", help="a regular expression that a text must match whole to be read")
    add("--json", type=Path, help="write all figures, and the ids that could not be read")
    add("--items", type=Path, help="write each item's measures, JSONL")
    args = parser.parse_args(argv)
    require_place(args.json, args.texts, args.references, args.items)
    require_place(args.items, args.texts, args.references)
    try:
        form = re.compile(args.form, re.DOTALL) if args.form else None
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(
            f"--form {short(args.form)}: no regular expression ({error}); correct it"
        ) from None

    references = read_references(args.references)
    texts = read_texts(args.texts, [one.id for one in references], args.references)
    scores = score(references, texts, form)
    if args.items:
        lines = zip(references, scores.values.round(6).tolist(), strict=True)
        write_records(
            args.items,
            ({"id": one.id, **dict(zip(MEASURES, line, strict=True))} for one, line in lines),
        )
    if args.json:
        files = {"texts": args.texts, "references": args.references}
        hashes = {name: {"path": str(p), "sha256": sha256(p)} for name, p in files.items()}
        write_json(args.json, {**hashes, "results": scores.figures(), "unread": scores.unread})
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(scores))
    reasons = Counter(scores.unread.values())
    said = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    console.print(f"{len(scores.unread)} of {len(references)} could not be read: {said or 'none'}")
    if few := too_few([one.group or one.id for one in references]):
        console.print(few)


if __name__ == "__main__":
    entry(main)
