"""Training questions, solved by a teacher: reasoning with an answer, hints, odds of the letters.

A teacher is shown what a model is shown, never which option is right; what leads to another one is
removed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field

from core.errors import UserError
from core.records import LABELS, Message, Prediction, Question, Removed, Strict
from prep.dedup.ngrams import kept_characters
from prep.guards.contamination import Scored
from prep.render import Renderer, folded, load_prompt
from prep.teachers import wording
from prep.teachers.answer_store import Call
from prep.teachers.production import (
    TEXT,
    Asker,
    Schema,
    Signed,
    Unusable,
    as_json,
    conversation,
    schema_of,
)

COPIED = 6  # letters of an option that a hint must not hold
TOP = 20  # log-probabilities of a token that OpenAI's protocol gives at most
PROMPTS = ("reasoning", "exam-reasoning")  # of a dialogue, of a passage
Kind = Literal["사실 확인", "추론", "비판", "어휘", "적용"]


class Explained(Strict):
    """The reply that prompts for reasoning ask for (prep/prompts/parts/json.jinja)."""

    reasoning: str = Field(min_length=1)
    answer: str


class Hinted(Strict):
    """A hint, and what the question is about."""

    subject: str = Field(min_length=1)
    kind: Kind
    hint: str = Field(min_length=1)


class Picked(Strict):
    """One letter."""

    answer: str


class Solved(Signed):
    """A question with reasoning and the right answer, as a chat (source `messages`)."""

    id: str
    messages: list[Message]
    subject: str | None = Field(default=None, exclude_if=lambda value: value is None)
    kind: str | None = Field(default=None, exclude_if=lambda value: value is None)


def teachable(
    questions: Sequence[Question], scored: Scored
) -> tuple[list[Question], list[Removed]]:
    """The training questions that a teacher may see, and those that would give a scored one away.

    Raises `UserError` for a question of dev or test.
    """
    if other := next((one for one in questions if one.split != "train"), None):
        raise UserError(
            f"{other.source}, {other.id}: is a {other.split} question, which no teacher may see; "
            "name a training file"
        )
    contacts = scored.contacts(questions)
    kept = [one for i, one in enumerate(questions) if i not in contacts and one.answer is not None]
    removed = [
        Removed(id=one.id, source=one.source, split="train", reason=reason, near=near)
        for i, one in enumerate(questions)
        for reason, near in [
            (contacts[i].reason, contacts[i].scored) if i in contacts else ("no-answer", None)
        ]
        if i in contacts or one.answer is None
    ]
    return kept, removed


def labels_of(question: Question) -> list[str]:
    """The letters of its options, as published."""
    return list(LABELS[: len(question.options)])


def one_of(labels: Sequence[str]) -> Schema:
    """The schema of one of some texts."""
    return {"type": "string", "enum": list(labels)}


def shown(question: Question) -> tuple[str, list[Message]]:
    """The name of the prompt that asks for reasoning, and its messages."""
    dialogue, passage = PROMPTS
    prompt = load_prompt(dialogue if question.turns else passage)
    return prompt.name, Renderer(prompt, system="keep").scoring(question).messages


@dataclass(frozen=True)
class _OfQuestions:
    """What the products of training questions share."""

    teacher: str
    model: str
    seed: int = 42
    max_tokens: int = 1024

    def settled(self, lines: list[Solved]) -> tuple[list[Solved], list[Removed]]:
        """All of them."""
        return lines, []

    def _solved(self, question: Question, asked_by: str, reasoning: str, **facts: str) -> Solved:
        """The line of a question that a text leads to the right answer of."""
        _, messages = shown(question)
        reply = Explained(reasoning=reasoning, answer=LABELS[question.answer or 0])
        return Solved(
            id=question.id,
            messages=[*messages, Message(role="assistant", content=as_json(reply))],
            teacher=self.teacher,
            model=self.model,
            prompt=asked_by,
            seed=self.seed,
            **facts,
        )


@dataclass(frozen=True)
class Reasoning(_OfQuestions):
    """A teacher's reasoning and answer by the prompt that a student is asked with."""

    name: ClassVar[str] = "reasoning"

    @property
    def prompt(self) -> str:
        """Those of a dialogue and of a passage."""
        return ", ".join(load_prompt(name).name for name in PROMPTS)

    def calls(self, question: Question) -> list[Call]:
        """The only call."""
        schema = schema_of(reasoning=TEXT, answer=one_of(labels_of(question)))
        # folded: the templates of some models, as Gemma's, refuse a system text
        return [conversation(folded(shown(question)[1]), self.max_tokens, self.seed, schema)]

    async def make(self, question: Question, asker: Asker) -> Solved:
        """The reasoning, where it ends with the right answer."""
        said = await asker.shaped(self.calls(question)[0], Explained)
        _require_right(said.answer, question)
        return self._solved(question, shown(question)[0], said.reasoning.strip())


@dataclass(frozen=True)
class Hints(_OfQuestions):
    """Subject, kind and a hint, which names no option; shown with it, the question is answered."""

    name: ClassVar[str] = "hints"

    @property
    def prompt(self) -> str:
        """The hint's wording, and that of the question with it."""
        return ", ".join(map(wording.version, ("hint", "hinted")))

    def calls(self, question: Question) -> list[Call]:
        """The hint's, and that of the answer with it: a hint is at most as long as its tokens."""
        kinds = get_args(Kind)
        schema = schema_of(subject=TEXT, kind=one_of(kinds), hint=TEXT)
        said = wording.messages("hint", asked=wording.asked(question), kinds=kinds)
        longest = "-" * self.max_tokens  # as many bytes as a hint has tokens
        return [
            conversation(said, self.max_tokens, self.seed, schema),
            self._with(question, longest),
        ]

    async def make(self, question: Question, asker: Asker) -> Solved:
        """The hint, where it leads to the right answer without naming it."""
        said = await asker.shaped(self.calls(question)[0], Hinted)
        hint = said.hint.strip()
        if _names_an_option(hint, question):
            raise Unusable("names-answer")
        picked = await asker.shaped(self._with(question, hint), Picked)
        _require_right(picked.answer, question)
        return self._solved(question, self.prompt, hint, subject=said.subject, kind=said.kind)

    def _with(self, question: Question, hint: str) -> Call:
        labels = labels_of(question)
        asked = wording.asked(question)
        said = wording.messages("hinted", asked=asked, hint=hint, labels=labels)
        return conversation(said, 64, self.seed, schema_of(answer=one_of(labels)))


@dataclass(frozen=True)
class Odds(_OfQuestions):
    """The probabilities of the letters, by the run's own prompt.

    A line is a prediction of a training question, as eval/score.py writes one. With the `tokens` of
    the letters the server gives exactly theirs, else its most probable tokens, as far as it goes.
    """

    renderer: Renderer | None = None
    tokens: Mapping[str, int] | None = None
    name: ClassVar[str] = "letters"

    @property
    def prompt(self) -> str:
        """The run's."""
        assert self.renderer is not None
        return self.renderer.prompt.name

    def calls(self, question: Question) -> list[Call]:
        """The only call."""
        assert self.renderer is not None
        call = conversation(self.renderer.scoring(question).messages, 1, self.seed)
        more: dict[str, Any] = {"logprobs": True, "top_logprobs": TOP}
        if self.tokens:
            asked = [self.tokens[label] for label in labels_of(question)]
            more |= {"logprob_token_ids": asked, "return_tokens_as_token_ids": True}
        return [call.model_copy(update={"body": {**call.body, **more}})]

    async def make(self, question: Question, asker: Asker) -> Prediction:
        """The prediction; of tokens that differ by a space, the sum is a letter's."""
        done = await asker.client.complete(self.calls(question)[0])
        asker.answered += 1
        labels = labels_of(question)
        named = {f"token_id:{self.tokens[label]}": label for label in labels} if self.tokens else {}
        given: dict[str, list[float]] = {label: [] for label in labels}
        for token, value in (done.first or {}).items():
            label = named.get(token) if named else token.strip()
            if label in given:
                given[label].append(value)
        if not all(given.values()):
            raise Unusable("letters-missing")
        sums = [_log_sum(values) for values in given.values()]
        logprobs = [value - _log_sum(sums) for value in sums]
        order = list(range(len(logprobs)))
        choice = max(order, key=lambda i: logprobs[i])
        return Prediction(id=question.id, order=order, logprobs=logprobs, choice=choice)


def _log_sum(logprobs: Sequence[float]) -> float:
    """Of the probabilities, whose logarithms may be as low as they like."""
    top = max(logprobs)
    return top + log(fsum(exp(value - top) for value in logprobs))


def _require_right(label: str, question: Question) -> None:
    if label != LABELS[question.answer or 0]:
        raise Unusable("disagrees")


def _names_an_option(hint: str, question: Question) -> bool:
    """Whether a text holds a letter that stands alone, or an option of some length."""
    letters = "|".join(labels_of(question))
    if re.search(rf"(?<![0-9A-Za-z])({letters})(?![0-9A-Za-z])", hint):
        return True
    said = kept_characters(hint)
    options = [kept for one in question.options if len(kept := kept_characters(one)) >= COPIED]
    return any(option in said for option in options)
