"""Which rows are asked for a file's questions, and how their answers become predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.methods import pride
from eval.methods.base import Answer, predict
from eval.methods.orders import Combine, Permutations, beside, combined, in_orders, read_orders
from prep.jsonl import sha256
from prep.records import Prediction, Row


@dataclass(frozen=True)
class Plan:
    """The rows to ask: those of the data as they are, in several orders, or with rotations of some.

    `share` is that of the dialogues whose rotations PriDe looks at; `meta` tells of the choice.
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
        told = {str(size): [round(value, 6) for value in of] for size, of in prior.items()}
        return predictions, {"pride_prior": told}


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
    path = beside(data)
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
