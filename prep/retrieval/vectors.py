"""Chunks as vectors of a sentence-transformers model, searched by cosine.

The model is a folder or one of the hub: of a transformer, or of words that each have a vector
(model2vec's). Its weights are safetensors, and code that comes with a model is not run.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import sha256
from prep.retrieval.settings import Embedder
from prep.retrieval.store import stored

FORM = 1  # of what is written here: another form is another index
MATRIX = "vectors.npy"
DECIMALS = 4  # of a cosine
READ = ["*.json", "*.safetensors", "*.txt", "*.model"]  # of a model
PACKAGES = ("sentence-transformers", "transformers", "torch")


class Encoder:
    """A model that makes vectors of length 1 of texts, loaded once."""

    def __init__(self, said: Embedder) -> None:
        from sentence_transformers import SentenceTransformer  # seconds to import

        self.said, self.folder = said, _folder(said)
        self._asked: dict[str, NDArray[np.float32]] = {}
        try:
            self._model = SentenceTransformer(
                str(self.folder),
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
            raise UserError(
                f"{said.model}: sentence-transformers cannot load it "
                f"({str(error).partition(chr(10))[0]}); name another model under `embedder`"
            ) from None

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

    def scores(self, text: str) -> NDArray[np.float64]:
        """The cosine of each chunk's vector and the text's, -1 to 1."""
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


def _folder(said: Embedder) -> Path:
    """The model's folder, downloaded if need be; its weights are safetensors and nothing else."""
    folder = Path(said.model)
    if not folder.is_dir():
        if folder.exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", said.model):
            raise UserError(
                f"{said.model}: no such folder; under `embedder` name a model of "
                "sentence-transformers, a folder or of the hub as owner/name"
            )
        if said.revision is None:
            raise UserError(f"{said.model}: give its commit as `revision`, or name a folder")
        folder = _download(said.model, said.revision)
    pickled = [path for path in folder.rglob("pytorch_model.bin")]
    pickled = [path for path in pickled if not (path.parent / "model.safetensors").is_file()]
    if pickled or not any(folder.rglob("*.safetensors")):
        raise UserError(
            f"{folder}: has no weights as safetensors, and others are not read; save them so"
        )
    return folder


def _download(model: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=READ))
    except (OSError, ValueError) as error:  # the hub's errors are of these
        raise UserError(
            f"{model}: cannot be downloaded ({str(error).partition(chr(10))[0]}); check name, "
            "revision and network, or name a folder"
        ) from None
