"""Show a record: raw and cleaned side by side, then the prompt; or the rows of a file.

Run as: python prep/show.py data/demo/stage2.jsonl

An id is looked for in the run's corpus, then in the rows that were built from it.
"""

import argparse
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from core.errors import UserError, entry
from core.jsonl import read_objects, read_records, validated
from core.records import LABELS, Question, Removed, Row
from core.text import nfc
from prep import corpus
from prep.cleaning import clean
from prep.config import Run
from prep.render import Renderer, load_prompt

# Texts are shown as they are, never as markup.
STYLES = {"system": "dim", "user": "default", "assistant": "green"}
REFERENCE, RIGHT, ALTERED, GONE = "▶", "✔", "≠", "×"
Line = tuple[str, str, str | None]  # what it is, raw, cleaned (None: dropped or merged)


def row_panel(row: Row) -> Panel:
    """One row in a frame: its messages with their roles, and what else it carries."""
    parts = []
    for message in row.messages:
        parts += [Text(message.role, style="bold"), Text(message.content, STYLES[message.role])]
    facts = [row.source, row.split, f"group {row.group}"]
    facts += [fact for fact in (row.category, row.prompt) if fact]
    if row.labels and row.order is not None:
        shown = ", ".join(
            f"{label} = option {index + 1}"
            for label, index in zip(row.labels, row.order, strict=True)
        )
        facts += [shown, f"answer {row.answer or 'not published'}"]
    if row.documents:
        facts.append(f"evidence of {', '.join(row.documents)}")
    parts.append(Text(" · ".join(facts), style="cyan"))
    return Panel(Group(*parts), title=Text(row.id), title_align="left")


def question_panel(raw: Question, cleaned: Question | None, removed: list[Removed]) -> Panel:
    """A question in a frame, raw and, where there are cleaning rules, cleaned next to it."""
    grid = Table(box=None, expand=True, padding=(0, 1), show_header=cleaned is not None)
    grid.add_column("", no_wrap=True)
    grid.add_column("raw", ratio=1)
    if cleaned is not None:
        grid.add_column("", no_wrap=True)
        grid.add_column("cleaned", ratio=1)
    for group in (_context(raw, cleaned or raw), _options(raw, cleaned or raw)):
        for kind, before, after in group:
            style = {REFERENCE: "bold cyan", RIGHT: "bold green"}.get(kind[:1], "default")
            cells = [Text(kind, style), Text(before, style)]
            if cleaned is not None and after is None:
                cells.append(Text(GONE, "yellow"))
            elif cleaned is not None and after is not None:
                mark = "" if after == before else ALTERED
                cells += [Text(mark, "yellow"), Text(after, style)]
            grid.add_row(*cells)
        grid.add_row()
    facts = [raw.source, raw.split, f"group {raw.group}", raw.category]
    facts.append(f"answer {'not published' if raw.answer is None else LABELS[raw.answer]}")
    legend = [f"{REFERENCE} reference", f"{RIGHT} answer"]
    if cleaned is not None:
        legend += [f"{ALTERED} altered", f"{GONE} dropped, or merged into the turn above"]
    parts = [
        grid,
        Rule(style="dim"),
        Text(" · ".join(facts), "cyan"),
        Text(" · ".join(legend), "dim"),
    ]
    for record in removed:
        near = f", near {record.near}" if record.near else ""
        parts.append(Text(f"left out of the build: {record.reason}{near}", "bold red"))
    return Panel(Group(*parts), title=Text(raw.id), title_align="left")


def _context(raw: Question, cleaned: Question) -> Iterator[Line]:
    """The dialogue turn by turn, a cleaned turn next to the raw one of its id; or the passage."""
    after = {turn.id: turn for turn in cleaned.turns}
    for turn in raw.turns:
        other = after.get(turn.id)
        kind = REFERENCE if turn.id in raw.focus else ""
        said = None if other is None else f"{other.speaker}: {other.text}"
        yield kind, f"{turn.speaker}: {turn.text}", said
    for kind, name in (("passage", "passage"), ("question", "question"), ("보기", "note")):
        if text := getattr(raw, name):
            yield kind, text, getattr(cleaned, name)


def _options(raw: Question, cleaned: Question) -> Iterator[Line]:
    """The options in their published order."""
    for place, (before, after) in enumerate(zip(raw.options, cleaned.options, strict=True)):
        mark = RIGHT if place == raw.answer else " "
        yield f"{mark} {LABELS[place]}", before, after


SUGGESTED = 3


def record(run: Run, wanted: str, rules: Sequence[str]) -> list[RenderableType]:
    """The records of an id, in each split that has it, or that of one of the built rows.

    Raises `UserError` with the nearest ids.
    """
    parts = [corpus.questions_of(run, split) for split in ("train", "dev", "test")]
    questions = [one for part in parts if part for one in part.questions]
    renderer = Renderer(load_prompt(run.prompt), run.answer, run.system)
    shown: list[RenderableType] = []
    for raw in (one for one in questions if one.id == wanted):
        cleaned, _ = clean(raw, rules)
        make = renderer.scoring if cleaned.answer is None else renderer.loss
        shown += [question_panel(raw, cleaned, _removed(run, raw)), row_panel(make(cleaned))]
    if shown:
        return shown
    rows = list(_rows(run))
    named = [
        validated(row, Row, f"{run.out}, row {wanted}")
        for row in rows
        if wanted in (row["id"], row.get("record"))
    ]
    if not named:
        known = [*(one.id for one in questions), *(row["id"] for row in rows if row.get("labels"))]
        raise UserError(
            f"no record {wanted} in the corpus of the run, and no row in {run.out}; "
            f"{_nearest(wanted, known)}"
        )
    made_of = {(row.source, row.split, row.record) for row in named}
    for raw in (one for one in questions if (one.source, one.split, one.id) in made_of):
        cleaned, _ = clean(raw, rules)
        shown.append(question_panel(raw, cleaned, _removed(run, raw)))
    return [*shown, *map(row_panel, named)]


def rows_of(file: Path, wanted: str | None, count: int) -> list[RenderableType]:
    """The first rows of a file, or those of an id in all their orders; raises `UserError`."""
    rows = read_records(file, Row)
    if wanted is None:
        return [row_panel(row) for row in rows[: max(count, 0)]]
    named = [row for row in rows if wanted in (row.id, row.record)]
    if not named:
        near = _nearest(wanted, [row.id for row in rows])
        raise UserError(f"{file}: no row with id {wanted}; {near}")
    return [row_panel(row) for row in named]


def _rows(run: Run) -> Iterator[dict]:
    """The rows that were built of the run, as far as they are there."""
    for file in sorted(Path(run.out).glob("*.jsonl")):
        yield from (value for _, value in read_objects(file) if "messages" in value)


def _removed(run: Run, question: Question) -> list[Removed]:
    """Why the last build left a question out, if it did."""
    file = Path(run.out) / "removed.jsonl"
    here = (question.id, question.source, question.split)
    found = read_records(file, Removed) if file.is_file() else []
    return [gone for gone in found if (gone.id, gone.source, gone.split) == here]


def _nearest(wanted: str, known: Sequence[str]) -> str:
    """A sentence with the ids that hold the wanted one, else with those most like it."""
    ids = list(dict.fromkeys(known))
    near = [name for name in ids if wanted in name][:SUGGESTED]
    near = near or get_close_matches(wanted, ids, SUGGESTED)
    return f"the nearest ids are {', '.join(near)}" if near else "no id is like it"


def main() -> None:
    """Print the record or the rows asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/show.py synthetic-target-dev-00001-1 --run demo\n"
        "         python prep/show.py data/demo/stage2.jsonl --n 1",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="ID|FILE", help="a record's id, or a .jsonl file of rows")
    corpus.add_arguments(parser)
    parser.add_argument("--clean", help="a preset of cleaning rules, instead of the run's own")
    parser.add_argument(
        "--prompt", help="a name of prep/prompts or the path of a file, instead of the run's own"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--id", help="of a FILE: the rows of this id, in all their orders")
    which.add_argument("--n", type=int, default=3, help="of a FILE: the first N rows (3)")
    args = parser.parse_args()

    if args.what.endswith(".jsonl"):
        shown = rows_of(Path(args.what), args.id and nfc(args.id), args.n)
    else:
        run = corpus.run_of(args)
        if args.prompt:
            run = run.model_copy(update={"prompt": args.prompt})
        shown = record(run, nfc(args.what), corpus.rules(run, args.clean))
    Console().print(*shown, sep="\n")


if __name__ == "__main__":
    entry(main)
