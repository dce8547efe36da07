"""Questions and chats become rows; the one place where a prompt is built.

A prompt is a Jinja file with a block for the system text and one for the user's. Those of
prep/prompts say their name and version in the first line, as in `{# reference v1 #}`; what several
share stands in prep/prompts/parts. Whoever changes a prompt raises the version. A file of one's own
is named by its path, and known by a hash of what it says.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    meta,
)

from core.errors import UserError
from core.files import read_text, sha256
from core.option_orders import Orders, arranged
from core.particles import attach
from core.records import LABELS, Chat, Message, Preference, Question, Row
from prep.categories import FILTERS, OFFICIAL_TERMS

PROMPTS = Path(__file__).resolve().parent / "prompts"
SUFFIX = ".jinja"
BLOCKS = ("system", "user")
CONTENT = ("turns", "passage", "question", "note")  # what no prompt may leave out
VARIABLES = ("turns", "focus", "category", "passage", "question", "note", "options", "evidence")


class Augmented(NamedTuple):
    """A question as a prompt shows it, texts shown with it, and the documents that these are of."""

    question: Question
    evidence: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A prompt file: `name` as rows carry it ("reference@1"), and its compiled template.

    `shows` are the variables it uses.
    """

    name: str
    template: Template
    shows: frozenset[str]

    def texts(
        self, question: Question, order: Sequence[int], evidence: Sequence[str] = ()
    ) -> tuple[str, str]:
        """The system and the user text of a question whose options are shown in `order`.

        Raises `UserError` where the prompt would leave out what the question is about.
        """
        needed = {name for name in CONTENT if getattr(question, name)}
        needed |= {"evidence"} if evidence else set()
        if not needed <= self.shows:
            kind = "a dialogue" if question.turns else "an exam question"
            raise UserError(
                f"{question.source}, {question.id}: is {kind}, of which prompt {self.name} does "
                f"not show all (not its {', '.join(sorted(needed - self.shows))}); give the source "
                "another `prompt`, such as task"
            )
        focus = [turn for turn in question.turns if turn.id in question.focus]
        options = [(LABELS[k], question.options[i]) for k, i in enumerate(order)]
        asked = (question.passage, question.question, question.note)
        given = (question.turns, focus, question.category, *asked, options, list(evidence))
        context = self.template.new_context(dict(zip(VARIABLES, given, strict=True)))
        try:
            system, user = (
                "".join(self.template.blocks[block](context)).strip() for block in BLOCKS
            )
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise UserError(
                f"{question.source}, {question.id}: prompt {self.name} cannot show it ({error}); "
                "correct the prompt"
            ) from None
        return system, user


@cache
def load_prompt(name: str) -> Prompt:
    """A prompt of prep/prompts by name, or one's own by the path of its .jinja file.

    Raises `UserError` where there is no such prompt, and where it is none: not the two blocks, a
    variable or filter that no prompt has, no Jinja.
    """
    own = name.endswith(SUFFIX)
    path = Path(name) if own else PROMPTS / f"{name}{SUFFIX}"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROMPTS.glob(f"*{SUFFIX}")))
        raise UserError(
            f"{path if own else path.name}: no such prompt in prep/prompts; choose one of {known}, "
            f"or name a file of your own by its path, which ends in {SUFFIX}"
        )
    source = read_text(path)
    where = str(path) if own else f"prep/prompts/{path.name}"
    head = re.match(r"\{# (\S+) v(\d+) #\}\n", source)
    if not own and (head is None or head[1] != name):
        raise UserError(f"{where}: the first line must read {{# {name} vN #}}")
    environment = Environment(
        loader=FileSystemLoader([path.parent, PROMPTS]),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"josa": attach, **FILTERS}
    environment.globals["official_terms"] = list(OFFICIAL_TERMS.values())
    try:
        template = environment.from_string(source)
        shows = _variables(environment, source)
    except TemplateNotFound as error:
        raise UserError(f"{where}: includes {error.name}, which is not there; correct it") from None
    except TemplateSyntaxError as error:
        raise UserError(f"{where}, line {error.lineno}: {error.message}; correct it") from None
    if set(template.blocks) != set(BLOCKS):
        raise UserError(f"{where}: needs the two blocks {' and '.join(BLOCKS)}, and no other")
    if odd := sorted(shows - set(VARIABLES) - environment.globals.keys()):
        raise UserError(
            f"{where}: uses {odd[0]}, which no question has; the variables are "
            f"{', '.join(VARIABLES)}"
        )
    version = f"{path.stem}@{sha256(path)[:8]}" if own else f"{name}@{head[2] if head else ''}"
    return Prompt(version, template, frozenset(shows))


def _variables(environment: Environment, source: str) -> set[str]:
    """The variables that a template and the parts it includes use."""
    tree = environment.parse(source)
    found = meta.find_undeclared_variables(tree)
    loader = environment.loader
    for part in meta.find_referenced_templates(tree):
        if loader is not None and part is not None:
            found |= _variables(environment, loader.get_source(environment, part)[0])
    return found


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
    `orders` and `seed`: the orders of options a training question is shown in. `scoring_orders`:
    those in which a scored question is shown once more. `evidence` finds what is shown with one.
    """

    prompt: Prompt
    answer: str = "option"
    system: str = "fold"
    orders: Orders = "published"
    seed: int = 42
    scoring_orders: Orders = "published"
    evidence: Callable[[Question], Augmented] = Augmented

    def scoring(self, question: Question) -> Row:
        """A question in its published order, ending with the user's message."""
        return self._row(question, range(len(question.options)), question.id, answered=False)

    def permuted(self, questions: Sequence[Question]) -> list[Row]:
        """Scoring rows of questions in each of the `scoring_orders`, those of one together."""
        return [
            self._row(question, order, row_id, answered=False)
            for question, order, row_id in arranged(questions, self.scoring_orders, self.seed)
        ]

    def loss(self, question: Question) -> Row:
        """A scoring row with the right answer as the assistant's message, for the eval loss."""
        return self._row(question, range(len(question.options)), question.id, answered=True)

    def training(
        self, questions: Sequence[Question], counts: Sequence[int] | None = None
    ) -> list[Row]:
        """Questions with their answers, `counts` times each, a row for each order shown."""
        return [
            self._row(question, order, row_id, answered=True)
            for question, order, row_id in arranged(questions, self.orders, self.seed, counts)
        ]

    def preference(
        self, question: Question, order: Sequence[int], row_id: str, wrong: int
    ) -> Preference:
        """A question, its right answer and the wrong published option, as ORPO trains on them."""
        row = self._row(question, order, row_id, answered=True)
        system, turns = None, row.messages
        if turns[0].role == "system":
            system, turns = turns[0].content, turns[1:]
        return Preference(
            id=row.id,
            source=row.source,
            split=row.split,
            group=row.group,
            category=question.category,
            template=self.prompt.name,
            system=system,
            chosen=turns,
            rejected=[*turns[:-1], self._reply(question, order, wrong)],
            labels=row.labels or [],
            order=list(order),
            answer=row.answer or "",
            wrong=wrong,
        )

    def chat(self, chat: Chat) -> Row:
        """A chat as a training row without labels."""
        return Row(
            id=chat.id,
            record=chat.id,
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

    def _reply(self, question: Question, order: Sequence[int], option: int) -> Message:
        """The assistant's message that answers with a published option."""
        label = LABELS[list(order).index(option)]
        text = f"{label}. {question.options[option]}" if self.answer == "option" else label
        return Message(role="assistant", content=text)

    def _row(self, question: Question, order: Sequence[int], row_id: str, answered: bool) -> Row:
        shown = self.evidence(question)
        system, user = self.prompt.texts(shown.question, order, shown.evidence)
        messages = [Message(role="system", content=system)] if system else []
        messages.append(Message(role="user", content=user))
        if answered:
            if question.answer is None:
                raise ValueError(f"{question.id}: a training row needs an answer")
            messages.append(self._reply(question, order, question.answer))
        return Row(
            id=row_id,
            record=question.id,
            source=question.source,
            split=question.split,
            group=question.group,
            category=question.category,
            prompt=self.prompt.name,
            messages=self._arranged(messages),
            labels=list(LABELS[: len(order)]),
            order=list(order),
            options=None if answered else [question.options[i] for i in order],
            answer=None if question.answer is None else LABELS[list(order).index(question.answer)],
            documents=list(shown.documents) or None,
        )
