"""The best chunks put in order by a cross-encoder, which reads a query and a chunk together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.jsonl import read_json
from core.model_folder import why
from prep.retrieval.knowledge import Knowledge
from prep.retrieval.ranking import Hit, Wanted, ranked
from prep.retrieval.sentence_models import folder_of, loaded, unsaved
from prep.retrieval.settings import Rerank, Retrieve
from prep.retrieval.vectors import Vectors

DECIMALS = 4  # of a score
KINDS = ("ForSequenceClassification", "ForCausalLM")  # that score a pair, or say yes or no
SAYING = {"config.json": "architectures", "config_sentence_transformers.json": "model_type"}


class Reranker:
    """A cross-encoder, loaded once."""

    def __init__(self, said: Rerank) -> None:
        """Raises `UserError` where the model cannot be had, or gives no one score for a pair."""
        from sentence_transformers import CrossEncoder  # seconds to import
        from torch.nn import Identity

        self.said, folder = said, folder_of(said.model, said.revision, "rerank")
        names, own = (_said(folder / file, key) for file, key in SAYING.items())
        if own != "CrossEncoder" and not str(names[0]).endswith(KINDS):
            raise self._refused(f"a {names[0] or 'model without a head'}")
        self._model = loaded(CrossEncoder, folder, "rerank")
        if self._model.num_labels != 1:
            raise self._refused(f"a classifier of {self._model.num_labels} labels")
        if lacking := unsaved(self._model):
            raise self._refused(f"a model whose files lack {lacking[0]}")
        self._raw = Identity()
        self.scores("물음", ["글"])  # what cannot score a pair is refused before there is work

    def scores(self, text: str, shown: Sequence[str]) -> list[float]:
        """How well each text answers the query: the model's own score, without bounds."""
        pairs = [(text, one) for one in shown]
        try:
            found = self._model.predict(pairs, activation_fn=self._raw, show_progress_bar=False)
        except ValueError as error:  # a chat template without a place for a query and a document
            raise self._refused(f"a model that reads no pair ({why(error)})") from None
        values = np.round(np.asarray(found, dtype=np.float64), DECIMALS)
        if not np.isfinite(values).all():
            raise self._refused("a model whose scores are no numbers")
        return values.tolist()

    def _refused(self, what: str) -> UserError:
        return UserError(
            f"{self.said.model}: {what}, which puts nothing in order; name a cross-encoder with "
            "one score under `rerank`"
        )


def _said(file: Path, key: str) -> Any:
    """What a model's file says, or one empty text."""
    return (read_json(file).get(key) if file.is_file() else None) or [""]


def best(
    wanted: Wanted,
    knowledge: Knowledge,
    vectors: Vectors | None,
    reranker: Reranker | None,
    said: Retrieve,
    k: int,
) -> list[Hit]:
    """The `k` best chunks by the run's method and above its threshold, of equal ones the first.

    With a reranker its scores decide, among the candidates that the method found.
    """
    deep = max(k, reranker.said.candidates) if reranker else k
    hits = ranked(wanted, knowledge, vectors, said.method, deep, said.threshold)
    if reranker is None or not hits:
        return hits
    scores = reranker.scores(wanted.text, [hit.chunk.shown for hit in hits])
    order = sorted(range(len(hits)), key=lambda n: (-scores[n], n))
    return [
        replace(hits[n], score=scores[n], ranks={**hits[n].ranks, said.method: n + 1})
        for n in order[:k]
    ]
