"""What a run of params.yaml says of its evidence, under `retrieve`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from core.records import Strict
from prep.dedup import Method, Simhash

Query = Literal["question", "options", "keywords"]


class Cut(Strict):
    """How documents are cut: characters of a chunk, sentences that two have in common; and which
    documents count as one."""

    characters: int = Field(default=400, ge=50, le=10_000)
    overlap: int = Field(default=1, ge=0, le=10)
    duplicates: Method = Simhash()


class Raft(Strict):
    """How many documents stand next to the passage, and in which share of the training rows they
    stand alone."""

    distractors: int = Field(default=3, ge=1, le=20)
    without: float = Field(default=0.2, ge=0, lt=1)


class Retrieve(Cut):
    """What a run says of its evidence.

    `documents` are files and folders; `k` chunks above the BM25 score `threshold` are shown, as far
    as they have room in `tokens` of the tokenizer of `recipe`. `query` is made of the question, of
    the question and its options, or of the question and the words that tell most of its passage.
    """

    documents: list[str] = Field(min_length=1)
    k: int = Field(default=3, ge=1, le=50)
    threshold: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    query: Query = "options"
    tokens: int | None = Field(default=None, ge=1)
    recipe: str | None = None
    tokenizer: str | None = None
    raft: Raft | None = None

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if bool(self.tokens) != bool(self.recipe):
            raise ValueError("tokens and recipe come together: a budget is in a recipe's tokens")
        return self

    @property
    def cut(self) -> Cut:
        """How its documents are cut."""
        return Cut(characters=self.characters, overlap=self.overlap, duplicates=self.duplicates)
