"""Option orders at test time: which rows show a question in them, and how their answers combine.

prep/build.py writes the rows beside those to score, where a run asks for them: `scoring_orders`
makes test.orders.jsonl beside test.jsonl. Here no prompt is built.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from eval.options import DECIMALS, choose, option_logprobs, share_logprobs
from prep.augment.orders import each_order, shown
from prep.errors import UserError
from prep.jsonl import read_records
from prep.records import Prediction, Row

Permutations = Literal["none", "cyclic", "all"]
Combine = Literal["mean", "vote"]
ByOrder = dict[tuple[int, ...], Row]


def beside(data: Path) -> Path:
    """Where the rows of a data file in other orders stand."""
    return data.with_suffix(".orders.jsonl")


def read_orders(data: Path, rows: Sequence[Row]) -> dict[str, ByOrder]:
    """By record of `rows` and order shown, the rows beside a data file.

    Raises `UserError` where the file is missing, shows an order twice, or was not made together
    with the data.
    """
    path = beside(data)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; set scoring_orders: cyclic or all in the run and build it again"
        )
    known = {row.record: row for row in rows}
    found: dict[str, ByOrder] = {row.record: {} for row in rows}
    for row in read_records(path, Row):
        record, order = row.record, tuple(row.order or ())
        if record not in known or _origin(row) != _origin(known[record]):
            raise UserError(f"{path}, row {row.id}: {data} has no such id; build both again")
        if order in found[record]:
            raise UserError(f"{path}, row {row.id}: shows that order twice; build the file again")
        if (row.prompt, _published(row)) != (known[record].prompt, _published(known[record])):
            raise UserError(
                f"{path}, row {row.id}: another prompt or other options than in {data}; build both "
                "again"
            )
        found[record][order] = row
    return found


def in_orders(row: Row, by_order: ByOrder, kind: Literal["cyclic", "all"], path: Path) -> list[Row]:
    """A question's rows in each order of `kind`; raises `UserError` where one is missing."""
    needed = each_order(kind, len(row.labels or []))
    missing = [order for order in needed if order not in by_order]
    if missing:
        raise UserError(
            f"{path}: shows {row.id} not in the order {shown(missing[0])} ({len(missing)} of "
            f"{len(needed)} orders are missing); build it with scoring_orders: {kind}"
        )
    return [by_order[order] for order in needed]


def combined(id_: str, predictions: Sequence[Prediction], how: Combine) -> Prediction:
    """One prediction of a question from those of its rows; none of them unread counts.

    `mean` averages the log-probabilities, so that what a letter alone attracts cancels out. `vote`
    takes what most orders chose; of equals that with the greatest mean log-probability, then the
    one published first; its log-probabilities are of the smoothed shares of the votes.
    """
    order = list(range(len(predictions[0].order)))
    means = _means([one.logprobs for one in predictions if one.logprobs is not None])
    if how == "mean":
        if means is None:
            return Prediction(id=id_, order=order, logprobs=None, choice=None)
        logprobs = option_logprobs(means, order)
        return Prediction(id=id_, order=order, logprobs=logprobs, choice=choose(logprobs))
    votes = Counter(one.choice for one in predictions if one.choice is not None)
    if not votes:
        return Prediction(id=id_, order=order, logprobs=None, choice=None)
    choice = max(order, key=lambda k: (votes[k], means[k] if means else 0, -k))
    logprobs = share_logprobs(list(votes.elements()), len(order))
    return Prediction(id=id_, order=order, logprobs=logprobs, choice=choice)


def _means(logprobs: Sequence[Sequence[float]]) -> list[float] | None:
    columns: Iterable[tuple[float, ...]] = zip(*logprobs, strict=True)
    return [round(math.fsum(of) / len(of), DECIMALS) for of in columns] or None


def _origin(row: Row) -> tuple[str, str]:
    return row.source, row.split


def _published(row: Row) -> list[str] | None:
    """The options in their published order, where a row carries them."""
    if row.options is None or row.order is None:
        return None
    return [row.options[row.order.index(k)] for k in range(len(row.options))]
