"""Chunks as vectors of a sentence-transformers model, searched by cosine.

The model is a folder or one of the hub: of a transformer, or of words that each have a vector
(model2vec's). Its weights are safetensors, and code that comes with a model is not run.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import sha256
from prep.retrieval.sentence_models import READ, folder_of, loaded, unsaved
from prep.retrieval.settings import Embedder
from prep.retrieval.store import stored

FORM = 1  # of what is written here: another form is another index
MATRIX = "vectors.npy"
DECIMALS = 4  # of a cosine
PACKAGES = ("sentence-transformers", "transformers", "torch")


class Encoder:
    """A model that makes vectors of length 1 of texts, loaded once."""

    def __init__(self, said: Embedder) -> None:
        from sentence_transformers import SentenceTransformer  # seconds to import

        self.said, self.folder = said, folder_of(said.model, said.revision, "embedder")
        self._asked: dict[str, NDArray[np.float32]] = {}
        self._model = loaded(SentenceTransformer, self.folder, "embedder")
        # a pooler is no part of a text's vector, which is made of its tokens'
        if lacking := [name for name in unsaved(self._model) if "pooler" not in name]:
            raise UserError(
                f"{said.model}: its files lack {lacking[0]}, without which no text has a vector of "
                "its own; download it again, or name another under `embedder`"
            )

    @property
    def made_of(self) -> dict[str, Any]:
        """What decides over a document's vector: the model's files, and what stands before it."""
        files = sorted(path for one in READ for path in self.folder.rglob(one))
        hashes = {path.relative_to(self.folder).as_posix(): sha256(path) for path in files}
        return {"files": hashes, "document": self.said.document}

    def documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A vector for each text; raises `UserError` where the model makes no numbers."""
        return self._finite(self._model.encode_document, list(texts), self.said.document)

    def query(self, text: str) -> NDArray[np.float32]:
        """The vector of a query, made once."""
        if text not in self._asked:
            [made] = self._finite(self._model.encode_query, [text], self.said.query)
            self._asked[text] = made
        return self._asked[text]

    def _finite(self, encode: Any, texts: list[str], prompt: str | None) -> NDArray[np.float32]:
        settings = {"normalize_embeddings": True, "show_progress_bar": len(texts) > 1000}
        found = np.asarray(encode(texts, prompt=prompt, **settings), dtype=np.float32)
        if not np.isfinite(found).all():
            raise UserError(f"{self.said.model}: makes vectors that are no numbers; name another")
        return found


class Vectors:
    """The chunks' vectors, in the chunks' order; `name` is that of their index."""

    def __init__(self, name: str, matrix: NDArray[np.float32], encoder: Encoder) -> None:
        self.name, self.matrix, self.encoder = name, matrix, encoder

    def scores(self, text: str, depth: int) -> NDArray[np.float64]:
        """The cosine of each chunk's vector and the text's, -1 to 1; those behind the `depth` best
        may be given as 0."""
        return np.round((self.matrix @ self.encoder.query(text)).astype(np.float64), DECIMALS)


def vectors(chunks: Sequence[str], of: str, said: Embedder, indexes: Path) -> Vectors:
    """The vectors of the chunks of index `of`: as they lie below `indexes`, or made now.

    Raises `UserError` where the model cannot be had, or what lies there is not what it is called.
    """
    encoder = Encoder(said)
    packages = {name: version(name) for name in PACKAGES}
    made_of = {"form": FORM, "chunks_of": of, "encoder": encoder.made_of, "packages": packages}

    def make(folder: Path, _: str) -> dict[str, Any]:
        matrix = encoder.documents(chunks)
        np.save(folder / MATRIX, matrix, allow_pickle=False)
        return dict(zip(("chunks", "dimensions"), matrix.shape, strict=True))

    folder, _ = stored(indexes, made_of, make)
    matrix = np.load(folder / MATRIX, mmap_mode="r", allow_pickle=False)
    return Vectors(folder.name, matrix, encoder)
