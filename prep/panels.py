"""Records in the terminal: a question raw and cleaned side by side, a row as the model gets it.

Texts are shown as they are, never as markup.
"""

from collections.abc import Iterator

from rich.console import Group
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from prep.records import LABELS, Question, Removed, Row

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
    parts.append(Text(" · ".join(facts), style="cyan"))
    return Panel(Group(*parts), title=Text(row.id), title_align="left")


def question_panel(raw: Question, cleaned: Question | None, removed: list[Removed]) -> Panel:
    """A question in a frame, raw and, where there are cleaning rules, cleaned beside it."""
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
    """The dialogue turn by turn, a cleaned turn beside the raw one of its id; or the passage."""
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
