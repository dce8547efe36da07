"""Results: the runs of a set, where two differ, what most miss, and from there to Try."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from app import fragments, set_results
from app.language import Say, sentence
from app.pages.try_page import TryPage
from app.project import Project
from app.row_table import PAGE
from app.set_results import SetResults
from core.errors import UserError
from core.layout import DATA
from eval.reporting.runs import ItemView

KINDS = {
    "missed": "Missed by the first",
    "most": "Missed by most",
    "flips": "One of the two is right",
    "differ": "The two chose differently",
}


def build(project: Project, say: Say, tab: gr.Tab, tabs: gr.Tabs, asked: TryPage) -> None:
    """The page's components and what they do."""
    every = (say("all"), "")
    of_set = gr.Dropdown([], label=say("Set"))
    table = gr.HTML()
    with gr.Row():
        kinds = [(say(text), name) for name, text in KINDS.items()]
        kind = gr.Dropdown(kinds, value="missed", label=say("Items"), min_width=260)
        first = gr.Dropdown([], label=say("First run"), min_width=200)
        second = gr.Dropdown([], label=say("Second run"), min_width=200)
        category = gr.Dropdown([every], value="", label=say("Category"), min_width=140)
        number = gr.Number(1, label=say("Page"), minimum=1, precision=0, min_width=100)
    listed = gr.HTML(elem_id="items", js_on_load=fragments.ON_CLICK)
    detail = gr.HTML(elem_id="item", js_on_load=fragments.ON_CLICK)

    def start() -> list[Any]:
        try:
            sets = project.sets()
        except UserError as error:
            return [gr.skip(), fragments.refused(error, say)]
        return [gr.Dropdown(sets, value=sets[0]), gr.skip()]

    def chosen(name: str) -> list[Any]:
        try:
            found = set_results.read(project, name)
        except UserError as error:
            none = gr.Dropdown([], value=None)
            return [fragments.refused(error, say), none, none, gr.Dropdown([every], value="")]
        names = found.names
        return [
            _table(found, say),
            gr.Dropdown(names, value=names[0]),
            gr.Dropdown(names, value=names[:2][-1]),
            gr.Dropdown([every, *found.categories], value=""),
        ]

    def show(name: str, what: Any, a: str, b: str, of_category: str, at: Any) -> list[Any]:
        try:
            if not (name and a and b):
                return ["", ""]
            found = set_results.read(project, name)
            listed = found.listed(what, a, b, of_category or "")
            # the only one there is needs no click
            only = _opened(found, listed[0], say) if len(listed) == 1 else ""
            return [_items(found, listed, a, b, at, say), only]
        except UserError as error:
            return [fragments.refused(error, say), ""]

    def open_one(name: str, event: gr.EventData) -> Markup:
        try:
            found = set_results.read(project, name)
            return _opened(found, found.item(str(event.key)), say)
        except UserError as error:
            return fragments.refused(error, say)

    seen = [of_set, kind, first, second, category, number]
    results = [listed, detail]
    tab.select(start, None, [of_set, table])
    of_set.change(chosen, of_set, [table, first, second, category]).then(show, seen, results)
    for one in (kind, first, second, category):
        one.input(lambda: 1, None, number).then(show, seen, results)
    number.input(show, seen, results)
    listed.select(open_one, of_set, detail).then(None, js=fragments.SCROLL.format("#item"))
    asked.opens(detail, tabs)


def _table(found: SetResults, say: Say) -> Markup:
    rows = [
        [
            line.name,
            fragments.percent(line.score.accuracy),
            fragments.interval(line.interval.low, line.score.accuracy, line.interval.high),
            f"{fragments.percent(line.interval.low)} – {fragments.percent(line.interval.high)}",
            f"{line.score.correct} / {line.score.n}",
            *(fragments.percent(one.accuracy) for one in line.categories.values()),
            "–" if line.mass is None else f"{line.mass:.3f}",
        ]
        for line in found.lines
    ]
    names = [say("Run"), say("Accuracy"), "0–100 %", say("95 % interval"), say("Right")]
    names += [*found.categories, say("Letter mass")]
    refused = fragments.join(fragments.said(sentence(one, say)) for one in found.refused)
    return refused + fragments.heading(str(found.data)) + fragments.table(names, rows)


def _items(
    found: SetResults, items: list[ItemView], a: str, b: str, number: Any, say: Say
) -> Markup:
    pages = max(1, -(-len(items) // PAGE))
    at = min(max(int(number or 1), 1), pages)
    rows, first, second = [], found.place(a), found.place(b)
    for item in items[(at - 1) * PAGE : at * PAGE]:
        said = list(set_results.answers(item))
        rows.append(
            [
                fragments.button(item.row.record, item.row.record),
                item.row.category or "–",
                item.row.answer,
                *(f"{said[k][1]} {'✔' if said[k][2] else '✗'}" for k in (first, second)),
                f"{len(item.wrong)} / {len(said)}",
            ]
        )
    headings = [say("Item"), say("Category"), say("Answer"), a, b, say("Missed by")]
    note = f"{len(items):,} {say('found')} · {say('page')} {at} / {pages}"
    verdict = say(found.verdict(a, b)) if a != b else ""
    found_none = fragments.said(say("Nothing matches."))
    return fragments.heading(verdict, note) + (
        fragments.table(headings, rows) if rows else found_none
    )


def _opened(found: SetResults, item: ItemView, say: Say) -> Markup:
    """An item, with a button that asks one model that misses it and one that does not."""
    run = found.data.parent
    if not run.is_relative_to(DATA):  # rows of one's own, without their questions
        return _item(item, Markup(), say)
    models = [found.model(one.run.name) for one in sorted(item.answers, key=lambda a: a.right)]
    models = [one for one in dict.fromkeys(models) if one]
    pair = [*models[:1], *models[1:][-1:]]
    where = (str(run.relative_to(DATA)), item.row.record, pair)
    return _item(item, fragments.to_try(*where, say("Open in Try")), say)


def _chosen(item: ItemView) -> str:
    """Which runs chose which option: why a vote came out as it did."""
    parts = []
    for k, label, _ in item.options:
        runs = [one.run.name for one in item.answers if one.choice == k]
        parts += [f"{label} {'✔' if k == item.gold else '✗'} {', '.join(runs)}"] * bool(runs)
    return " · ".join(parts)


def _item(item: ItemView, action: Markup, say: Say) -> Markup:
    note = " · ".join(part for part in (item.row.category, _chosen(item)) if part)
    parts = [fragments.heading(item.row.record, note), action]
    if item.question:
        parts.append(fragments.question(item.question))
    else:
        parts += [fragments.text(message.content) for message in item.row.messages]
    said = list(set_results.answers(item))
    headings = [say("Run"), say("Chosen")]
    headings += [f"{label}. {text}" + " ✔" * (k == item.gold) for k, label, text in item.options]
    rows = [
        [
            name,
            f"{label} {'✔' if right else '✗'}",
            *(fragments.share(None if p is None else p[k]) for k, _, _ in item.options),
        ]
        for name, label, right, p in said
    ]
    parts.append(fragments.table(headings, rows, ["right" if one[2] else "wrong" for one in said]))
    return fragments.join(parts)
