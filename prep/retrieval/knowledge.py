"""An index of documents: BM25 over Kiwi's morphemes (bm25s), built once, in a folder of its own.

The folder's index.json says what it was made of and by what; a hash of that is the index's name.
Robertson & Zaragoza (2009), The Probabilistic Relevance Framework: BM25 and Beyond, in the form of
Lucene, k1 1.5 and b 0.75.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import atomic_dir, sha256
from core.jsonl import read_json, read_records, write_json, write_records
from core.records import Strict
from prep.dedup import Document, duplicates
from prep.retrieval import documents
from prep.retrieval.chunks import Chunk, cut
from prep.retrieval.documents import KnowledgeDocument
from prep.retrieval.settings import Cut

if TYPE_CHECKING:
    from bm25s import BM25

RECORD = "index.json"
CHUNKS, LEFT_OUT = "chunks.jsonl", "left-out.jsonl"
FORM = 1  # of what is written here: another form is another index
DECIMALS = 4  # of a score
PACKAGES = ("kiwipiepy", "kiwipiepy_model", "bm25s")


class LeftOut(Strict):
    """A document that is not in the index, and why: empty, or near to one that is."""

    id: str
    reason: str
    near: str | None = None


@dataclass(frozen=True)
class Hit:
    """A chunk found, its BM25 score, and how much of that each word of the query gave."""

    chunk: Chunk
    score: float
    words: dict[str, float]


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

    def texts(self) -> Iterator[tuple[str, str]]:
        """The id and the text of each document."""
        for document, part in groupby(self.chunks, lambda chunk: chunk.document):
            yield document, " ".join(chunk.text[chunk.repeated :] for chunk in part)

    def rarity(self, word: str) -> float:
        """How much a word tells: the more, the fewer chunks hold it; 0 where none does."""
        place = self._bm25.vocab_dict.get(word)
        if place is None:
            return 0.0
        bounds = self._bm25.scores["indptr"]
        holding = int(bounds[place + 1] - bounds[place])
        return float(np.log1p((len(self.chunks) - holding + 0.5) / (holding + 0.5)))

    def search(self, words: Iterable[str], k: int, threshold: float = 0.0) -> list[Hit]:
        """The `k` chunks with the highest scores above `threshold`; of equal ones, the first.

        A word counts once, however often the query says it.
        """
        known = [word for word in dict.fromkeys(words) if word in self._bm25.vocab_dict and word]
        if not known or k < 1:
            return []
        scores = np.round(self._bm25.get_scores(known).astype(np.float64), DECIMALS)
        if self._allowed is not None:
            scores = np.where(self._allowed, scores, 0.0)
        places = np.flatnonzero(scores > max(threshold, 0.0))
        if len(places) > k:
            least = np.partition(scores[places], len(places) - k)[len(places) - k]
            places = places[scores[places] >= least]
        best = sorted(places.tolist(), key=lambda place: (-scores[place], place))[:k]
        return [
            Hit(
                self.chunks[place],
                float(scores[place]),
                {word: part for word in known if (part := self._part(word, place))},
            )
            for place in best
        ]

    def _part(self, word: str, place: int) -> float:
        """What a word gives to the score of the chunk in a place."""
        matrix = self._bm25.scores
        column = self._bm25.vocab_dict[word]
        start, end = matrix["indptr"][column : column + 2].tolist()
        at = start + int(np.searchsorted(matrix["indices"][start:end], place))
        there = at < end and matrix["indices"][at] == place
        return round(float(matrix["data"][at]), DECIMALS) if there else 0.0


def index(named: list[str], how: Cut, folder: Path) -> Knowledge:
    """The index of the documents in files and folders: as it lies in a folder below `folder`, or
    built now and put there.

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
    name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
    place = folder / name
    if not place.exists():
        with atomic_dir(place, RECORD) as part:
            _save(part, made_of, build(documents.read(there), how, name))
    return _load(place, made_of, name)


def build(
    read: Iterable[KnowledgeDocument], how: Cut, name: str
) -> tuple[Knowledge, list[LeftOut]]:
    """An index of documents in memory, and the documents that it leaves out."""
    everything = list(read)
    left_out = [LeftOut(id=one.id, reason="empty") for one in everything if not one.text]
    texts = [one for one in everything if one.text]
    near = duplicates([Document(one.text, 0, one.id) for one in texts], how.duplicates).removed
    left_out += [
        LeftOut(id=texts[k].id, reason=found.reason, near=texts[found.kept].id)
        for k, found in sorted(near.items())
    ]
    kept = [one for k, one in enumerate(texts) if k not in near]
    vocabulary: dict[str, int] = {}
    chunks, ids = [], []
    for chunk, words in cut(kept, how.characters, how.overlap):
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


def _save(folder: Path, made_of: dict[str, Any], built: tuple[Knowledge, list[LeftOut]]) -> None:
    knowledge, left_out = built
    knowledge._bm25.save(folder, show_progress=False)
    write_records(folder / CHUNKS, knowledge.chunks)
    write_records(folder / LEFT_OUT, left_out)
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    record = {"name": knowledge.name, **made_of, "counts": knowledge.counts, "sha256": hashes}
    write_json(folder / RECORD, record)


def _load(folder: Path, made_of: dict[str, Any], name: str) -> Knowledge:
    """The index of a folder; raises `UserError` where it is another's, or damaged."""
    record = read_json(folder / RECORD)
    wrong = [key for key, value in made_of.items() if record.get(key) != value]
    wrong += [
        file
        for file, digest in record.get("sha256", {}).items()
        if not (folder / file).is_file() or sha256(folder / file) != digest
    ]
    if wrong or record.get("name") != name:
        raise UserError(
            f"{folder}: is not the index of these documents and versions (differs in "
            f"{', '.join(wrong) or 'name'}); move it away, and the next run builds it again"
        )
    from bm25s import BM25

    bm25 = BM25.load(folder, load_corpus=False, mmap=True, show_progress=False)
    return Knowledge(name, read_records(folder / CHUNKS, Chunk), bm25, record["counts"])
