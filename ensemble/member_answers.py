"""What one member says of every item of a vote, as columns in the items' order."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import json as arrow_json

from core.errors import UserError
from core.files import sha256
from core.jsonl import read_json
from core.layout import BUILT
from core.records import Prediction
from eval import predictions

BITS = {None: "as stored", "4bit": "in 4 bits", "8bit": "in 8 bits"}  # how weights were loaded
AHEAD = 2  # files read while one is counted; each in a thread of its own
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "order": pa.list_(pa.int8()),
        "logprobs": pa.list_(pa.float64()),
        "choice": pa.int8(),
    }
)


def offered(options: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which columns [items, most options] are options of an item, by how many it offers [items]."""
    return np.arange(options.max()) < options[:, None]


@dataclass(frozen=True)
class Items:
    """What is voted on: ids, how many options each has, and the file that says so, for messages."""

    ids: Sequence[str]
    options: NDArray[np.int8]
    source: Path

    @cached_property
    def column(self) -> pa.ChunkedArray:
        """The ids as pyarrow reads them."""
        return pa.chunked_array([self.ids], pa.string())


@dataclass(frozen=True)
class MemberAnswers:
    """One member's answers.

    `options` [items] is how many options each item offers, `choice` [items] a published option, -1
    where the member abstains. `logprobs` [items, most options] are in nats: NaN where the member
    gives none, and None altogether where it never does. Beyond an item's options they mean nothing:
    `offered` says where they count, and whoever adds them up takes them through `where_answered`.
    """

    options: NDArray[np.int8]
    choice: NDArray[np.int8]
    logprobs: NDArray[np.float64] | None

    @classmethod
    def of(cls, given: Sequence[Prediction]) -> Self:
        """The columns of predictions, in their order."""
        options = np.array([len(prediction.order) for prediction in given], dtype=np.int8)
        choice = np.array([-1 if p.choice is None else p.choice for p in given], dtype=np.int8)
        if all(prediction.logprobs is None for prediction in given):
            return cls(options, choice, None)
        logprobs = np.zeros((len(given), int(options.max())))
        for row, prediction in zip(logprobs, given, strict=True):
            row[: len(prediction.order)] = np.nan if (v := prediction.logprobs) is None else v
        return cls(options, choice, logprobs)

    @classmethod
    def joined(cls, parts: "Sequence[MemberAnswers]") -> Self:
        """The answers of the parts, one behind the other."""
        options = np.concatenate([part.options for part in parts])
        choice = np.concatenate([part.choice for part in parts])
        if all(part.logprobs is None for part in parts):
            return cls(options, choice, None)
        logprobs = np.full((len(options), int(options.max())), np.nan)
        for end, part in zip(np.cumsum([len(part.options) for part in parts]), parts, strict=True):
            if part.logprobs is not None:
                logprobs[end - len(part.options) : end, : part.width] = part.logprobs
        return cls(options, choice, logprobs)

    @property
    def width(self) -> int:
        """The most options that an item offers."""
        return int(self.options.max())

    @property
    def offered(self) -> NDArray[np.bool_]:
        """Which columns [items, most options] are options of an item."""
        return offered(self.options)

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

    def where_answered(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`values` [items, options] of the options on offer; 0 elsewhere and where it abstains."""
        return np.where(self.offered & self.answered[:, None], values, 0.0)

    def part(self, places: NDArray[np.int64]) -> "MemberAnswers":
        """The answers to some of the items, as wide as those are."""
        options = self.options[places]
        given = None if self.logprobs is None else self.logprobs[places, : int(options.max())]
        return MemberAnswers(options, self.choice[places], given)


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
        if meta.method == predictions.IMPORTED and not mixed:
            raise UserError(
                f"{path}: was made elsewhere, and on what rows is unknown; say --mixed where it "
                "answers the same questions"
            )
    if not mixed:
        try:
            predictions.require_comparable(list(zip(paths, metas, strict=True)))
            require_same_bits(paths, metas)
        except UserError as error:
            raise UserError(f"{error}, or say --mixed where they hold the same questions") from None
    return metas


def require_test(test: Path, paths: Sequence[Path], metas: Sequence[predictions.Meta]) -> None:
    """Raise `UserError` where a member's rows were made of another file than the test file.

    Ids and options do not tell: many a table counts its ids from 1. The build's report beside the
    rows does, where it is of these rows, and of a file of the test file's form.
    """
    now = sha256(test)
    for path, meta in zip(paths, metas, strict=True):
        rows = Path(meta.data.path)
        try:
            report = read_json(rows.parent / BUILT)
            written = {name: one["sha256"] for name, one in report["outputs"].items()}
        except (UserError, KeyError, TypeError):
            continue
        split = rows.name.partition(".")[0]
        made_of = {
            one["sha256"]: one["file"]
            for title, one in report["inputs"].items()
            if title.endswith(f"/{split}") and Path(one.get("file", "")).suffix == test.suffix
        }
        known = {*made_of, *written.values()}  # the test file may be rows too
        if written.get(rows.name) == meta.data.sha256 and made_of and now not in known:
            raise UserError(
                f"{path}: answers {rows}, built of {', '.join(made_of.values())}, but {test} is "
                "another file or has changed since; build and score its rows, or say --mixed where "
                "it holds the same questions"
            )


def require_same_bits(paths: Sequence[Path], metas: Sequence[predictions.Meta]) -> None:
    """Raise `UserError` where members' weights were loaded in different bits."""
    for path, meta in zip(paths, metas, strict=True):
        if meta.load_in != metas[0].load_in:
            raise UserError(
                f"{path}: scored {BITS[meta.load_in]}, and {paths[0]} {BITS[metas[0].load_in]}; "
                "score both with the same --load-in"
            )


def read(path: Path, items: Items) -> MemberAnswers:
    """One member's answers to exactly these items.

    A file without fault, its lines in the items' order, is read by pyarrow; any other by
    `eval.predictions.read`, which names the record. Raises `UserError` as that does, and where ids
    or numbers of options are not those of the items.
    """
    if path.is_file():
        data = path.read_bytes()
        meta = read_meta(path)
        if hashlib.sha256(data).hexdigest() == meta.predictions_sha256:
            found = columns(data, items)
            if found is not None and consistent(found, meta.method):
                return found
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
    return MemberAnswers.of(ordered)


def columns(data: bytes, items: Items) -> MemberAnswers | None:
    """The answers of a file that holds one prediction of the exact form a line, in this order.

    None where anything is missing, too much or of another type.
    """
    rows, options = len(items.ids), items.options
    # pyarrow refuses a key that stands twice, yet takes a missing one for null, and lines as it
    # likes. No string can hold a newline, or a key of ours between its two quotes.
    counts = {b"\n": rows, b"}\n{": rows - 1} | {b'"%b":' % k.encode(): rows for k in SCHEMA.names}
    ends = data[:1], data[-2:]
    if ends != (b"{", b"}\n") or any(data.count(part) != n for part, n in counts.items()):
        return None
    strict = arrow_json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="error")
    try:
        table = arrow_json.read_json(pa.BufferReader(data), parse_options=strict)
    except pa.ArrowException:
        return None
    if not table["id"].equals(items.column) or options.min() < 2:
        return None
    order, logprobs, choice = (table[name].combine_chunks() for name in SCHEMA.names[1:])
    given, answered = (np.asarray(one.is_valid()) for one in (logprobs, choice))
    published, values = order.flatten(), logprobs.flatten()
    chosen = np.asarray(choice.fill_null(-1))
    if (
        published.null_count
        or not np.array_equal(order.value_lengths(), options)
        or not np.array_equal(logprobs.value_lengths().fill_null(0), np.where(given, options, 0))
        or not np.isfinite(np.asarray(values)).all()  # a null among them is NaN
        or not (answered == (chosen >= 0)).all()
        or not (chosen < options).all()
    ):
        return None
    inside = offered(options)
    places = np.tile(np.arange(inside.shape[1], dtype=np.int8), (rows, 1))
    shown = places.copy()
    shown[inside] = published
    if not (np.sort(shown, axis=1) == places).all():  # an option twice, or none of the item's
        return None
    if not given.any():
        return MemberAnswers(options, chosen, None)
    matrix = np.where(inside & ~given[:, None], np.nan, 0.0)
    matrix[inside & given[:, None]] = values
    return MemberAnswers(options, chosen, matrix)


def consistent(answers: MemberAnswers, method: str) -> bool:
    """Whether probabilities sum to 1, and letters chose the greatest, as the strict reader asks."""
    if answers.logprobs is None:
        return True
    given = ~np.isnan(answers.logprobs[:, 0])
    logprobs = np.where(answers.offered, answers.logprobs, -np.inf)[given]
    with np.errstate(over="ignore"):
        sums = np.exp(logprobs).sum(axis=1)
    if not (np.abs(sums - 1) <= predictions.SUM).all():
        return False
    if method != predictions.LETTERS:
        return True
    choice = answers.choice[given]
    chosen = logprobs[np.arange(len(choice)), choice]
    return bool(((choice < 0) | (chosen == logprobs.max(axis=1))).all())


def read_all(paths: Sequence[Path], items: Items) -> Iterator[MemberAnswers]:
    """The answers of each file in turn; a few are read ahead, so that memory does not grow."""
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting = deque(pool.submit(read, path, items) for path in paths[:AHEAD])
        for following in [*paths[AHEAD:], *[None] * AHEAD][: len(paths)]:
            answers = waiting.popleft().result()
            if following is not None:
                waiting.append(pool.submit(read, following, items))
            yield answers
