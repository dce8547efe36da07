"""Show rows as a person reads them: messages with roles, the answer, the order of the options.

Run as: python prep/show.py data/demo/stage2.jsonl
"""

import argparse
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from prep.errors import UserError, entry
from prep.jsonl import read_records
from prep.records import Row

STYLES = {"system": "dim", "user": "default", "assistant": "green"}


def panel(row: Row) -> Panel:
    """One row in a frame; its texts are shown as they are, never as markup."""
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
    parts.append(Text(" · ".join(facts), style="cyan"))
    return Panel(Group(*parts), title=Text(row.id), title_align="left")


def main() -> None:
    """Print the rows asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/show.py data/demo/stage2.jsonl --n 1",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="a JSONL file of rows")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--id", help="show the rows of this id, in all their orders")
    which.add_argument("--n", type=int, default=3, help="show the first N rows (3)")
    args = parser.parse_args()

    rows = read_records(args.file, Row)
    if args.id is not None:
        rows = [row for row in rows if args.id in (row.id, row.id.partition("~")[0])]
        if not rows:
            raise UserError(f"{args.file}: no row with id {args.id}; ids stand in the field `id`")
    else:
        rows = rows[: max(args.n, 0)]
    Console().print(*map(panel, rows), sep="\n")


if __name__ == "__main__":
    entry(main)
