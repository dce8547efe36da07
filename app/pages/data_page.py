"""Data: the rows of a run, how they were cleaned, what was left out and what is alike."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from app import fragments, record_texts, row_table
from app.language import Say
from app.pages import data_lists
from app.pages.try_page import TryPage
from app.project import Project
from app.row_table import Filter
from core.errors import UserError
from core.layout import DATA

VIEWS = ("Rows", "Left out", "Altered", "Near-duplicates")


def build(project: Project, say: Say, tab: gr.Tab, tabs: gr.Tabs, asked: TryPage) -> None:
    """The page's components and what they do."""
    every = (say("all"), "")
    with gr.Row():
        run = gr.Dropdown([], label=say("Run"))
        view = gr.Radio([(say(one), one) for one in VIEWS], value=VIEWS[0], label=say("Show"))
    with gr.Accordion(say("Filters of rows")), gr.Row():
        file = gr.Dropdown([], label=say("File"), min_width=220)
        source = gr.Dropdown([], label=say("Source"), min_width=140)
        split = gr.Dropdown([], label=say("Split"), min_width=140)
        category = gr.Dropdown([], label=say("Category"), min_width=140)
        length = gr.Textbox(label=say("Characters, as 200-500"), min_width=140)
    with gr.Row():
        reason = gr.Dropdown([], label=say("Reason left out or altered"))
        text = gr.Textbox(label=say("Text or id"), scale=3)
        number = gr.Number(1, label=say("Page"), minimum=1, precision=0, min_width=100)
    listed = gr.HTML(elem_id="rows", js_on_load=fragments.ON_CLICK)
    detail = gr.HTML(elem_id="record", js_on_load=fragments.ON_CLICK)

    def start() -> list[Any]:
        try:
            runs = project.runs()
        except UserError as error:
            return [gr.skip(), fragments.refused(error, say)]
        return [gr.Dropdown(runs, value=runs[0]), gr.skip()]

    def chosen(of_run: str) -> list[Any]:
        try:
            names = [str(path.relative_to(DATA / of_run)) for path in project.rows(of_run)]
        except UserError as error:
            return [gr.Dropdown([], value=None), fragments.refused(error, say)]
        return [gr.Dropdown(names, value=names[0]), gr.skip()]

    def of_file(of_run: str, name: str | None) -> list[Any]:
        try:
            rows = row_table.read(data_lists.file_of(project, of_run, name))
        except UserError as error:
            return [*[gr.Dropdown([every], value="")] * 3, fragments.refused(error, say)]
        lists = [[every, *rows.values(column)] for column in ("source", "split", "category")]
        return [*(gr.Dropdown(values, value="") for values in lists), gr.skip()]

    def of_view(of_run: str, what: str) -> list[Any]:
        records = {"Left out": record_texts.removed, "Altered": record_texts.changed}.get(what)
        names: list[Any] = [every]
        try:
            found = record_texts.reasons(records(project, of_run)) if records and of_run else []
        except UserError:  # the list says it
            found = []
        names += [(f"{name} ({count})", name) for name, count in found]
        return [gr.Dropdown(names, value=""), 1]

    def show(of_run: str, what: str, why: str, *given: Any) -> list[Any]:
        *limits, words, at = [one or "" for one in given]
        try:
            if not of_run:
                project.runs()
            elif what == "Rows":
                name, *limits, length = limits
                wanted = Filter(*limits, *row_table.lengths(length), words)
                found = data_lists.rows(project, of_run, name, wanted, at, say)
            elif what == "Left out":
                found = data_lists.left_out(project, of_run, why, words, at, say)
            elif what == "Altered":
                found = data_lists.altered(project, of_run, why, words, at, say)
            else:
                found = data_lists.clusters(project, of_run, words, at, say)
            return [found, ""]
        except UserError as error:
            return [fragments.refused(error, say), ""]

    def open_one(of_run: str, name: str, words: str, what: str, event: gr.EventData) -> Markup:
        key = str(event.key)
        try:
            if what == "Rows":
                row = row_table.row(data_lists.file_of(project, of_run, name), key)
                place = row["source"], row["split"], row["record"]
                asks = row["split"] in ("dev", "test") and row["labels"]
                action = fragments.to_try(of_run, row["record"], [], say("Open in Try"))
                shown = data_lists.row(row, words, action if asks else Markup())
                return shown + data_lists.published(project, of_run, place, say)
            place = tuple(key.split("\t"))
            if what == "Near-duplicates":
                return data_lists.cluster(project, of_run, place, say)
            shown = data_lists.published(project, of_run, place, say)
            return fragments.heading(place[-1]) + shown
        except UserError as error:
            return fragments.refused(error, say)

    limits = [file, source, split, category, length, text, number]
    seen = [run, view, reason, *limits]
    results = [listed, detail]
    tab.select(start, None, [run, listed])
    of_files = (of_file, [run, file], [source, split, category, listed])
    of_views = (of_view, [run, view], [reason, number])
    run.change(chosen, run, [file, listed]).then(*of_files).then(*of_views).then(
        show, seen, results
    )
    file.input(*of_files).then(lambda: 1, None, number).then(show, seen, results)
    view.input(*of_views).then(show, seen, results)
    for one in (source, split, category, reason):
        one.input(lambda: 1, None, number).then(show, seen, results)
    for one in (length, text):
        one.submit(lambda: 1, None, number).then(show, seen, results)
    number.input(show, seen, results)
    listed.select(open_one, [run, file, text, view], detail).then(
        None, js=fragments.SCROLL.format("#record")
    )
    asked.opens(detail, tabs)
