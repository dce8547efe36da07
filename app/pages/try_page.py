"""Try: a question of one's own or of a run, asked of two models in all orders of its options."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from app import fragments
from app.asking import Answered, Form, answer, form_of, pick, prompts, question_of
from app.language import Say
from app.models import NO_MODEL, Models, label
from app.project import Project
from core.errors import UserError
from core.option_orders import shown
from core.records import CATEGORIES, LABELS, Question

EXAMPLE = Form(
    context=(
        "> 화자2: 폭설 때문에 약속을 미뤘어요.\n화자1: 그랬군요.\n"
        "화자1: 감기 때문에 약속을 미뤘어요.\n화자2: 정말요?"
    ),
    category="원인",
    options=(
        "화자1은 폭설 때문에 계획을 바꿨다.\n화자2는 폭설 때문에 계획을 바꿨다.\n"
        "화자2는 감기 때문에 계획을 바꿨다."
    ),
)
ORDERS = {"all": "every order", "cyclic": "rotations", "published": "as published"}


@dataclass(frozen=True)
class TryPage:
    """What other pages need to open a question here: the components that `fill` gives values."""

    fields: list[Any]
    fill: Callable[[str, str, list[str]], list[Any]]

    def opens(self, detail: gr.HTML, tabs: gr.Tabs) -> None:
        """Have the buttons of `fragments.to_try` in a record open it here."""

        def chosen(event: gr.EventData) -> list[Any]:
            run, record, *models = str(event.key).split("\t")
            return self.fill(run, record, models)

        detail.select(chosen, None, self.fields).then(lambda: gr.Tabs(selected="try"), None, tabs)


def build(project: Project, models: Models, say: Say) -> TryPage:
    """The page's components and what they do."""
    picked = gr.State(None)
    with gr.Row():
        run = gr.Dropdown(_runs(project), label=say("Run"), min_width=140)
        record = gr.Textbox(label=say("Id of a dev or test question"), scale=2)
        load = gr.Button(say("Take it over"), scale=0, min_width=140)
    message = gr.HTML()
    with gr.Row():
        with gr.Column(scale=3):
            kinds = [(say("Dialogue"), True), (say("Passage"), False)]
            dialogue = gr.Radio(kinds, value=True, label=say("About"), show_label=False)
            context = gr.Textbox(
                EXAMPLE.context,
                lines=7,
                label=say("Dialogue or passage"),
                info=say("A line an utterance; > before those that the question refers to"),
            )
        with gr.Column(scale=2):
            category = gr.Dropdown(
                [*CATEGORIES],
                value=EXAMPLE.category,
                label=say("Category"),
                allow_custom_value=True,
            )
            options = gr.Textbox(
                EXAMPLE.options, lines=5, label=say("Options"), info=say("2 to 5, one on a line")
            )
    with gr.Accordion(say("Question text and prompt"), open=False):
        with gr.Row():
            question = gr.Textbox(label=say("Question"))
            note = gr.Textbox(label=say("Note (보기)"))
        with gr.Row():
            prompt = gr.Dropdown(prompts(), value=EXAMPLE.prompt, label=say("Prompt"))
            system = gr.Radio(
                ["fold", "keep"], value=EXAMPLE.system, label=say("System text"), min_width=120
            )
            orders = gr.Radio(
                [(say(text), name) for name, text in ORDERS.items()],
                value="all",
                label=say("Orders of the options"),
            )
    known = models.known()
    with gr.Row():
        named = [
            gr.Dropdown(
                known,
                value=known[0] if known and place == 0 else "",
                label=say(what),
                info=say("A folder, an adapter, a hub name, or the address of a server"),
                allow_custom_value=True,
                min_width=260,
            )
            for place, what in enumerate(("Model", "Another model"))
        ]
    go = gr.Button(say("Ask"), variant="primary", elem_id="ask")
    with gr.Row():
        answers = []
        for _ in named:
            with gr.Column(min_width=360, elem_classes="answer"):
                answers.append(gr.HTML())

    form = [context, dialogue, question, note, category, options, prompt, system]

    def fill(of_run: str, of_record: str, chosen: list[str]) -> list[Any]:
        try:
            found, as_typed = pick(project, of_run, of_record)
        except UserError as error:
            return [gr.skip()] * (len(fields) - 1) + [fragments.refused(error, say)]
        values = [getattr(as_typed, name) for name in Form.__dataclass_fields__]
        chosen = [*chosen, "", ""][:2] if chosen else [gr.skip()] * 2
        return [found, of_run, of_record, *values, *chosen, *_shown([]), ""]

    fields = [picked, run, record, *form, *named, *answers, message]
    load.click(lambda one, two: fill(one, two, []), [run, record], fields)
    record.submit(lambda one, two: fill(one, two, []), [run, record], fields)

    def told(known_question: Question | None, kind: str, *given: Any) -> list[Any]:
        typed = Form(*("" if one is None else one for one in given[: len(form)]))
        try:
            wanted = _question(known_question, typed)
        except UserError as error:
            return [fragments.refused(error, say), *_shown([])]
        names = [name or "" for name in given[len(form) :]]
        with models.lock:
            models.keep(names)
            found = [_told(models, name, wanted, typed, kind, say) for name in names if name]
        none = "" if found else fragments.said(say(NO_MODEL))
        return [none, *_shown(found)]

    go.click(told, [picked, orders, *form, *named], [message, *answers])
    return TryPage(fields, fill)


def _runs(project: Project) -> list[str]:
    try:
        return project.runs()
    except UserError:
        return []


def _shown(found: list[Markup]) -> list[Any]:
    """The two answers, of which one that is not there is empty and takes no room."""
    return [*found, "", ""][:2]


def _question(known: Question | None, typed: Form) -> Question:
    """The question of a run where it was not changed since, with its answer; else what is typed."""
    if known is not None and form_of(known, typed.prompt, typed.system) == typed:
        return known
    return question_of(typed)


def _told(
    models: Models, name: str, question: Question, typed: Form, orders: Any, say: Say
) -> Markup:
    title = fragments.heading(label(name))
    try:
        found = answer(models, name, question, typed, orders)
    except UserError as error:
        return title + fragments.refused(error, say)
    return (
        title
        + _options(found, say)
        + _letters(found, say)
        + _orders(found, say)
        + _prompt(found, say)
    )


def _options(found: Answered, say: Say) -> Markup:
    first, mean = found.orders[0].prediction, found.mean
    right, rows, marks = found.question.answer, [], []
    several = len(found.orders) > 1
    for k, option in enumerate(found.question.options):
        tick = " ✔" if k == right else ""
        row = [f"{LABELS[k]}{tick}", option, fragments.share(_exp(first.logprobs, k))]
        if several:
            row.append(fragments.share(_exp(mean.logprobs, k)))
            row.append(f"{found.choices[k]} / {len(found.orders)}")
        rows.append(row)
        chosen = "chosen" if right is None else "right" if k == right else "wrong"
        marks.append(chosen if k == first.choice else "")
    headings = ["", say("Option"), say("As published")]
    headings += [say("Mean of orders"), say("Chosen in")] if several else []
    mass = found.orders[0].mass
    note = f"{say('Letter mass')} {fragments.percent(mass)}"
    if right is not None:
        note += f" · ✔ {say('the right answer')}"
    if mass < 0.5:
        note += f" · {say('little falls on the letters: another prompt than it was trained on?')}"
    return Markup('<p class="note">{}</p>').format(note) + fragments.table(headings, rows, marks)


def _exp(logprobs: list[float] | None, k: int) -> float | None:
    return None if logprobs is None else math.exp(logprobs[k])


def _letters(found: Answered, say: Say) -> Markup:
    if len(found.orders) == 1:
        return Markup()
    rows = [[LABELS[k], fragments.share(value)] for k, value in enumerate(found.attraction)]
    even = fragments.percent(1 / len(rows))
    note = f"{say('Mean over the orders; without a bias each is')} {even}"
    return fragments.heading(say("What the letters attract"), note) + fragments.table(
        ["", say("Probability")], rows
    )


def _orders(found: Answered, say: Say) -> Markup:
    rows = [
        [
            shown(one.row.order or []),
            "–" if one.prediction.choice is None else LABELS[one.prediction.choice],
            Markup("<div>{}</div>").format(
                fragments.join(
                    Markup('<div><span class="letter">{}</span>{}</div>').format(
                        LABELS[k], fragments.share(_exp(one.prediction.logprobs, k))
                    )
                    for k in one.row.order or []
                )
            ),
            fragments.percent(one.mass),
        ]
        for one in found.orders
    ]
    headings = [say("Order"), say("Chosen"), say("Probability"), say("Letter mass")]
    return Markup("<details><summary>{}</summary>{}</details>").format(
        f"{say('Every order')} ({len(rows)})", fragments.table(headings, rows)
    )


def _prompt(found: Answered, say: Say) -> Markup:
    return Markup("<details><summary>{}</summary>{}</details>").format(
        f"{say('The prompt as the model reads it')} ({found.tokens} {say('tokens')})",
        fragments.text(found.text),
    )
