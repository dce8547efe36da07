"""Questions and chats become rows; the one place where a prompt is built.

A prompt is a Jinja file in prep/prompts with a block for the system text and one for the user's;
its first line names it and its version, as in `{# reference v1 #}`. Whoever changes a prompt raises
the version.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template, meta

from prep.errors import UserError
from prep.josa import attach
from prep.jsonl import read_text
from prep.records import LABELS, Chat, Message, Question, Row

PROMPTS = Path(__file__).resolve().parent / "prompts"


@dataclass(frozen=True)
class Prompt:
    """A prompt file: `name` as rows carry it ("reference@1"), and its compiled template.

    `shows` are the variables it uses.
    """

    name: str
    template: Template
    shows: frozenset[str]

    def texts(self, question: Question, order: Sequence[int]) -> tuple[str, str]:
        """The system and the user text of a question whose options are shown in `order`.

        Raises `UserError` where the prompt would leave out what the question is about.
        """
        needed = {"turns"} if question.turns else {"passage", "question", "note"}
        if not needed <= self.shows:
            kind = "a dialogue" if question.turns else "an exam question"
            raise UserError(
                f"{question.source}, {question.id}: is {kind}, of which prompt {self.name} does "
                "not show all; give the source another `prompt`"
            )
        context = self.template.new_context(
            {
                "turns": question.turns,
                "focus": [turn for turn in question.turns if turn.id in question.focus],
                "category": question.category,
                "passage": question.passage,
                "question": question.question,
                "note": question.note,
                "options": [(LABELS[k], question.options[i]) for k, i in enumerate(order)],
            }
        )
        system, user = (
            "".join(self.template.blocks[block](context)).strip() for block in ("system", "user")
        )
        return system, user


def load_prompt(name: str) -> Prompt:
    """The prompt file `name` of prep/prompts; raises `UserError` where there is none such."""
    path = PROMPTS / f"{name}.jinja"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROMPTS.glob("*.jinja")))
        raise UserError(f"{path.name}: no such prompt in prep/prompts; choose one of {known}")
    source = read_text(path)
    head = re.match(r"\{# (\S+) v(\d+) #\}\n", source)
    if head is None or head[1] != name:
        raise UserError(f"prep/prompts/{path.name}: the first line must read {{# {name} vN #}}")
    environment = Environment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["josa"] = attach
    template = environment.from_string(source)
    if set(template.blocks) != {"system", "user"}:
        raise UserError(f"prep/prompts/{path.name}: needs the two blocks system and user")
    shows = meta.find_undeclared_variables(environment.parse(source))
    return Prompt(f"{name}@{head[2]}", template, frozenset(shows))


def folded(messages: Sequence[Message]) -> list[Message]:
    """The messages with a leading system text moved in front of the first user text.

    A blank line stands between the two. Templates such as Gemma's know no system role.
    """
    first, *rest = messages
    if first.role != "system":
        return [first, *rest]
    user, *rest = rest
    content = f"{first.content}\n\n{user.content}" if first.content else user.content
    return [Message(role="user", content=content), *rest]


@dataclass(frozen=True)
class Renderer:
    """How a run shows its questions: the prompt and the run's options of the same names.

    `answer`: "option" trains on "A. text", "letter" on "A". `system`: "fold" or "keep".
    `orders`: "published" or "all", training rows in each of the n! orders of their options.
    """

    prompt: Prompt
    answer: str = "option"
    system: str = "fold"
    orders: str = "published"

    def scoring(self, question: Question) -> Row:
        """A question in its published order, ending with the user's message."""
        return self._row(question, range(len(question.options)), question.id, answered=False)

    def loss(self, question: Question) -> Row:
        """A scoring row with the right answer as the assistant's message, for the eval loss."""
        return self._row(question, range(len(question.options)), question.id, answered=True)

    def training(self, question: Question) -> list[Row]:
        """A question with its answer, one row an order; "~BAC" names the order in the row's id."""
        published = tuple(range(len(question.options)))
        if self.orders == "published":
            return [self._row(question, published, question.id, answered=True)]
        return [
            self._row(question, order, f"{question.id}~{shown(order)}", answered=True)
            for order in permutations(published)
        ]

    def chat(self, chat: Chat) -> Row:
        """A chat as a training row without labels."""
        return Row(
            id=chat.id,
            source=chat.source,
            split="train",
            group=chat.id,
            category=None,
            prompt=None,
            messages=self._arranged(chat.messages),
            labels=None,
            order=None,
            answer=None,
        )

    def _arranged(self, messages: Sequence[Message]) -> list[Message]:
        return folded(messages) if self.system == "fold" else list(messages)

    def _row(self, question: Question, order: Sequence[int], row_id: str, answered: bool) -> Row:
        system, user = self.prompt.texts(question, order)
        messages = [Message(role="system", content=system)] if system else []
        messages.append(Message(role="user", content=user))
        label = None if question.answer is None else LABELS[list(order).index(question.answer)]
        if answered:
            if label is None or question.answer is None:
                raise ValueError(f"{question.id}: a training row needs an answer")
            text = f"{label}. {question.options[question.answer]}"
            messages.append(
                Message(role="assistant", content=text if self.answer == "option" else label)
            )
        return Row(
            id=row_id,
            source=question.source,
            split=question.split,
            group=question.group,
            category=question.category,
            prompt=self.prompt.name,
            messages=self._arranged(messages),
            labels=list(LABELS[: len(order)]),
            order=list(order),
            answer=label,
        )


def shown(order: Sequence[int]) -> str:
    """The published labels in the order shown: (1, 0, 2) is "BAC"."""
    return "".join(LABELS[i] for i in order)
