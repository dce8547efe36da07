"""Option orders at test time: which rows are asked for a question, and how answers combine."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import UserError
from core.files import sha256
from core.jsonl import read_records
from core.option_orders import each_order, shown
from core.records import Prediction, Row
from eval.methods import pride
from eval.methods.base import Answer, predict
from eval.options import DECIMALS, choose, option_logprobs, share_logprobs

Permutations = Literal["none", "cyclic", "all"]
Combine = Literal["mean", "vote"]
ByOrder = dict[tuple[int, ...], Row]


def orders_file(data: Path) -> Path:
    """Where the rows of a data file in other orders stand."""
    return data.with_suffix(".orders.jsonl")


def read_orders(data: Path, rows: Sequence[Row]) -> dict[str, ByOrder]:
    """By record of `rows` and order shown, the rows in the file of other orders.

    Raises `UserError` where the file is missing, shows an order twice, or was not made together
    with the data.
    """
    path = orders_file(data)
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


@dataclass(frozen=True)
class Plan:
    """The rows to ask: those of the data as they are, in several orders, or with rotations of some.

    `share` is that of the dialogues whose rotations PriDe looks at; `meta` describes the choice.
    """

    rows: list[Row]
    asked: list[Row]
    permutations: Permutations
    combine: Combine
    share: float | None
    meta: dict[str, Any]

    def predictions(self, answers: Sequence[Answer]) -> tuple[list[Prediction], dict[str, Any]]:
        """One prediction a row of the data, from an answer a row asked, and what else was found."""
        if self.share is not None:
            return self._debiased(answers)
        found = [predict(row, answer) for row, answer in zip(self.asked, answers, strict=True)]
        if self.permutations == "none":
            return found, {}
        of: dict[str, list[Prediction]] = {row.record: [] for row in self.rows}
        for one in found:
            of[one.id].append(one)
        return [combined(id_, each, self.combine) for id_, each in of.items()], {}

    def _debiased(self, answers: Sequence[Answer]) -> tuple[list[Prediction], dict[str, Any]]:
        scores = [answer.scores or [] for answer in answers]
        rotations: dict[str, list[list[float]]] = {}
        for row, of in zip(self.asked[len(self.rows) :], scores[len(self.rows) :], strict=True):
            rotations.setdefault(row.record, []).append(of)
        prior = pride.prior(list(rotations.values()))
        predictions = [
            predict(row, Answer(scores=pride.debiased(of, prior)))
            for row, of in zip(self.rows, scores, strict=False)
        ]
        by_size = {str(size): [round(value, 6) for value in of] for size, of in prior.items()}
        return predictions, {"pride_prior": by_size}


def plan(
    rows: list[Row],
    data: Path,
    *,
    permutations: Permutations = "none",
    combine: Combine = "mean",
    share: float | None = None,
    seed: int = 42,
) -> Plan:
    """What to ask for the rows of `data`; raises `UserError` where rows in other orders lack."""
    if permutations == "none" and share is None:
        return Plan(rows, rows, permutations, combine, share, {})
    path = orders_file(data)
    others = read_orders(data, rows)
    meta: dict[str, Any] = {"orders": {"path": str(path), "sha256": sha256(path)}}
    if permutations != "none":
        asked = [
            one for row in rows for one in in_orders(row, others[row.record], permutations, path)
        ]
        meta |= {"permutations": permutations, "combine": combine}
        meta |= {"probabilities": False} if combine == "vote" else {}
    else:
        drawn = pride.sample(rows, share or 0, seed)
        looked = [
            one for row in drawn for one in in_orders(row, others[row.record], "cyclic", path)
        ]
        asked = [*rows, *looked]
        meta["pride"] = {
            "share": share,
            "seed": seed,
            "dialogues": len({row.group for row in drawn}),
            "questions": len(drawn),
        }
    return Plan(rows, asked, permutations, combine, share, meta)
