"""Passages that are too long, shown in part: what answers the question best, in the text's order.

A part is a sentence or some on end, and what is left out is marked. Parts are ranked as evidence is
(BM25 over morphemes, by the question with 보기 and options); no answer is looked at.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import UserError
from core.records import Question
from prep.retrieval.chunks import Chunk
from prep.retrieval.documents import KnowledgeDocument
from prep.retrieval.evidence import counter, query
from prep.retrieval.knowledge import build
from prep.retrieval.ranking import ranked
from prep.retrieval.settings import Cut, Excerpt

GAP = "[…]"  # stands for what is left out
CHARACTERS = 200  # of a part, at most: a longer sentence is cut where words end
ALONE = "passage"  # the id of the one document searched in


@dataclass
class Excerpts:
    """Shortens the passages of questions, each once, and counts them."""

    settings: Excerpt
    measure: Callable[[str], int]
    counts: Counter[str] = field(default_factory=Counter)
    _known: dict[tuple[str, str, str], Question] = field(default_factory=dict)

    def __call__(self, question: Question) -> Question:
        """The question with its passage, or with the parts of it that have room.

        Raises `UserError` where not one has, or none holds a word.
        """
        key = (question.source, question.split, question.id)
        if key not in self._known:
            self.counts["questions"] += 1
            passage = question.passage or ""
            if self.measure(passage) > self.settings.tokens:
                self.counts["shortened"] += 1
                question = question.model_copy(update={"passage": self._parts(question, passage)})
            self._known[key] = question
        return self._known[key]

    def figures(self) -> dict[str, Any]:
        """The room, and how many passages had too little, for a report."""
        counts = {name: self.counts[name] for name in ("questions", "shortened")}
        return {"tokens": self.settings.tokens, **counts}

    def _parts(self, question: Question, passage: str) -> str:
        given = [KnowledgeDocument(id=ALONE, text=passage)]
        try:
            text, _ = build(given, Cut(characters=CHARACTERS, overlap=0), ALONE)
        except UserError:  # of documents, which a question has none of
            raise UserError(
                f"{question.source}, {question.id}: no word stands in its passage of more than "
                f"{self.settings.tokens} tokens; correct it, or raise `tokens` under `excerpts`"
            ) from None
        hits = ranked(query(question, "options", text), text, None, "bm25", len(text.chunks))
        first = [hit.chunk.id for hit in hits]
        rest = [chunk.id for chunk in text.chunks if chunk.id not in first]
        kept: set[str] = set()
        for one in [*first, *rest]:
            if self.measure(_shown(text.chunks, kept | {one})) <= self.settings.tokens:
                kept.add(one)
        if not kept:
            raise UserError(
                f"{question.source}, {question.id}: no sentence of its passage has room in "
                f"{self.settings.tokens} tokens; raise `tokens` under `excerpts`"
            )
        return _shown(text.chunks, kept)


def _shown(chunks: Sequence[Chunk], kept: set[str]) -> str:
    """The parts kept in the text's order, a mark for each run of those left out."""
    words: list[str] = []
    for chunk in chunks:
        if chunk.id in kept:
            words.append(chunk.text)
        elif not words or words[-1] != GAP:
            words.append(GAP)
    return " ".join(words)


def excerpts(settings: Excerpt) -> Excerpts:
    """What shortens a run's passages; raises `UserError` where there is no such tokenizer."""
    return Excerpts(settings, counter(settings.recipe, settings.tokenizer))
