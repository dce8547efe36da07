"""Runs: every training and its state, the curves of one, and how long it will take."""

from typing import Any

import gradio as gr
import pandas as pd
from markupsafe import Markup

from app import fragments, run_states
from app.language import Say, sentence
from app.project import Project
from core.errors import UserError

SECONDS = 10  # between two looks at what runs
# by the end of the trainer's names for them
PLOTS = {"loss": "Loss (nats a token)", "accuracy": "Accuracy (0 to 1)"}


def build(project: Project, say: Say, tab: gr.Tab) -> None:
    """The page's components and what they do."""
    with gr.Row():
        of_set = gr.Dropdown([(say("all"), "")], value="", label=say("Set"))
        again = gr.Button(say("Look again"), scale=0, min_width=140)
    message = gr.HTML(elem_id="training")
    with gr.Row(elem_id="curves"):
        plots = [
            gr.LinePlot(
                x="step",
                y="value",
                color="what",
                x_title=say("Step"),
                y_title=say(title),
                color_title=" ",
                height=280,
                elem_id=name,
            )
            for name, title in PLOTS.items()
        ]
    listed = gr.HTML(elem_id="trainings", js_on_load=fragments.ON_CLICK)
    opened = gr.State("")
    timer = gr.Timer(SECONDS, active=False)

    def start() -> list[Any]:
        try:
            found = run_states.states(project)
        except UserError as error:
            return [gr.skip(), fragments.refused(error, say), gr.skip()]
        sets = sorted({one.set for one in found if one.set})
        first = found[0].set if found[0].state != "waiting" else ""
        return [
            gr.Dropdown([(say("all"), ""), *sets], value=first),
            gr.skip(),
            gr.Timer(active=True),
        ]

    def show(name: str) -> Markup:
        try:
            return _table(run_states.states(project, name or ""), say)
        except UserError as error:
            return fragments.refused(error, say)

    def draw(name: str) -> list[Any]:
        nothing = [gr.skip()] * len(PLOTS)
        if not name:
            return ["", *nothing]
        try:
            found = pd.DataFrame(run_states.curves(project, name))
        except UserError as error:
            return [fragments.refused(error, say), *nothing]
        parts = [found[found["what"].str.endswith(kind)] for kind in PLOTS]
        kinds = [kind for kind, part in zip(PLOTS, parts, strict=True) if part.empty]
        unseen = fragments.join(Markup('<i class="no-{}"></i>').format(kind) for kind in kinds)
        return [fragments.heading(name) + unseen, *parts]

    def open_one(event: gr.EventData) -> str:
        return str(event.key)

    tab.select(start, None, [of_set, message, timer]).then(show, of_set, listed)
    of_set.input(show, of_set, listed)
    again.click(show, of_set, listed).then(draw, opened, [message, *plots])
    timer.tick(show, of_set, listed, show_progress="hidden").then(
        draw, opened, [message, *plots], show_progress="hidden"
    )
    listed.select(open_one, None, opened).then(draw, opened, [message, *plots]).then(
        None, js=fragments.SCROLL.format("#training")
    )


def _table(found: list[run_states.RunState], say: Say) -> Markup:
    rows = [
        [
            fragments.button(one.name, one.name),
            one.set or "–",
            Markup('<span class="state {}">{}</span>').format(one.state, say(one.state)),
            f"{one.step or 0} / {one.steps}" if one.steps else "–",
            one.left or "–",
            sentence(one.sentence, say),
        ]
        for one in found
    ]
    names = ("Training", "Set", "State", "Step", "Time left", "What there is to say")
    return fragments.table([say(one) for one in names], rows)
