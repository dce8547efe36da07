"""What a run of params.yaml says of its evidence, under `retrieve`."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from core import addresses
from core.records import Strict
from prep.dedup import Method, Simhash

Query = Literal["question", "options", "keywords"]
Ranking = Literal["bm25", "dense", "fusion"]


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


class Embedder(Strict):
    """A model of sentence-transformers: a folder, or one of the hub (owner/name) and its commit;
    and what stands before a query and before a document, where the model itself does not say it."""

    model: str
    revision: str | None = None
    query: str | None = None
    document: str | None = None


class VectorStore(Strict):
    """A Qdrant that runs already: its address, and the environment variable that holds its key."""

    address: Annotated[str, AfterValidator(addresses.checked)]
    key: str | None = None


class Rerank(Strict):
    """A cross-encoder of sentence-transformers, named as an embedder is, and how many of the best
    chunks it puts in order."""

    model: str
    revision: str | None = None
    candidates: int = Field(default=30, ge=2, le=1000)


class Retrieve(Cut):
    """What a run says of its evidence.

    `documents` are files and folders, searched by words (`bm25`), by the vectors of `embedder`
    (`dense`), or by both (`fusion`); vectors lie in a file, or in a `store`; `rerank` puts the best
    in order. `k` chunks whose score is above `threshold` are shown, as far
    as they have room in `tokens` of the tokenizer of `recipe`. `query` is made of the question, of
    the question and its options, or of the question and the words that tell most of its passage.
    """

    documents: list[str] = Field(min_length=1)
    method: Ranking = "bm25"
    embedder: Embedder | None = None
    store: VectorStore | None = None
    rerank: Rerank | None = None
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
        if self.tokenizer and not self.recipe:
            raise ValueError("tokenizer measures tokens in the place of a recipe's; give both too")
        if (self.method == "bm25") != (self.embedder is None):
            raise ValueError("dense and fusion need an `embedder`, and bm25 has none")
        if self.store and self.method == "bm25":
            raise ValueError("store holds vectors, and bm25 has none; take store out")
        return self

    @property
    def cut(self) -> Cut:
        """How its documents are cut."""
        return Cut(characters=self.characters, overlap=self.overlap, duplicates=self.duplicates)


class Excerpt(Strict):
    """How much of a passage is shown: where it has more `tokens` of the tokenizer of `recipe`, the
    sentences that answer its question best."""

    tokens: int = Field(ge=50)
    recipe: str
    tokenizer: str | None = None
