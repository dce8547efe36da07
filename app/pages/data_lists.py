"""What the page Data shows as HTML: lists of rows and records, and one of them in full."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from app import fragments, record_texts, row_table
from app.language import Say
from app.project import Project
from app.row_table import Filter
from core.errors import UserError
from core.layout import DATA
from core.records import Chat, Question


def file_of(project: Project, run: str, name: str | None) -> Path:
    """A file of a run by its name in it, as folds/0/train.jsonl; raises `UserError` outside."""
    return project.child(DATA, run, *(name or "").split("/"))


def _pages(found: Any, number: int, pages: int, rows: int, say: Say) -> Markup:
    if not rows:
        return fragments.said(say("Nothing matches."))
    return (
        Markup('<p class="note">{} {} · {} {} / {}</p>').format(
            f"{rows:,}", say("found"), say("page"), number, pages
        )
        + found
    )


def _cut(items: list[Any], number: Any) -> tuple[list[Any], int, int]:
    pages = max(1, -(-len(items) // row_table.PAGE))
    at = min(max(int(number or 1), 1), pages)
    return items[(at - 1) * row_table.PAGE : at * row_table.PAGE], at, pages


def rows(project: Project, run: str, name: str, wanted: Filter, number: Any, say: Say) -> Markup:
    """The rows of a file that a filter leaves, a page of them."""
    table = row_table.read(file_of(project, run, name)).matching(wanted)
    part, at, pages = row_table.page(table, number)
    rows = [
        [
            fragments.button(row["id"], row["id"]),
            row["source"],
            row["split"],
            row["category"] or "–",
            f"{row['length']:,}",
            row["answer"] or "–",
        ]
        for row in part.to_pylist()
    ]
    names = ("Row", "Source", "Split", "Category", "Characters", "Answer")
    found = fragments.table([say(one) for one in names], rows)
    return _pages(found, at, pages, table.num_rows, say)


def row(one: dict[str, Any], words: str, action: Markup) -> Markup:
    """A row's messages, with what can be done and the searched text highlighted."""
    parts = [fragments.heading(one["id"], one["prompt"] or ""), action]
    for message in one["messages"]:
        body = fragments.marked(message["content"] or "", words or "")
        parts.append(Markup('<h4>{}</h4><pre class="text">{}</pre>').format(message["role"], body))
    return fragments.join(parts)


def published(project: Project, run: str, key: Any, say: Say) -> Markup:
    """A record raw and cleaned side by side, or what stands in the way."""
    title = fragments.heading(say("As published, and cleaned"))
    try:
        raw, cleaned = record_texts.published(project, run, key)
    except UserError as error:
        return title + fragments.refused(error, say) + _changes(project, run, key, say)
    if isinstance(raw, Chat) or cleaned is None:
        return title + fragments.join(fragments.text(one.content) for one in raw.messages)
    return title + _beside(raw, cleaned, say) + _changes(project, run, key, say)


def _beside(raw: Question, cleaned: Question, say: Say) -> Markup:
    after = {turn.id: f"{turn.speaker}: {turn.text}" for turn in cleaned.turns}
    lines = [
        (turn.id in raw.focus, f"{turn.speaker}: {turn.text}", after.get(turn.id))
        for turn in raw.turns
    ]
    lines += [
        (False, getattr(raw, name), getattr(cleaned, name))
        for name in ("passage", "question", "note")
        if getattr(raw, name)
    ]
    lines += [
        (
            False,
            f"{'✔ ' if k == raw.answer else ''}{before}",
            f"{'✔ ' if k == raw.answer else ''}{now}",
        )
        for k, (before, now) in enumerate(zip(raw.options, cleaned.options, strict=True))
    ]
    rows = [
        ["▶" if focus else "", a, "×" if b is None else b, "≠" if a != b else ""]
        for focus, a, b in lines
    ]
    marks = ["chosen" if focus else "" for focus, *_ in lines]
    note = say("▶ reference · ✔ answer · ≠ altered · × dropped, or merged into the line above")
    return Markup('<p class="note">{}</p>').format(note) + fragments.table(
        ["", say("Published"), say("Cleaned"), ""], rows, marks
    )


def _changes(project: Project, run: str, key: Any, say: Say) -> Markup:
    found = [
        one for one in record_texts.changed(project, run) if (one.source, one.split, one.id) == key
    ]
    if not found:
        return Markup()
    rows = [[one.reason, one.field, str(one.before), one.after or "×"] for one in found]
    return fragments.table([say("Reason"), say("Place"), say("Before"), say("After")], rows)


def left_out(project: Project, run: str, why: str, words: str, number: Any, say: Say) -> Markup:
    """Records that the build left out, a page of them."""
    found = [
        one
        for one in record_texts.removed(project, run)
        if (one.reason == why or not why) and (words or "") in one.id
    ]
    part, at, pages = _cut(found, number)
    rows = [
        [_open(one.source, one.split, one.id), one.source, one.split, one.reason, one.near or "–"]
        for one in part
    ]
    names = ("Record", "Source", "Split", "Reason", "Near to")
    return _pages(fragments.table([say(one) for one in names], rows), at, pages, len(found), say)


def altered(project: Project, run: str, why: str, words: str, number: Any, say: Say) -> Markup:
    """Texts that the build altered, a page of them."""
    words = words or ""
    found = [
        one
        for one in record_texts.changed(project, run)
        if (one.reason == why or not why) and (words in one.id or words in str(one.before))
    ]
    part, at, pages = _cut(found, number)
    rows = [
        [
            _open(one.source, one.split, one.id),
            one.reason,
            one.field,
            str(one.before),
            one.after or "×",
        ]
        for one in part
    ]
    names = ("Record", "Reason", "Place", "Before", "After")
    return _pages(fragments.table([say(one) for one in names], rows), at, pages, len(found), say)


def _open(source: str, split: str, record: str) -> Markup:
    return fragments.button("\t".join((source, split, record)), record)


def clusters(project: Project, run: str, words: str, number: Any, say: Say) -> Markup:
    """Clusters of near-duplicates, a page of them."""
    found = [one for one in record_texts.clusters(project, run) if (words or "") in one.kept]
    part, at, pages = _cut(found, number)
    rows = [
        [
            _open(one.source, one.members[0].split, one.kept),
            one.source,
            str(len(one.members) + 1),
            ", ".join(member.id for member in one.members[:4]) + " …" * (len(one.members) > 4),
        ]
        for one in part
    ]
    names = ("Stays", "Source", "Records", "Left out")
    return _pages(fragments.table([say(one) for one in names], rows), at, pages, len(found), say)


def cluster(project: Project, run: str, place: Any, say: Say) -> Markup:
    """The texts of a cluster, that of the record that stays first."""
    source, split, kept = place
    found = [c for c in record_texts.clusters(project, run) if (c.source, c.kept) == (source, kept)]
    ids = [kept, *(member.id for cluster in found for member in cluster.members)]
    rows = [[one, _text(project, run, (source, split, one), say)] for one in ids[: row_table.PAGE]]
    marks = ["chosen", *[""] * len(rows)]
    return fragments.heading(kept) + fragments.table([say("Record"), say("Text")], rows, marks)


def _text(project: Project, run: str, key: Any, say: Say) -> Markup:
    try:
        raw, _ = record_texts.published(project, run, key)
    except UserError as error:
        return fragments.refused(error, say)
    if isinstance(raw, Chat):
        return fragments.join(fragments.text(one.content) for one in raw.messages)
    return fragments.question(raw)
