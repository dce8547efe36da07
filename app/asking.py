"""A typed or picked question, and what a model says of it in every order of its options.

Prompts are prep's and scores are eval's, so that an answer here is that of eval/score.py.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.models import Models, Opened
from app.project import Project
from core.bilingual import Both
from core.errors import UserError
from core.jsonl import read_json, read_objects, validated
from core.layout import BUILT, DATA
from core.option_orders import Orders
from core.records import Prediction, Question, Row, Turn
from core.text import nfc, one_line
from eval.methods.base import predict, questions
from eval.methods.likelihood import Letter
from eval.methods.permutations import combined
from prep.render import PROMPTS, SUFFIX, Renderer, load_prompt
from prep.sources.cells import turns_of

MARK = ">"  # before a line of a dialogue that the question refers to
FEWEST, MOST = 2, 5  # options
TYPED = "typed"  # what a question of one's own has for id and source


@dataclass(frozen=True)
class Form:
    """A question as it is typed: a line an utterance or option, `MARK` before referenced lines."""

    context: str
    dialogue: bool = True
    question: str = ""
    note: str = ""
    category: str = ""
    options: str = ""
    prompt: str = "reference"
    system: str = "fold"


@dataclass(frozen=True)
class Shown:
    """What a model says of a question in one order of its options.

    `probabilities` are those of the letters in the order shown, over the full vocabulary: they sum
    to the letter mass. `prediction` is by published option, as eval/score.py writes it.
    """

    row: Row
    probabilities: list[float]
    prediction: Prediction

    @property
    def mass(self) -> float:
        """The share of the probability that falls on the letters."""
        return math.fsum(self.probabilities)


@dataclass(frozen=True)
class Answered:
    """What a model says: in the published order first, then in all the others.

    `text` is the prompt of the published order as the model reads it, special tokens included.
    """

    question: Question
    text: str
    tokens: int
    orders: list[Shown]

    @property
    def mean(self) -> Prediction:
        """The mean over the orders, in which what a letter attracts by itself cancels out."""
        return combined(self.question.id, [one.prediction for one in self.orders], "mean")

    @property
    def choices(self) -> list[int]:
        """In how many orders each published option is chosen."""
        chosen = [one.prediction.choice for one in self.orders]
        return [chosen.count(k) for k in range(len(self.question.options))]

    @property
    def attraction(self) -> list[float]:
        """How probable each letter is, as a mean over the orders, whatever option it shows.

        Without a bias of position all are alike once every order was asked.
        """
        shares = [[p / one.mass for p in one.probabilities] for one in self.orders]
        return [math.fsum(column) / len(shares) for column in zip(*shares, strict=True)]


def prompts() -> list[str]:
    """The prompts of prep/prompts by name."""
    return sorted(file.stem for file in PROMPTS.glob(f"*{SUFFIX}"))


def question_of(form: Form) -> Question:
    """The question of a form; raises `UserError` that says what is missing."""
    options = [one_line(line) for line in form.options.split("\n") if line.strip()]
    if not FEWEST <= len(options) <= MOST:
        raise UserError(
            Both(
                f"options: {len(options)} are given; write {FEWEST} to {MOST}, one on a line",
                f"선택지가 {len(options)}개입니다. 한 줄에 하나씩 {FEWEST}~{MOST}개를 쓰세요",
            )
        )
    turns, focus = _dialogue(form.context) if form.dialogue else ([], [])
    value = {
        "id": TYPED,
        "source": TYPED,
        "split": "test",
        "group": TYPED,
        "turns": turns,
        "passage": None if form.dialogue else nfc(form.context),
        "focus": focus,
        "category": one_line(form.category) or "-",
        "question": nfc(form.question) or None,
        "note": nfc(form.note) or None,
        "options": options,
        "answer": None,
    }
    return validated(value, Question, "the question")


def _dialogue(text: str) -> tuple[list[Turn], list[str]]:
    lines = [line.strip() for line in nfc(text).split("\n") if line.strip()]
    if not lines:
        raise UserError(
            Both(
                "dialogue: is empty; write a line for each utterance, as 화자1: 안녕하세요.",
                "대화가 비어 있습니다. 한 줄에 발화 하나씩 ‘화자1: 안녕하세요.’처럼 쓰세요",
            )
        )
    try:
        found = turns_of([line.removeprefix(MARK) for line in lines], "dialogue")
    except ValueError as error:
        raise UserError(
            Both(
                f"dialogue: {error}; write each line as 화자1: 안녕하세요.",
                f"대화를 읽을 수 없습니다({error}). 모든 줄을 ‘화자1: 안녕하세요.’처럼 쓰세요",
            )
        ) from None
    turns = [
        Turn(speaker=speaker, text=one_line(said), id=str(number))
        for number, (_, speaker, said) in enumerate(found, start=1)
    ]
    marked = [line.startswith(MARK) for line in lines]
    return turns, [turn.id for turn, on in zip(turns, marked, strict=True) if on]


def form_of(question: Question, prompt: str, system: str) -> Form:
    """A question as it would be typed."""
    return Form(
        context=question.passage or "\n".join(context_lines(question)),
        dialogue=bool(question.turns),
        question=question.question or "",
        note=question.note or "",
        category=question.category,
        options="\n".join(one_line(option) for option in question.options),
        prompt=prompt,
        system=system,
    )


def context_lines(question: Question) -> Iterator[str]:
    """A dialogue's utterances as lines, `MARK` before those that the question refers to."""
    for turn in question.turns:
        mark = f"{MARK} " if turn.id in question.focus else ""
        yield f"{mark}{turn.speaker}: {one_line(turn.text)}"


def pick(project: Project, run: str, record: str) -> tuple[Question, Form]:
    """A dev or test question of a run by its id, and its form in the prompt of its row.

    Raises `UserError` where the run has no such question.
    """
    folder = project.child(DATA, run)
    question = _question(project.child(folder, "questions.jsonl"), record)
    settings = read_json(project.child(folder, BUILT)).get("settings") or {}
    name = str(settings.get("prompt", "")).partition("@")[0]
    return question, form_of(question, name, str(settings.get("system", "fold")))


def _question(path: Path, record: str) -> Question:
    wanted = nfc(record)
    for number, value in read_objects(path):
        if value.get("id") == wanted:
            return validated(value, Question, f"{path}, line {number}")
    raise UserError(
        Both(
            f"{path}: no dev or test question has the id {wanted or '(none)'}; choose one on the "
            "page Data",
            f"{path}: ID가 {wanted or '(없음)'}인 dev·test 문항이 없습니다. "
            "데이터 화면에서 고르세요",
        )
    )


def answer(models: Models, name: str, question: Question, form: Form, orders: Orders) -> Answered:
    """What a model says of a question, shown by the form's prompt; raises `UserError`."""
    renderer = Renderer(load_prompt(form.prompt), system=form.system, scoring_orders=orders)
    rows = renderer.permuted([question])
    return ask(models.get(name), question, rows)


def ask(model: Opened, question: Question, rows: list[Row]) -> Answered:
    """What an open model says of the rows of a question; the first shows the published order."""
    method = Letter()
    asked = questions(method, model.tokenizer, rows, Path(question.source), model.config).asked
    answers = method.answers(model.engine, model.tokenizer, asked)
    shown = [
        Shown(row, [math.exp(v) for v in one.scores or []], predict(row, one))
        for row, one in zip(rows, answers, strict=True)
    ]
    prompt = asked[0].prompts[0]
    return Answered(question, model.tokenizer.decode(prompt), len(prompt), shown)
