"""Several members' answers to the same answered rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from core.errors import UserError
from core.files import sha256
from core.jsonl import read_records
from core.records import Row
from ensemble.diagnosis.vote_statistics import count_votes, lead
from ensemble.member_answers import Items, MemberAnswers, read_all, read_members
from ensemble.rules import RULES, Tally
from eval.options import gold
from eval.predictions import meta_path, names
from eval.rows import require_once


@dataclass(frozen=True)
class LabelledAnswers:
    """Rows, how many options each offers, and members' names and answers to them in one order."""

    rows: list[Row]
    options: NDArray[np.int8]
    names: list[str]
    answers: list[MemberAnswers]

    @cached_property
    def gold(self) -> NDArray[np.int8]:
        """The right published option of every row."""
        return np.array([gold(row) for row in self.rows], dtype=np.int8)

    @cached_property
    def choices(self) -> NDArray[np.int8]:
        """Published options chosen, (members, rows); -1 where a member abstains."""
        return np.stack([answers.choice for answers in self.answers])

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether a member has a row right, (members, rows); an abstention is wrong."""
        return self.choices == self.gold

    @cached_property
    def elected(self) -> NDArray[np.int8]:
        """What the members elect by the hard vote, (rows,); -1 where none of them answers."""
        return elect(self.answers)

    @cached_property
    def elected_without_each(self) -> NDArray[np.int8]:
        """What the others elect without each member, (members, rows).

        One vote less cannot change what leads by two votes or more, so only the close rows are
        voted on again.
        """
        found = np.tile(self.elected, (len(self.names), 1))
        close = np.flatnonzero(lead(count_votes(self.choices, self.options.max())) < 2)
        if close.size:
            parts = [answers.part(close) for answers in self.answers]
            for member in range(len(parts)):
                found[member, close] = elect(parts[:member] + parts[member + 1 :])
        return found


def elect(answers: Sequence[MemberAnswers]) -> NDArray[np.int8]:
    """What members elect by the hard vote, (items,); -1 where none of them answers."""
    tally = Tally(RULES["hard"], answers[0].options)
    for member in answers:
        tally.add(member)
    return tally.decide().choice


def read(paths: Sequence[Path], data: Path, mixed: bool = False) -> LabelledAnswers:
    """The members' answers to the rows of `data`.

    Raises `UserError` where a row has no answer, where fewer than two files are named, where they
    must not vote together (`ensemble.member_answers.read_members`) or do not cover exactly the
    rows, and, unless `mixed`, where they were made from another file than `data`.
    """
    if len(paths) < 2:
        meta_path(paths[0])  # which says what to name where it is a folder
        raise UserError(f"{paths[0]}: is the only member; name two or more")
    rows = read_records(data, Row)
    blind = next((row.id for row in rows if row.answer is None), None)
    if blind is not None or not rows:
        what = f"{data}, id {blind}: has no answer" if rows else f"{data}: has no rows"
        raise UserError(f"{what}; diagnose on rows with answers, such as those of dev")
    metas = read_members(paths, mixed)
    if not mixed and metas[0].data.sha256 != sha256(data):
        raise UserError(
            f"{paths[0]}: not made from {data} as it is now ({metas[0].source}); score that file, "
            "or say --mixed where both hold the same questions"
        )
    require_once(rows, data)
    options = np.array([len(row.order or ()) for row in rows], dtype=np.int8)
    items = Items([row.record for row in rows], options, data)
    console = Console(stderr=True)
    answers = track(
        read_all(paths, items),
        total=len(paths),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    return LabelledAnswers(rows, options, names(paths), list(answers))
