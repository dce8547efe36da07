"""Vectors in a Qdrant that runs already: uploaded once from their file, and searched there.

A collection is named by the vectors' index. A point is a chunk: its id is the chunk's place, and
what it carries the chunk's id. A search compares with all points, none by an approximate graph, so
that the same is found as in the file.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core import addresses
from core.errors import UserError
from prep.retrieval.settings import VectorStore
from prep.retrieval.vectors import DECIMALS, Vectors

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

BATCH = 256  # points of an upload
PATIENCE = 60  # seconds for an answer


class StoredVectors(Vectors):
    """Vectors that are searched in a store; `ids` are those of their chunks."""

    def __init__(
        self, client: "QdrantClient", where: str, vectors: Vectors, ids: Sequence[str]
    ) -> None:
        """Upload what is not there yet.

        Raises `UserError` where the store does not answer, or the collection holds other points.
        """
        super().__init__(vectors.name, vectors.matrix, vectors.encoder)
        self._client, self._ids = client, ids
        self._collection, self._where = f"maerak-{vectors.name}", where
        with self._answering():
            self._upload()

    def scores(self, text: str, depth: int) -> NDArray[np.float64]:
        """The cosine of each chunk's vector and the text's; 0 for those behind the `depth` best.

        Of chunks as near as the last of these none is left out, so that it is not the store that
        chooses among them.
        """
        from qdrant_client.models import SearchParams

        asked, count = self.encoder.query(text).tolist(), len(self._ids)
        found = np.zeros(count)
        limit = min(depth + 1, count)
        while True:
            with self._answering():
                points = self._client.query_points(
                    self._collection,
                    query=asked,
                    limit=limit,
                    search_params=SearchParams(exact=True),
                ).points
            values = np.round([point.score for point in points], DECIMALS)
            if len(points) < limit:
                raise self._another("holds fewer points than it did")
            if limit == count or values[depth - 1] > values[-1]:
                break
            limit = min(2 * limit, count)
        for point, value in zip(points, values, strict=True):
            if point.id not in range(count) or point.payload != {"chunk": self._ids[point.id]}:
                raise self._another("holds a point that is no chunk of this index")
            found[point.id] = value
        return found

    def _upload(self) -> None:
        from qdrant_client.models import Distance, VectorParams

        name, size = self._collection, self.matrix.shape[1]
        if not self._client.collection_exists(name):
            # vectors have length 1, so that their product is their cosine
            form = VectorParams(size=size, distance=Distance.DOT)
            self._client.create_collection(name, vectors_config=form)
        form = self._client.get_collection(name).config.params.vectors
        if not isinstance(form, VectorParams) or (form.size, form.distance) != (size, Distance.DOT):
            raise self._another("has vectors of another form")
        if (there := self._count()) < len(self._ids):
            self._upsert(there // BATCH * BATCH)
            there = self._count()
        if there != len(self._ids):
            raise self._another(f"has {there} points for {len(self._ids)} chunks")

    def _upsert(self, first: int) -> None:
        """Upload the points from a place on, each batch once the one before it is stored."""
        from qdrant_client.models import Batch

        for start in range(first, len(self._ids), BATCH):
            ids = self._ids[start : start + BATCH]
            batch = Batch(
                ids=list(range(start, start + len(ids))),
                vectors=self.matrix[start : start + len(ids)].tolist(),
                payloads=[{"chunk": id_} for id_ in ids],
            )
            self._client.upsert(self._collection, points=batch, wait=True)

    def _count(self) -> int:
        return self._client.count(self._collection, exact=True).count

    def _another(self, why: str) -> UserError:
        return UserError(
            f"{self._where}: collection {self._collection} {why}; delete it there, and the next "
            "run uploads it again"
        )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in one sentence where the store does not answer, or not as it should."""
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

        try:
            yield
        except UnexpectedResponse as error:
            why = f"{error.status_code} {error.reason_phrase}".strip()
            remedy = (
                "name the variable of its key as `key`" if error.status_code in (401, 403) else ""
            )
            raise self._down(why, remedy) from None
        except (ApiException, QdrantException, OSError, ValueError) as error:
            raise self._down(str(error).strip().partition("\n")[0], "") from None

    def _down(self, why: str, remedy: str) -> UserError:
        return UserError(
            f"{self._where}: no Qdrant answers there as one should ({why}); "
            f"{remedy or 'start it, or correct `store`'}: nothing is lost, the next run goes on"
        )


def in_store(vectors: Vectors, ids: Sequence[str], said: VectorStore) -> StoredVectors:
    """Vectors in the store that a run names; raises `UserError` as `StoredVectors` does."""
    from qdrant_client import QdrantClient  # seconds to import

    key = addresses.secret(said.key, f"store {said.address}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a key goes to this machine by http, which it warns of
        client = QdrantClient(
            url=said.address,
            api_key=key,
            timeout=PATIENCE,
            check_compatibility=False,
            trust_env=not addresses.here(said.address),  # no proxy reads what stays on this machine
        )
    return StoredVectors(client, said.address, vectors, ids)
