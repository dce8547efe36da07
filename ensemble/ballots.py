"""What one member says of every item of a vote, as columns in the items' order."""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from eval import predictions
from prep.errors import UserError
from prep.records import Prediction

AHEAD = 2  # files read while one is counted; each in a thread of its own
LARGE = 16 * 2**20  # bytes from which the scanner earns the two seconds that it takes to compile


@dataclass(frozen=True)
class Items:
    """What is voted on: ids, how many options each has, and the file that says so, for messages."""

    ids: Sequence[str]
    options: NDArray[np.int8]
    source: Path

    @property
    def width(self) -> int:
        """The most options that an item has."""
        return int(self.options.max())

    @cached_property
    def heads(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The bytes of all ids as JSON writes them, one behind the other, and where each ends."""
        names = [json.dumps(id_, ensure_ascii=False).encode() for id_ in self.ids]
        return np.frombuffer(b"".join(names), np.uint8), np.cumsum([*map(len, names)])


@dataclass(frozen=True)
class Ballots:
    """One member's answers.

    `choice` [items] is a published option, -1 where the member abstains. `logprobs`
    [items, options] are in nats: 0 beyond an item's options, NaN where the member gives none, and
    None as a whole where it never does.
    """

    choice: NDArray[np.int8]
    logprobs: NDArray[np.float64] | None

    @classmethod
    def of(cls, given: Sequence[Prediction], width: int) -> Self:
        """The columns of predictions, in their order, `width` options wide."""
        choice = np.array([-1 if p.choice is None else p.choice for p in given], dtype=np.int8)
        if all(prediction.logprobs is None for prediction in given):
            return cls(choice, None)
        logprobs = np.zeros((len(given), width))
        for row, prediction in zip(logprobs, given, strict=True):
            row[: len(prediction.order)] = np.nan if (v := prediction.logprobs) is None else v
        return cls(choice, logprobs)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which items [items] the member answers."""
        return self.choice >= 0

    @property
    def complete(self) -> bool:
        """Whether every answer comes with log-probabilities."""
        if self.logprobs is None:
            return not self.answered.any()
        return not (self.answered & np.isnan(self.logprobs[:, 0])).any()

    def part(self, places: NDArray[np.int64]) -> "Ballots":
        """The answers to some of the items."""
        return Ballots(
            self.choice[places], None if self.logprobs is None else self.logprobs[places]
        )


def consistent(ballots: Ballots, items: Items, method: str) -> bool:
    """Whether probabilities sum to 1, and letters chose the greatest, as the strict reader asks."""
    if ballots.logprobs is None:
        return True
    given = ~np.isnan(ballots.logprobs[:, 0])
    logprobs, beyond = ballots.logprobs[given], items.width - items.options[given]
    with np.errstate(over="ignore"):
        sums = np.exp(logprobs).sum(axis=1) - beyond  # the logarithms beyond the options are 0
    if not (np.abs(sums - 1) <= predictions.SUM).all():
        return False
    if method != predictions.LETTERS:
        return True
    inside = np.arange(items.width) < items.options[given][:, None]
    greatest = np.where(inside, logprobs, -np.inf).max(axis=1)
    choice = ballots.choice[given]
    chosen = logprobs[np.arange(len(choice)), choice]
    return bool(((choice < 0) | (chosen == greatest)).all())


def read_meta(path: Path) -> predictions.Meta:
    """What made a prediction file; raises `UserError` where its sidecar is missing or malformed."""
    predictions.meta_path(path)
    if not path.is_file():
        return predictions.read(path)[1]  # which says what is missing
    return predictions.read_meta(path)


def read_members(paths: Sequence[Path], mixed: bool) -> list[predictions.Meta]:
    """What made each file; raises `UserError` where they must not vote together."""
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise UserError(f"{path}: named twice, so it would vote twice; name each file once")
        seen.add(path.resolve())
    metas = [read_meta(path) for path in paths]
    for path, meta in zip(paths, metas, strict=True):
        if "members" in (meta.model_extra or {}):
            raise UserError(f"{path}: is itself a vote; leave it out, or write it elsewhere")
    if not mixed:
        try:
            predictions.require_comparable(list(zip(paths, metas, strict=True)))
        except UserError as error:
            raise UserError(f"{error}, or say --mixed where they hold the same questions") from None
    return metas


def read(path: Path, items: Items) -> Ballots:
    """One member's ballots on exactly these items.

    A large file in the form that we write is scanned; any other, and any that is wrong, goes
    through `eval.predictions.read`. Raises `UserError` as that does, and where ids or numbers of
    options are not those of the items.
    """
    if path.is_file() and path.stat().st_size >= LARGE:
        from ensemble.scan import scan  # compiles on first use

        data = path.read_bytes()
        meta = read_meta(path)
        if hashlib.sha256(data).hexdigest() == meta.predictions_sha256:
            found = scan(data, *items.heads, items.options, items.width)
            if found is not None and consistent(Ballots(*found), items, meta.method):
                return Ballots(*found)
        del data
    given, _ = predictions.read(path)
    ids = list(items.ids)
    predictions.require_same_ids(path, given, ids, items.source)
    ordered = [given[id_] for id_ in ids]
    for prediction, options in zip(ordered, items.options.tolist(), strict=True):
        if len(prediction.order) != options:
            raise UserError(
                f"{path}, id {prediction.id}: {len(prediction.order)} options, but {items.source} "
                f"has {options}; score the rows that prep made from this test file"
            )
    return Ballots.of(ordered, items.width)


def read_all(paths: Sequence[Path], items: Items) -> Iterator[Ballots]:
    """The ballots of each file in turn; a few are read ahead, so that memory does not grow."""
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting = deque(pool.submit(read, path, items) for path in paths[:AHEAD])
        for following in [*paths[AHEAD:], *[None] * AHEAD][: len(paths)]:
            ballots = waiting.popleft().result()
            if following is not None:
                waiting.append(pool.submit(read, following, items))
            yield ballots
