"""An index of documents: BM25 over Kiwi's morphemes (bm25s), built once, in a folder of its own.

Robertson & Zaragoza (2009), The Probabilistic Relevance Framework: BM25 and Beyond, in the form of
Lucene, k1 1.5 and b 0.75.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import sha256
from core.jsonl import read_records, write_records
from core.ray_session import Ray
from core.records import Strict
from prep.dedup import Document, duplicates
from prep.retrieval import documents
from prep.retrieval.chunks import Chunk, cut
from prep.retrieval.documents import KnowledgeDocument
from prep.retrieval.settings import Cut
from prep.retrieval.store import stored

if TYPE_CHECKING:
    from bm25s import BM25

CHUNKS, LEFT_OUT = "chunks.jsonl", "left-out.jsonl"
FORM = 1  # of what is written here: another form is another index
DECIMALS = 4  # of a score
SIGNED = 100  # texts that are signed while one is analysed, or more
PACKAGES = ("kiwipiepy", "kiwipiepy_model", "bm25s", "pypdf")


class LeftOut(Strict):
    """A document that is not in the index, and why: empty, or near to one that is."""

    id: str
    reason: str
    near: str | None = None


class Knowledge:
    """The chunks of some documents, and a search in them.

    `name` is the index's hash; `counts` has the documents read, left out by reason, and chunks.
    """

    def __init__(
        self, name: str, chunks: Sequence[Chunk], bm25: "BM25", counts: dict[str, Any]
    ) -> None:
        self.name, self.chunks, self.counts = name, chunks, counts
        self._bm25 = bm25
        self._allowed: NDArray[np.bool_] | None = None

    def without(self, gone: Iterable[str]) -> "Knowledge":
        """The same without some documents, by id."""
        left_out = set(gone)
        other = Knowledge(self.name, self.chunks, self._bm25, self.counts)
        other._allowed = np.array([chunk.document not in left_out for chunk in self.chunks])
        return other

    @property
    def left_out(self) -> int:
        """How many chunks are of documents that are left out."""
        return 0 if self._allowed is None else int(np.count_nonzero(~self._allowed))

    def texts(self) -> Iterator[tuple[str, str]]:
        """The id of each document, and all that is shown of it: its title and its text."""
        for document, part in groupby(self.chunks, lambda chunk: chunk.document):
            first, *others = part
            yield document, " ".join([first.shown, *(one.text[one.repeated :] for one in others)])

    def rarity(self, word: str) -> float:
        """How much a word tells: the more, the fewer chunks hold it; 0 where none does."""
        place = self._bm25.vocab_dict.get(word)
        if place is None:
            return 0.0
        bounds = self._bm25.scores["indptr"]
        holding = int(bounds[place + 1] - bounds[place])
        return float(np.log1p((len(self.chunks) - holding + 0.5) / (holding + 0.5)))

    def scores(self, words: Iterable[str]) -> NDArray[np.float64]:
        """The BM25 score of each chunk; a word counts once, however often the query says it."""
        known = self._known(words)
        if not known:
            return np.zeros(len(self.chunks))
        return np.round(self._bm25.get_scores(known).astype(np.float64), DECIMALS)

    def best(
        self, scores: NDArray[np.float64], k: int, threshold: float = 0.0
    ) -> list[tuple[int, float]]:
        """The places of the `k` highest scores above `threshold`, and these; of equal ones, the
        first. Documents that are left out have none."""
        if k < 1:
            return []
        above = scores > max(threshold, 0.0)
        if self._allowed is not None:
            above &= self._allowed
        places = np.flatnonzero(above)
        if len(places) > k:
            least = np.partition(scores[places], len(places) - k)[len(places) - k]
            places = places[scores[places] >= least]
        best = sorted(places.tolist(), key=lambda place: (-scores[place], place))[:k]
        return [(place, float(scores[place])) for place in best]

    def parts(self, words: Iterable[str], place: int) -> dict[str, float]:
        """What each word gives to the BM25 score of the chunk in a place, where it gives any."""
        given = {word: self._part(word, place) for word in self._known(words)}
        return {word: part for word, part in given.items() if part}

    def _known(self, words: Iterable[str]) -> list[str]:
        return [word for word in dict.fromkeys(words) if word in self._bm25.vocab_dict and word]

    def _part(self, word: str, place: int) -> float:
        matrix = self._bm25.scores
        column = self._bm25.vocab_dict[word]
        start, end = matrix["indptr"][column : column + 2].tolist()
        at = start + int(np.searchsorted(matrix["indices"][start:end], place))
        there = at < end and matrix["indices"][at] == place
        return round(float(matrix["data"][at]), DECIMALS) if there else 0.0


def index(named: list[str], how: Cut, folder: Path, ray: Ray | None = None) -> Knowledge:
    """The index of the documents in files and folders: as it lies in a folder below `folder`, or
    built now and put there; many documents are signed and analysed on Ray, if it is given.

    Raises `UserError` where a document cannot be read, none has a text, or what lies there is not
    the index that its name says.
    """
    there = documents.files(named)
    made_of = {
        "form": FORM,
        "files": {name: sha256(path) for name, path in sorted(there.items())},
        "cut": how.model_dump(),
        "packages": {name: version(name) for name in PACKAGES},
    }

    def make(part: Path, name: str) -> dict[str, Any]:
        return _save(part, build(documents.read(there), how, name, ray))

    place, counts = stored(folder, made_of, make)
    from bm25s import BM25

    bm25 = BM25.load(place, load_corpus=False, mmap=True, show_progress=False)
    return Knowledge(place.name, read_records(place / CHUNKS, Chunk), bm25, counts)


def build(
    read: Iterable[KnowledgeDocument], how: Cut, name: str, ray: Ray | None = None
) -> tuple[Knowledge, list[LeftOut]]:
    """An index of documents in memory, and the documents that it leaves out."""
    everything = list(read)
    left_out = [LeftOut(id=one.id, reason="empty") for one in everything if not one.text]
    texts = [one for one in everything if one.text]
    near = duplicates([Document(one.text, 0, one.id) for one in texts], how.duplicates, ray).removed
    left_out += [
        LeftOut(id=texts[k].id, reason=found.reason, near=texts[found.kept].id)
        for k, found in sorted(near.items())
    ]
    kept = [one for k, one in enumerate(texts) if k not in near]
    vocabulary: dict[str, int] = {}
    chunks, ids = [], []
    there = ray if ray and len(kept) * SIGNED >= ray.smallest else None
    for chunk, words in cut(kept, how.characters, how.overlap, there):
        chunks.append(chunk)
        ids.append(array("i", [vocabulary.setdefault(word, len(vocabulary)) for word in words]))
    if not vocabulary:
        raise UserError(
            f"{len(everything)} documents, and none has a word to search for; name others under "
            "`documents`"
        )
    from bm25s import BM25  # it imports numba

    bm25 = BM25(method="lucene", k1=1.5, b=0.75)
    bm25.index((ids, vocabulary), show_progress=False)
    reasons = Counter(one.reason for one in left_out)
    counts = {"documents": len(everything), "left_out": dict(sorted(reasons.items()))}
    return Knowledge(name, chunks, bm25, {**counts, "chunks": len(chunks)}), left_out


def _save(folder: Path, built: tuple[Knowledge, list[LeftOut]]) -> dict[str, Any]:
    knowledge, left_out = built
    knowledge._bm25.save(folder, show_progress=False)
    write_records(folder / CHUNKS, knowledge.chunks)
    write_records(folder / LEFT_OUT, left_out)
    return knowledge.counts
