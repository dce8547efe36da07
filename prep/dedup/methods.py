"""The two methods, as a configuration names them, behind one set of operations."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from rich.console import Console
from rich.progress import track

from core.ray_session import Ray, session
from core.records import Strict
from prep.dedup import minhash, simhash
from prep.dedup.join import Close
from prep.dedup.ngrams import Hashes, Indices, batches

PART = 2_000_000  # characters signed by one thread at a time
MANY = 20_000  # texts whose signing is worth a progress bar
# Jaccard similarity from which two texts are near-duplicates, by the 4-grams of the shorter one;
# chosen on the labelled pairs of bench/pairs.py, see docs/dedup.md
BY_LENGTH = ((70, 0.55), (250, 0.7), (2**62, 0.8))


@dataclass(frozen=True)
class Signatures:
    """The signatures of a list's texts, aligned with it, and how many 4-grams each has."""

    values: NDArray[Any]
    grams: Indices

    def at(self, places: Indices) -> "Signatures":
        """The signatures of some places."""
        return Signatures(self.values[places], self.grams[places])


class _Base(Strict):
    """What both methods share: `hard_negatives: keep` keeps a text that differs from its
    near-duplicate only in numbers, names or polarity."""

    hard_negatives: Literal["keep", "remove"] = "keep"


class Simhash(_Base):
    """Texts whose 64-bit signatures differ in at most `bits` bits are near-duplicates.

    `compatible` makes the signatures those of the `simhash` package.
    """

    method: Literal["simhash"] = "simhash"
    bits: int = Field(default=3, ge=0, le=7)
    compatible: bool = False

    def sign_part(self, texts: Sequence[str]) -> Signatures:
        """The signatures of texts, 64 bits each."""
        return Signatures(*simhash.sign(texts, self.compatible))

    @property
    def widest(self) -> int:
        """How many others of a bucket a signature is compared with."""
        return simhash.WIDEST

    def identity(self, signed: Signatures) -> Hashes:
        """One number a signature, different for different signatures."""
        return signed.values

    def tables(self, signed: Signatures) -> Iterator[Hashes]:
        """Keys of which two close signatures share at least one."""
        return simhash.keys(signed.values, self.bits)

    def close(self, left: Signatures, right: Signatures) -> Close:
        """Whether signatures of `left` and `right` are close."""
        a, b = left.values, right.values
        return lambda i, j: simhash.distance(a[i], b[j]) <= self.bits

    def likeness(self, signed: Signatures, i: Indices, j: Indices) -> NDArray[Any]:
        """The higher the closer: bits equal."""
        return simhash.BITS - simhash.distance(signed.values[i], signed.values[j])

    def near(
        self, left: Sequence[str], a: Signatures, right: Sequence[str], b: Signatures
    ) -> "Callable[[int, int], float | None]":
        """The distance in bits of texts (i, j) whose signatures are close."""
        return lambda i, j: float(simhash.distance(a.values[i], b.values[j]))


class MinHash(_Base):
    """Texts whose 4-gram sets have a Jaccard similarity from `similarity` on are near-duplicates.

    Without `similarity` the threshold depends on the length of the shorter text (`BY_LENGTH`).
    """

    method: Literal["minhash"] = "minhash"
    similarity: float | None = Field(default=None, ge=0.5, le=1)

    def sign_part(self, texts: Sequence[str]) -> Signatures:
        """The signatures of texts, (texts, 255) numbers."""
        return Signatures(*minhash.sign(texts))

    @property
    def widest(self) -> int:
        """How many others of a bucket a signature is compared with."""
        return minhash.WIDEST

    def identity(self, signed: Signatures) -> Hashes:
        """One number a signature, different for different signatures."""
        return minhash.identity(signed.values)

    def tables(self, signed: Signatures) -> Iterator[Hashes]:
        """Keys of which two close signatures most likely share at least one."""
        return minhash.keys(signed.values)

    def close(self, left: Signatures, right: Signatures) -> Close:
        """Whether signatures of `left` and `right` are close enough to verify."""

        def close(i: Indices, j: Indices) -> NDArray[np.bool_]:
            shorter = np.minimum(left.grams[i], right.grams[j])
            estimates = minhash.estimate(left.values, right.values, i, j)
            return estimates >= self._threshold(shorter) - minhash.SLACK

        return close

    def likeness(self, signed: Signatures, i: Indices, j: Indices) -> NDArray[Any]:
        """The higher the closer: the estimated similarity."""
        return minhash.estimate(signed.values, signed.values, i, j)

    def near(
        self, left: Sequence[str], a: Signatures, right: Sequence[str], b: Signatures
    ) -> "Callable[[int, int], float | None]":
        """The true similarity of texts (i, j), or None where it is below the threshold."""
        grams_of_left = lru_cache(1_000)(lambda i: minhash.gram_set(left[i]))
        grams_of_right = lru_cache(1_000)(lambda j: minhash.gram_set(right[j]))

        def near(i: int, j: int) -> float | None:
            similarity = minhash.jaccard(grams_of_left(i), grams_of_right(j))
            shorter = np.minimum(a.grams[i], b.grams[j])
            return similarity if similarity >= self._threshold(shorter) else None

        return near

    def _threshold(self, grams: Indices) -> NDArray[np.float64]:
        if self.similarity is not None:
            return np.full(np.shape(grams), self.similarity)
        edges, thresholds = zip(*BY_LENGTH, strict=True)
        return np.array(thresholds)[np.searchsorted(edges, grams, "right")]


Method = Annotated[Simhash | MinHash, Field(discriminator="method")]


def sign(texts: Sequence[str], method: Method, ray: Ray | None = None) -> Signatures:
    """The signatures of texts: on Ray, or on all cores of this machine.

    Where there are many, a progress bar shows.
    """
    if ray and len(texts) >= max(1, ray.smallest):
        return sign_on_ray(texts, method, ray)
    parts = list(batches(texts, PART))
    with ThreadPoolExecutor() as pool:
        done = pool.map(method.sign_part, parts)
        if len(texts) >= MANY:
            done = track(done, "signing", len(parts), console=Console(stderr=True))
        signed = [method.sign_part([]), *done]
    return Signatures(
        np.concatenate([part.values for part in signed]),
        np.concatenate([part.grams for part in signed]),
    )


ROWS = 10_000  # texts of one task
PACKAGE = Path(__file__).resolve().parent.parent  # prep, which the workers import


def sign_on_ray(texts: Sequence[str], method: Method, ray: Ray) -> Signatures:
    """The signatures of texts, signed by the workers and put in order on the driver.

    Texts travel as UTF-8 with lone surrogates passed, which Arrow's strings would refuse; to a
    cluster's workers this package travels too.
    """

    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    parts = [(k, raw[k : k + ROWS]) for k in range(0, len(raw), ROWS)]
    tables = [
        pa.table({"place": np.arange(k, k + len(part)), "text": pa.array(part, pa.binary())})
        for k, part in parts
    ]

    def signed(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        done = method.sign_part([raw.decode("utf-8", "surrogatepass") for raw in batch["text"]])
        return {"place": batch["place"], "value": done.values, "grams": done.grams}

    with session(ray, PACKAGE):
        import ray as engine

        engine.data.DataContext.get_current().enable_progress_bars = False
        signatures = engine.data.from_arrow(tables).map_batches(signed, batch_size=None)
        done = list(signatures.iter_batches(batch_size=None))
    order = np.argsort(np.concatenate([part["place"] for part in done]))
    return Signatures(
        np.concatenate([part["value"] for part in done])[order],
        np.concatenate([part["grams"] for part in done])[order],
    )
