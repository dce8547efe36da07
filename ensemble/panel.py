"""Several members' answers to the same answered rows, read and joined by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ensemble.agreement import ABSTAINED
from eval import predictions
from eval.options import gold
from prep.errors import UserError
from prep.jsonl import read_records, sha256
from prep.records import Prediction, Row


@dataclass(frozen=True)
class Panel:
    """Members, rows, and `ballots[i][m]`, what member m says of row i."""

    names: list[str]
    rows: list[Row]
    ballots: list[list[Prediction]]

    @cached_property
    def gold(self) -> np.ndarray:
        """The right published option of every row."""
        return np.array([gold(row) for row in self.rows])

    @cached_property
    def choices(self) -> np.ndarray:
        """Published options chosen, (members, rows); `ABSTAINED` where there is no answer."""
        chosen = [
            [ABSTAINED if ballot.choice is None else ballot.choice for ballot in of_row]
            for of_row in self.ballots
        ]
        return np.array(chosen).T

    @cached_property
    def right(self) -> np.ndarray:
        """Whether a member has a row right, (members, rows); an abstention is wrong."""
        return self.choices == self.gold

    @property
    def options(self) -> int:
        """The most options that a row offers."""
        return max(len(row.labels or ()) for row in self.rows)


def read(paths: Sequence[Path], data: Path, mixed: bool = False) -> Panel:
    """The members' predictions for the rows of `data`.

    Raises `UserError` where a row has no answer, where fewer than two files are named or one is
    named twice, where a file does not cover exactly the rows, with as many options, and, unless
    `mixed`, where one was made from other data than `data` or with other permutations.
    """
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise UserError("diagnosing needs two or more different prediction files; name each once")
    rows = read_records(data, Row)
    if not rows:
        raise UserError(f"{data}: has no rows; diagnose on a file of answered rows, such as dev")
    for row in rows:
        if row.answer is None:
            raise UserError(
                f"{data}, id {row.id}: has no answer; diagnose on a file of answered rows"
            )
    ids, members, metas = [row.id for row in rows], [], []
    for path in paths:
        ballots, meta = predictions.read(path)
        predictions.require_same_ids(path, ballots, ids, data)
        for row in rows:
            if len(ballots[row.id].order) != len(row.order):
                raise UserError(
                    f"{path}, id {row.id}: {len(ballots[row.id].order)} options, but {data} has "
                    f"{len(row.order)}; score that file again"
                )
        members.append([ballots[id_] for id_ in ids])
        metas.append((path, meta))
    if not mixed:
        predictions.require_comparable(metas)
        if metas[0][1].data.sha256 != sha256(data):
            raise UserError(
                f"{paths[0]}: made from another file than {data} ({metas[0][1].source}); "
                "score that file, or diagnose members of different preparations with --mixed"
            )
    return Panel(_names(paths), rows, list(map(list, zip(*members, strict=True))))


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' stems, or, where two share one, their paths without the ending."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    return [str(path.with_suffix("")) for path in paths]
