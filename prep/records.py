"""The records that chapters hand to one another, one JSON object a line each.

`prep/` turns Questions and Chats into Rows; `eval/` turns Rows into Predictions; `ensemble/` votes
over Predictions. No chapter knows more of another than these types.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Split = Literal["train", "dev", "test"]
CATEGORIES = ("원인", "후행사건", "전제", "동기", "반응")
LABELS = ("A", "B", "C", "D", "E")


class Strict(BaseModel):
    """A frozen record that refuses unknown fields and silent type conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Turn(Strict):
    """One utterance of a dialogue; `id` is what the focus names."""

    speaker: str
    text: str
    id: str


class Question(Strict):
    """A multiple-choice item, whatever its source; `answer` is a 0-based index into `options`.

    Its context is a dialogue or a passage; the passage is empty where the question needs none.
    """

    id: str
    source: str
    split: Split
    group: str
    turns: list[Turn] = Field(default_factory=list)
    passage: str | None = None
    focus: list[str] = Field(default_factory=list)
    category: str
    question: str | None = None
    note: str | None = None
    options: list[str] = Field(min_length=2, max_length=5)
    answer: int | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.turns) == (self.passage is not None):
            raise ValueError("a question needs either turns or a passage")
        if not self.turns and not self.passage and not self.question:
            raise ValueError("a question with an empty passage needs a question text")
        missing = set(self.focus) - {turn.id for turn in self.turns}
        if missing:
            raise ValueError(f"focus names no turn of the dialogue: {', '.join(sorted(missing))}")
        if self.answer is not None and not 0 <= self.answer < len(self.options):
            raise ValueError(f"answer {self.answer} is no index into {len(self.options)} options")
        return self


class Message(Strict):
    """One message of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(Strict):
    """An instruction pair or longer conversation of an external set."""

    id: str
    source: str
    messages: list[Message] = Field(min_length=2)


class Row(Strict):
    """What prep writes for training and scoring.

    `order[k]` is the published index of the option shown as `labels[k]`; `answer` is a label.
    A training row ends with the assistant's message, a scoring row with the user's. Rows made from
    a Chat have no labels, no order and no answer.
    """

    id: str
    source: str
    split: Split
    group: str
    category: str | None
    prompt: str | None
    messages: list[Message] = Field(min_length=1)
    labels: list[str] | None
    order: list[int] | None
    answer: str | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.labels is None) != (self.order is None):
            raise ValueError("labels and order come together or not at all")
        if self.labels is not None and sorted(self.order or []) != list(range(len(self.labels))):
            raise ValueError(f"order {self.order} is no permutation of the published options")
        if self.answer is not None and self.answer not in (self.labels or []):
            raise ValueError(f"answer {self.answer} is not among the labels {self.labels}")
        return self


class Prediction(Strict):
    """What a model says of one scoring row, by published option.

    `logprobs[i]` is the log-probability of published option i, normalised over the options;
    `choice` is the published index with the highest.
    """

    id: str
    order: list[int]
    logprobs: list[float]
    choice: int


Reason = Literal[
    "exact-duplicate",
    "near-duplicate",
    "near-scored",
    "empty",
    "bad-options",
    "no-answer",
    "too-long",
]


class Removed(Strict):
    """A record that prep left out, why, and the record it stood too near to."""

    id: str
    source: str
    split: Split
    reason: Reason
    near: str | None = None


class Changed(Strict):
    """A text altered beyond whitespace; `field` is its place in the source record."""

    id: str
    source: str
    split: Split
    field: str
    before: int | float | str
    after: str
    reason: Literal["not-a-string", "note-split"]
