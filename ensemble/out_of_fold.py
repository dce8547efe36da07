"""Out-of-fold predictions: what each member says of questions that its weights never trained on.

A member is all files of one name, one for each of the data files: `oof/0/gemma.jsonl` over
`data/folds/0/dev.jsonl`, `oof/1/gemma.jsonl` over `data/folds/1/dev.jsonl` and so on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import sha256
from core.records import Row
from ensemble import member_answers
from ensemble.member_answers import Items, MemberAnswers
from ensemble.member_weights import File, model_of
from eval.options import gold
from eval.predictions import IMPORTED, Bits, Data, Meta
from eval.rows import read_rows


@dataclass(frozen=True)
class OutOfFold:
    """Questions with answers, and each member's answers to them, in one order.

    `gold` [items] are published options.
    """

    rows: list[Row]
    gold: NDArray[np.int64]
    members: dict[str, MemberAnswers]
    data: list[Data]
    files: dict[str, list[File]]
    load_in: dict[str, Bits]


@dataclass(frozen=True)
class _Part:
    """One data file."""

    path: Path
    about: Data
    rows: list[Row]

    @cached_property
    def items(self) -> Items:
        options = [len(row.labels or []) for row in self.rows]
        return Items([row.record for row in self.rows], np.array(options, np.int8), self.path)


def read(paths: Sequence[Path], data: Sequence[Path], dev: bool) -> OutOfFold:
    """Members and rows; `dev` allows rows of split dev, which no member may have trained on.

    Raises `UserError` for rows of split test, rows without answers, a question or dialogue in two
    data files, a member that lacks one of them or was scored in several bits, and training
    questions that one and the same weights scored in two folds.
    """
    parts = [_part(path, dev) for path in data]
    _require_apart(parts)
    by_hash = {part.about.sha256: part for part in parts}
    files: dict[str, dict[str, tuple[Path, Meta]]] = {}
    for path in paths:
        meta = member_answers.read_meta(path)
        if "members" in (meta.model_extra or {}):
            raise UserError(f"{path}: is itself a vote; leave it out")
        if meta.method == IMPORTED:
            raise UserError(
                f"{path}: was made elsewhere, and whether on rows that it had not seen is unknown; "
                "leave it out"
            )
        if meta.data.sha256 not in by_hash:
            raise UserError(
                f"{path}: made from {meta.source}, which is none of the --data files as they are; "
                "name that file, or score anew"
            )
        own = files.setdefault(path.stem, {})
        if meta.data.sha256 in own:
            raise UserError(f"{path}: {own[meta.data.sha256][0]} scored the same file; name one")
        own[meta.data.sha256] = (path, meta)
    members: dict[str, MemberAnswers] = {}
    rows = [row for part in parts for row in part.rows]
    for name, own in files.items():
        lacking = [part.path for part in parts if part.about.sha256 not in own]
        if lacking:
            raise UserError(
                f"member {name}: no predictions of {lacking[0]}; score it with the model that did "
                "not train on it"
            )
        member_answers.require_same_bits(*zip(*own.values(), strict=True))
        _require_different(name, [own[part.about.sha256] for part in parts], rows)
        read_ = [member_answers.read(own[part.about.sha256][0], part.items) for part in parts]
        members[name] = MemberAnswers.joined(read_)
    return OutOfFold(
        rows,
        np.array([gold(row) for row in rows]),
        members,
        [part.about for part in parts],
        {
            name: [File(path=str(p), sha256=m.predictions_sha256) for p, m in own.values()]
            for name, own in files.items()
        },
        {name: next(iter(own.values()))[1].load_in for name, own in files.items()},
    )


def _part(path: Path, dev: bool) -> _Part:
    rows = read_rows(path)
    for row in rows:
        if row.split == "test":
            raise UserError(
                f"{path}, row {row.id}: is of split test, whose answers weights must not know; fit "
                "on the folds of the training questions"
            )
        if row.split == "dev" and not dev:
            raise UserError(
                f"{path}, row {row.id}: is of split dev; where no member trained on it and you do "
                "not report on it, say --dev"
            )
        if gold(row) is None:
            raise UserError(f"{path}, row {row.id}: has no answer; fit on rows that have one")
    return _Part(path, Data(path=str(path), sha256=sha256(path), rows=len(rows)), rows)


def _require_apart(parts: Sequence[_Part]) -> None:
    """Raise `UserError` where a question stands twice or a dialogue in two files."""
    seen: dict[tuple[str, str, str], Path] = {}
    groups: dict[str, Path] = {}
    for part in parts:
        for row in part.rows:
            question = (row.source, row.split, row.record)
            if question in seen:
                raise UserError(
                    f"{part.path}, row {row.id}: stands in {seen[question]} too; name each file "
                    "once, the dev.jsonl of every fold"
                )
            seen[question] = part.path
            if groups.setdefault(row.group, part.path) != part.path:
                raise UserError(
                    f"{part.path}, row {row.id}: its dialogue or passage is in "
                    f"{groups[row.group]} too; build folds that do not split it"
                )


def _require_different(name: str, scored: Sequence[tuple[Path, Meta]], rows: Sequence[Row]) -> None:
    """Raise `UserError` unless training questions were scored by other weights in each fold.

    Weights that scored all folds, or a single file of training questions, trained on some of them.
    """
    if not any(row.split == "train" for row in rows):
        return
    seen: dict[tuple[object, object], Path] = {}
    for path, meta in scored:
        key = model_of(meta)
        if key in seen:
            raise UserError(
                f"{path}: the weights that scored it scored {seen[key]} too, so they are not out "
                f"of fold for member {name}; score each fold with the model that did not train on "
                "it"
            )
        seen[key] = path
    if len(scored) < 2:
        raise UserError(
            f"{scored[0][0]}: one file of training questions, which its model may have trained on; "
            "name the predictions and the dev.jsonl of every fold"
        )
