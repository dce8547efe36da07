"""What every way of answering takes and gives: rows in token ids, and what was found about them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from core.errors import UserError
from core.records import Prediction, Row, Strict
from eval.answer_tokens import Tokenizer
from eval.engines.interface import Engine
from eval.options import choose, option_logprobs

Reason = Literal[
    "cut-off",  # the model was still writing at --max-tokens
    "no-letter",  # text that does not begin with a letter of its own
    "several-letters",
    "not-a-label",  # a letter that the row does not show
    "invalid-json",
    "wrong-fields",  # JSON with other fields than the schema's, or of other types
]


class Failure(Strict):
    """A reply in which no answer can be read: of which row, which of its samples, and why."""

    id: str
    sample: int
    reason: Reason
    text: str


class Answer(Strict):
    """What a method found about a row, by label in the order shown.

    Either `scores`, one a label in nats with any common offset, or `choice`, the place of a label,
    or neither where no reply could be read.
    """

    scores: list[float] | None = None
    choice: int | None = None
    failures: list[Failure] = Field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """A row in token ids: what an engine reads, and by prompt the continuations it scores.

    `longest` counts the tokens that the engine needs room for, `stops` are those that end a reply.
    """

    row: Row
    prompts: list[list[int]]
    continuations: list[list[list[int]]]
    longest: int
    stops: frozenset[int] = frozenset()


class Method(Protocol):
    """A way to answer rows.

    `reads`: whether answers are read from replies, and may fail. `structured`: whether the engine
    is held to a JSON schema.
    """

    reads: bool
    structured: bool

    def ask(self, tokenizer: Tokenizer, row: Row) -> Asked:
        """A row in token ids; raises `UserError` where it cannot be asked in this way."""

    def answers(self, engine: Engine, tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Answer]:
        """What the engine's model answers to each row; what one row gets depends on it alone."""

    def meta(self) -> dict[str, Any]:
        """Everything chosen that changes the answers, for the sidecar."""

    def found(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """What there is to say of all answers together, for the sidecar."""


@dataclass(frozen=True)
class Questions:
    """Rows to be answered by a method, as eval/runner.py asks them: some places at a time."""

    method: Method
    tokenizer: Tokenizer
    asked: Sequence[Asked]

    @property
    def prompts(self) -> list[list[int]]:
        """The token ids of each row's prompt."""
        return [one.prompts[0] for one in self.asked]

    def __call__(self, engine: Engine, places: Sequence[int]) -> list[dict[str, Any]]:
        """The answers to the rows in these places, as JSON."""
        asked = [self.asked[place] for place in places]
        answers = self.method.answers(engine, self.tokenizer, asked)
        return [answer.model_dump() for answer in answers]


def questions(
    method: Method, tokenizer: Tokenizer, rows: Sequence[Row], data: Path, config: dict[str, Any]
) -> Questions:
    """All rows in token ids; raises `UserError` naming the row that cannot be asked."""
    room = config.get("max_position_embeddings") or math.inf
    asked = []
    for row in rows:
        try:
            one = method.ask(tokenizer, row)
        except UserError as error:
            raise UserError(f"{data}, {error}") from None
        if one.longest >= room:
            raise UserError(
                f"{data}, row {row.id}: {one.longest} tokens, but the model takes {room}; "
                "shorten the row or the replies (--max-tokens), or use another model"
            )
        asked.append(one)
    return Questions(method, tokenizer, asked)


def predict(row: Row, answer: Answer) -> Prediction:
    """A row's prediction, by published option; raises `UserError` for scores that are not finite.

    Of equally probable options the one published first is chosen.
    """
    order = row.order or []
    if answer.scores is None:
        choice = None if answer.choice is None else order[answer.choice]
        return Prediction(id=row.record, order=order, logprobs=None, choice=choice)
    if not all(math.isfinite(value) for value in answer.scores):
        raise UserError(
            f"row {row.id}: the model gives {answer.scores} for {row.labels}, not finite "
            "log-probabilities; score with --dtype float32, and if that changes nothing the "
            "weights are broken"
        )
    logprobs = option_logprobs(answer.scores, order)
    return Prediction(id=row.record, order=order, logprobs=logprobs, choice=choose(logprobs))
