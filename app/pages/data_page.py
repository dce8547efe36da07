"""Data: the rows of a run, how they were cleaned, what was left out and what is alike."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from app import fragments, record_texts, row_table
from app.language import Say
from app.pages.try_page import TryPage
from app.project import Project
from app.row_table import Filter
from core.errors import UserError
from core.layout import DATA
from core.records import Chat, Question

VIEWS = ("Rows", "Left out", "Altered", "Near-duplicates")
BEGINNING = 90  # characters of a text in a list


def build(project: Project, say: Say, tab: gr.Tab, tabs: gr.Tabs, asked: TryPage) -> None:
    """The page's components and what they do."""
    with gr.Row():
        run = gr.Dropdown([], label=say("Run"))
        view = gr.Radio([(say(one), one) for one in VIEWS], value=VIEWS[0], label=say("Show"))
    with gr.Row() as filters:
        file = gr.Dropdown([], label=say("File"), min_width=140)
        source = gr.Dropdown([], label=say("Source"), min_width=140)
        split = gr.Dropdown([], label=say("Split"), min_width=140)
        category = gr.Dropdown([], label=say("Category"), min_width=140)
        shortest = gr.Number(label=say("Characters, at least"), min_width=140)
        longest = gr.Number(label=say("at most"), min_width=140)
    reason = gr.Dropdown([], label=say("Reason"), visible=False)
    with gr.Row():
        text = gr.Textbox(label=say("Text or id"), scale=3)
        number = gr.Number(1, label=say("Page"), minimum=1, precision=0, min_width=100)
    listed = gr.HTML(js_on_load=fragments.ON_CLICK)
    detail = gr.HTML(elem_id="record")
    to_try = gr.Button(say("Open in Try"), visible=False)
    opened = gr.State(("", ""))

    def start() -> list[Any]:
        try:
            runs = project.runs()
        except UserError as error:
            return [gr.skip(), fragments.said(str(error))]
        return [gr.Dropdown(runs, value=runs[0]), gr.skip()]

    def chosen(of_run: str) -> list[Any]:
        try:
            names = [str(path.relative_to(DATA / of_run)) for path in project.rows(of_run)]
        except UserError as error:
            return [gr.Dropdown([], value=None), fragments.said(str(error))]
        return [gr.Dropdown(names, value=names[0]), gr.skip()]

    def of_file(of_run: str, name: str | None) -> list[Any]:
        try:
            rows = row_table.read(_file(project, of_run, name))
        except UserError as error:
            return [*[gr.Dropdown([""], value="")] * 3, fragments.said(str(error))]
        lists = [["", *rows.values(column)] for column in ("source", "split", "category")]
        return [*(gr.Dropdown(values, value="") for values in lists), gr.skip()]

    def of_view(of_run: str, what: str) -> list[Any]:
        rows = what == "Rows"
        records = {"Left out": record_texts.removed, "Altered": record_texts.changed}.get(what)
        names: list[Any] = [(say("all"), "")]
        try:
            found = record_texts.reasons(records(project, of_run)) if records and of_run else []
        except UserError:  # the list says it
            found = []
        names += [(f"{name} ({count})", name) for name, count in found]
        return [gr.Row(visible=rows), gr.Dropdown(names, value="", visible=bool(records)), 1]

    def show(of_run: str, what: str, why: str, *given: Any) -> list[Any]:
        *limits, words, at = given
        try:
            if not of_run:
                project.runs()
            elif what == "Rows":
                name, *limits = limits
                wanted = Filter(*(one or "" for one in limits[:3]), *limits[3:], words or "")
                found = _rows(project, of_run, name, wanted, at, say)
            elif what == "Left out":
                found = _left_out(project, of_run, why, words, at, say)
            elif what == "Altered":
                found = _altered(project, of_run, why, words, at, say)
            else:
                found = _clusters(project, of_run, words, at, say)
            return [found, "", gr.Button(visible=False)]
        except UserError as error:
            return [fragments.said(str(error)), "", gr.Button(visible=False)]

    def open_one(of_run: str, name: str, words: str, what: str, event: gr.EventData) -> list[Any]:
        key = str(event.key)
        try:
            if what == "Rows":
                row = row_table.row(_file(project, of_run, name), key)
                place = row["source"], row["split"], row["record"]
                shown = _row(row, words, say) + _published(project, of_run, place, say)
                asks = row["split"] in ("dev", "test") and bool(row["labels"])
                return [shown, gr.Button(visible=asks), (of_run, row["record"])]
            place = tuple(key.split("\t"))
            if what == "Near-duplicates":
                return [_cluster(project, of_run, place, say), gr.Button(visible=False), ("", "")]
            shown = fragments.heading(place[-1]) + _published(project, of_run, place, say)
            return [shown, gr.Button(visible=False), ("", "")]
        except UserError as error:
            return [fragments.said(str(error)), gr.Button(visible=False), ("", "")]

    limits = [file, source, split, category, shortest, longest, text, number]
    seen = [run, view, reason, *limits]
    results = [listed, detail, to_try]
    tab.select(start, None, [run, listed])
    of_files = (of_file, [run, file], [source, split, category, listed])
    of_views = (of_view, [run, view], [filters, reason, number])
    run.change(chosen, run, [file, listed]).then(*of_files).then(*of_views).then(
        show, seen, results
    )
    file.input(*of_files).then(lambda: 1, None, number).then(show, seen, results)
    view.input(*of_views).then(show, seen, results)
    for one in (source, split, category, reason):
        one.input(lambda: 1, None, number).then(show, seen, results)
    for one in (shortest, longest, text):
        one.submit(lambda: 1, None, number).then(show, seen, results)
        one.blur(show, seen, results)
    number.submit(show, seen, results)
    number.input(show, seen, results)
    listed.select(open_one, [run, file, text, view], [detail, to_try, opened])
    to_try.click(lambda one: asked.fill(*one, []), opened, asked.fields).then(
        lambda: gr.Tabs(selected="try"), None, tabs
    )


def _file(project: Project, run: str, name: str | None) -> Any:
    return project.child(DATA / run, *(name or "").split("/"))


def _pages(found: Any, number: int, pages: int, rows: int, say: Say) -> Markup:
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


def _rows(project: Project, run: str, name: str, wanted: Filter, number: Any, say: Say) -> Markup:
    table = row_table.read(_file(project, run, name)).matching(wanted)
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


def _row(row: dict[str, Any], words: str, say: Say) -> Markup:
    parts = [fragments.heading(row["id"], row["prompt"] or "")]
    for message in row["messages"]:
        body = fragments.marked(message["content"] or "", words or "")
        parts.append(Markup('<h4>{}</h4><pre class="text">{}</pre>').format(message["role"], body))
    return fragments.join(parts)


def _published(project: Project, run: str, key: Any, say: Say) -> Markup:
    """A record raw and cleaned side by side, or what stands in the way."""
    title = fragments.heading(say("As published, and cleaned"))
    try:
        raw, cleaned = record_texts.published(project, run, key)
    except UserError as error:
        return title + fragments.said(str(error)) + _changes(project, run, key, say)
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


def _left_out(project: Project, run: str, why: str, words: str, number: Any, say: Say) -> Markup:
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


def _altered(project: Project, run: str, why: str, words: str, number: Any, say: Say) -> Markup:
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


def _clusters(project: Project, run: str, words: str, number: Any, say: Say) -> Markup:
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


def _cluster(project: Project, run: str, place: Any, say: Say) -> Markup:
    source, split, kept = place
    found = [c for c in record_texts.clusters(project, run) if (c.source, c.kept) == (source, kept)]
    ids = [kept, *(member.id for cluster in found for member in cluster.members)]
    rows = [[one, _text(project, run, (source, split, one))] for one in ids[: row_table.PAGE]]
    return fragments.heading(kept) + fragments.table([say("Record"), say("Text")], rows, ["chosen"])


def _text(project: Project, run: str, key: Any) -> Markup:
    try:
        raw, _ = record_texts.published(project, run, key)
    except UserError as error:
        return fragments.said(str(error))
    if isinstance(raw, Chat):
        return fragments.join(fragments.text(one.content) for one in raw.messages)
    return fragments.question(raw)
