"""The evidence of a question: which chunks are shown with it, by the run's `retrieve`.

A query is made of what a question shows, never of its answer, so that the same is found whatever
the answer is. With `raft` (Zhang et al. 2024, RAFT: Adapting Language Model to Domain Specific RAG)
the passage stands among what was found, in an order drawn for each question, and a share of the
training rows goes without it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from core.morphemes import kiwi, subject_words
from core.ray_session import Ray
from core.records import Question, draw
from prep.dedup.ngrams import kept_characters
from prep.guards.contamination import Quotes
from prep.lengths import ruler
from prep.render import Augmented
from prep.retrieval.chunks import Chunk
from prep.retrieval.knowledge import Knowledge, index
from prep.retrieval.leaks import holding
from prep.retrieval.ranking import Hit, Wanted
from prep.retrieval.reranking import Reranker, best
from prep.retrieval.settings import Query, Raft, Retrieve
from prep.retrieval.vectors import Vectors, vectors

KEYWORDS = 12  # words of a passage that a query takes, those that tell most


def query(question: Question, kind: Query, knowledge: Knowledge) -> Wanted:
    """What a question is searched with."""
    said = [turn.text for turn in question.turns]
    asked = [turn.text for turn in question.turns if turn.id in question.focus] or said
    texts = [question.question or "\n".join(asked)]
    if kind == "options":
        texts += [question.note or "", *question.options]
    words = [word for tokens in kiwi().tokenize(texts) for word in subject_words(tokens)]
    if kind == "keywords":
        [tokens] = kiwi().tokenize([question.passage or "\n".join(said)])
        times = Counter(subject_words(tokens))
        telling = sorted(times, key=lambda word: (-times[word] * knowledge.rarity(word), word))
        words += telling[:KEYWORDS]
        texts.append(" ".join(telling[:KEYWORDS]))
    return Wanted("\n".join(filter(None, texts)), words)


class _Piece(NamedTuple):
    """A text to show, and the id of the document that it is of."""

    document: str
    text: str


@dataclass
class Evidence:
    """Finds the evidence of one question after another, each once, and counts."""

    knowledge: Knowledge
    settings: Retrieve
    seed: int
    leaks: dict[str, str] = field(default_factory=dict)
    measure: Callable[[str], int] = len
    vectors: Vectors | None = None
    reranker: Reranker | None = None
    counts: Counter[str] = field(default_factory=Counter)
    _known: dict[tuple[str, str, str], Augmented] = field(default_factory=dict)

    def __call__(self, question: Question, passage: str | None = None) -> Augmented:
        """What is shown with a question: the same however often it is asked for.

        Where a part of its `passage` is shown, this is it; what is searched for is all of it.
        """
        key = (question.source, question.split, question.id)
        if key not in self._known:
            self._known[key] = self._found(question, passage or question.passage)
        return self._known[key]

    def hits(self, question: Question, k: int) -> list[Hit]:
        """The best chunks for a question."""
        wanted = query(question, self.settings.query, self.knowledge)
        return best(wanted, self.knowledge, self.vectors, self.reranker, self.settings, k)

    def figures(self) -> dict[str, Any]:
        """The index, the documents left out, and what was counted, for a report."""
        shown = ("questions", "without", "chunks", "over_budget", "golden", "golden_left_out")
        dense = self.vectors and {
            "index": self.vectors.name,
            **self.vectors.encoder.said.model_dump(exclude_none=True),
        }
        return {
            "index": self.knowledge.name,
            "method": self.settings.method,
            "vectors": dense,
            "rerank": self.reranker and self.reranker.said.model_dump(exclude_none=True),
            **self.knowledge.counts,
            "leaks": self.leaks,
            "shown": {name: self.counts[name] for name in shown},
        }

    def _found(self, question: Question, passage: str | None) -> Augmented:
        raft = self.settings.raft
        golden = passage if raft else None
        if raft and golden:
            pieces = self._distractors(question, raft)
        else:
            pieces = [_piece(hit.chunk) for hit in self.hits(question, self.settings.k)]
        given = [_Piece(question.group, golden)] if golden else []
        if golden and question.split == "train" and self._goes_without(question):
            self.counts["golden_left_out"] += 1
            given = []
        self.counts["golden"] += len(given)
        shown = self._within_budget(given, pieces)
        if golden:
            place = {
                piece: draw(self.seed, "raft", *_key(question), n) for n, piece in enumerate(shown)
            }
            shown = sorted(shown, key=lambda piece: place[piece])
        self.counts["questions"] += 1
        self.counts["without"] += not shown
        self.counts["chunks"] += len(shown)
        return Augmented(
            question.model_copy(update={"passage": "" if golden else passage}),
            tuple(piece.text for piece in shown),
            tuple(piece.document for piece in shown),
        )

    def _goes_without(self, question: Question) -> bool:
        share = self.settings.raft.without if self.settings.raft else 0.0
        return draw(self.seed, "golden", *_key(question)) < share * 2**64

    def _distractors(self, question: Question, raft: Raft) -> list[_Piece]:
        """The best chunks that are not of the passage itself: no part of it, however short."""
        own, golden = Quotes(), kept_characters(question.passage or "")
        own.add(question.passage or "", question.group)

        def is_other(text: str) -> bool:
            return own.find(text) is None and kept_characters(text) not in golden

        k = 4 * raft.distractors
        while True:
            hits = self.hits(question, k)
            others = [_piece(hit.chunk) for hit in hits if is_other(hit.chunk.text)]
            if len(others) >= raft.distractors or len(hits) < k:
                return others[: raft.distractors]
            k *= 2  # the passage itself has many chunks

    def _within_budget(self, given: list[_Piece], pieces: Sequence[_Piece]) -> list[_Piece]:
        """What is given, and of the pieces those that still have room, the best first."""
        shown = list(given)
        left = (self.settings.tokens or 0) - sum(self.measure(piece.text) for piece in given)
        for piece in pieces:
            size = self.measure(piece.text) if self.settings.tokens else 0
            if self.settings.tokens and size > left:
                self.counts["over_budget"] += 1
                continue
            left -= size
            shown.append(piece)
        return shown


def prepared(
    settings: Retrieve, folder: Path, scored: Sequence[Question], seed: int, ray: Ray | None = None
) -> Evidence:
    """The evidence of a run: its index, without the documents that hold a scored question.

    Raises `UserError` where the index or the recipe's tokenizer cannot be had.
    """
    knowledge = index(settings.documents, settings.cut, folder, ray)
    leaks = holding(knowledge.texts(), scored)
    measure = counter(settings.recipe, settings.tokenizer) if settings.recipe else len
    dense = meanings(knowledge, settings, folder)
    reranker = Reranker(settings.rerank) if settings.rerank else None
    return Evidence(knowledge.without(leaks), settings, seed, leaks, measure, dense, reranker)


def counter(recipe: str, tokenizer: str | None) -> Callable[[str], int]:
    """What counts the tokens of a text as a recipe does, without those around a row."""
    made = ruler(Path(recipe), tokenizer).tokenizer
    return lambda text: len(made.encode(text, add_special_tokens=False))


def meanings(knowledge: Knowledge, settings: Retrieve, folder: Path) -> Vectors | None:
    """The vectors of an index, where the run searches by them."""
    if settings.embedder is None:
        return None
    shown = [chunk.shown for chunk in knowledge.chunks]
    made = vectors(shown, knowledge.name, settings.embedder, folder)
    if settings.store is None:
        return made
    from prep.retrieval.vector_store import in_store  # its library takes seconds to import

    return in_store(made, [chunk.id for chunk in knowledge.chunks], settings.store)


def _piece(chunk: Chunk) -> _Piece:
    return _Piece(chunk.document, chunk.shown)


def _key(question: Question) -> tuple[str, str]:
    return question.source, question.id
