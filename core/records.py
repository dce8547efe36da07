"""The records that chapters hand to one another, one JSON object a line each.

A record is identified by its source, split and id: published sets number each split from 1.
`prep/` turns Questions and Chats into Rows; `eval/` turns Rows into Predictions; `ensemble/` votes
over Predictions. No chapter knows more of another than these types.
"""

from hashlib import blake2b
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Split = Literal["train", "dev", "test"]
CATEGORIES = ("원인", "후행사건", "전제", "동기", "반응")
LABELS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


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
    options: list[str] = Field(min_length=2, max_length=len(LABELS))
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
    `options` are the texts in the order shown, in scoring rows alone: their likelihood is a score.
    A training row ends with the assistant's message, a scoring row with the user's. Rows made from
    a Chat have no labels, no order and no answer. `documents` are the ids of those that the prompt
    shows as evidence, where it shows any. `record` is the id of the record that the row was
    made from. The row's own id is the same, with the number of a repeat ("~2") and the order shown
    ("~BAC") behind it where it is one of several; it is a name to read and never taken apart.
    """

    id: str
    record: str
    source: str
    split: Split
    group: str
    category: str | None
    prompt: str | None
    messages: list[Message] = Field(min_length=1)
    labels: list[str] | None
    order: list[int] | None
    options: list[str] | None = None
    answer: str | None
    documents: list[str] | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.labels is None) != (self.order is None):
            raise ValueError("labels and order come together or not at all")
        if self.labels is not None and self.order is not None:
            _require_order(self.labels, self.order)
        if self.options is not None and len(self.options) != len(self.labels or []):
            raise ValueError(f"{len(self.options)} options do not fit the labels {self.labels}")
        if self.answer is not None:
            _require_label(self.answer, self.labels or [])
        return self


class Preference(Strict):
    """A question with a right answer and a wrong one, for training on what to prefer (ORPO).

    `chosen` and `rejected` are complete conversations, alike but for the last message; `rejected`
    answers with the published option `wrong`. A system text that is kept stands in `system` alone.
    There is no field `prompt`: Axolotl's `chat_template.argilla` would take it for the user's text.
    """

    id: str
    source: str
    split: Split
    group: str
    category: str
    template: str
    system: str | None
    chosen: list[Message] = Field(min_length=2)
    rejected: list[Message] = Field(min_length=2)
    labels: list[str]
    order: list[int]
    answer: str
    wrong: int

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.chosen[:-1] != self.rejected[:-1]:
            raise ValueError("chosen and rejected answer different prompts")
        if self.chosen[-1] == self.rejected[-1]:
            raise ValueError("chosen and rejected are the same answer")
        _require_order(self.labels, self.order)
        _require_label(self.answer, self.labels)
        if self.wrong == self.order[self.labels.index(self.answer)]:
            raise ValueError(f"wrong {self.wrong} is the option of the answer {self.answer}")
        return self


def _require_order(labels: list[str], order: list[int]) -> None:
    """Raise `ValueError` unless the labels stand for two options or more, in some order."""
    if sorted(order) != list(range(len(labels))):
        raise ValueError(f"order {order} is no permutation of the published options")
    if not 2 <= len(labels) <= len(LABELS):
        raise ValueError(f"{len(labels)} options; a question has two to {len(LABELS)}")


def _require_label(answer: str, labels: list[str]) -> None:
    if answer not in labels:
        raise ValueError(f"answer {answer} is not among the labels {labels}")


class Prediction(Strict):
    """What a model says of one question, by published option.

    `id` is the record's, which no other has in the file that was scored. `logprobs[i]` is the
    log-probability of published option i, normalised over the options, or None where the method
    yields none; `choice` is a published index, or None where the model gave no answer that can be
    read: that is a failure, and never counts as any option.
    """

    id: str
    order: list[int]
    logprobs: list[float] | None
    choice: int | None


Reason = Literal[
    "exact-duplicate",
    "near-duplicate",
    "contradiction",  # the same question has another answer elsewhere
    "near-scored",  # equal or near to a dev or test question, or quotes one
    "holds-scored-id",
    "empty",
    "bad-options",
    "bad-roles",  # of a chat
    "malformed",  # a chat of another form than its set
    "doubled-id",
    "no-answer",
    "too-long",
    "not-sampled",  # left out by the weight of its source
    # of what a teacher wrote (prep/teach.py)
    "refused",  # a request that the teacher did not take
    "cut-off",  # it did not come to its end
    "disagrees",  # its answer is not the right one
    "names-answer",  # a hint that says which option is right
    "letters-missing",  # no probability of each letter
    "unsupported",  # its evidence does not stand in the document
    "unanswerable",  # not answered with the document
    "needs-no-document",  # answered without it too
    "length",  # shorter or longer than an instruction is
    "language",  # not written in Korean
    "repetitive",
]


class Removed(Strict):
    """A record that prep left out, why, and the record it stood too near to."""

    id: str
    source: str
    split: Split
    reason: Reason
    near: str | None = None


Change = Literal[
    "not-a-string",
    "nfc",  # composed as it was read
    "invisible",  # characters that show nothing
    "absent",  # a word for a missing value
    "note-split",  # a 보기 that stood in the passage
    # the cleaning rules by name
    "spaces",
    "symbols",
    "speakers",
    "names",
    "marks",
    "abbreviations",
    "laughter",
    "greetings",
    "wordless",
    "empty",
    "merge",
    "special-characters",
    "stop-words",
    "pohanghang-spaces",
    "pohanghang-eung",
    "pohanghang-marks",
    "pohanghang-symbols",
    "pohanghang-greetings",
    "pohanghang-names",
    "pohanghang-jamo",
    "pohanghang-wordless",
    "pohanghang-empty",
    "pohanghang-short",
]


class Changed(Strict):
    """A text altered: where, by what, and how it read before and after.

    `field` is the place in the source record where a reader says so ("not-a-string" of utterances,
    "note-split"), else in the Question or Chat: "turns.ID", "options.INDEX" or "messages.INDEX"
    from 0, "passage" and the like. `after` is None where the utterance is gone: dropped by "empty"
    and its like, or by "merge" joined to the one before it, whose own line shows both.
    """

    id: str
    source: str
    split: Split
    field: str
    before: str | int | float
    after: str | None
    reason: Change


def ids_of_copies(id_: str, count: int) -> list[str]:
    """What a record's rows are called when it is taken `count` times: "a", "a~2", "a~3"."""
    return [f"{id_}~{k}" if k > 1 else id_ for k in range(1, count + 1)]


def draw(seed: int, *names: object) -> int:
    """A pseudo-random number of a record's own, from 0 to 2**64 - 1.

    It is made of the seed and of names such as source and id, so that it is the same wherever the
    record stands in its file.
    """
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
