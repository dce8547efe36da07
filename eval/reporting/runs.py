"""What a report reads: rows with answers, the runs that predicted them, and their questions.

The items that can be looked through stand first where most runs got them wrong.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from core.errors import UserError
from core.files import sha256
from core.jsonl import read_records
from core.records import Prediction, Question, Row
from eval.metrics.accuracy import Accuracies, chance, wilson
from eval.options import gold
from eval.predictions import Meta, join, names, read, require_comparable
from eval.rows import read_rows


@dataclass(frozen=True)
class ScoredRun:
    """One prediction file; `predictions` stand in the order of the scored rows.

    `lettered`: it saw these very rows and no other orders, so that an option has one letter.
    """

    name: str
    meta: Meta
    result: Accuracies
    predictions: list[Prediction]
    lettered: bool

    @cached_property
    def probabilities(self) -> list[list[float] | None]:
        """Of each row, by published option; None where the method yields none."""
        if not self.meta.probabilities:
            return [None] * len(self.predictions)
        return [
            one.logprobs and [math.exp(value) for value in one.logprobs] for one in self.predictions
        ]


@dataclass(frozen=True)
class ScoredRows:
    """The rows that have an answer, and every run's predictions of them."""

    rows: list[Row]
    runs: list[ScoredRun]

    @cached_property
    def golds(self) -> list[int]:
        """The published index of each row's right option."""
        return [gold(row) for row in self.rows]

    @cached_property
    def above_chance(self) -> list[int]:
        """The places of the runs that are better than guessing: Wilson's interval is above it."""
        blind = chance(self.rows)
        scores = [run.result.all for run in self.runs]
        return [k for k, one in enumerate(scores) if wilson(one.correct, one.n)[0] > blind]

    def right(self, run: ScoredRun) -> list[bool]:
        """Whether the run chose each row's right option; no answer is wrong."""
        pairs = zip(run.predictions, self.golds, strict=True)
        return [one.choice == answer for one, answer in pairs]

    def shown(self, run: ScoredRun) -> list[str | None]:
        """The label under which each row showed the option that the run chose."""
        return [
            None if one.choice is None else row.labels[row.order.index(one.choice)]
            for row, one in zip(self.rows, run.predictions, strict=True)
        ]


def load(paths: Sequence[Path], data: Path, mixed: bool = False) -> ScoredRows:
    """Rows and runs; raises `UserError` unless each file predicts these very questions.

    Runs that saw them in another prompt, cleaning or order are refused too, unless `mixed`.
    """
    rows = read_rows(data)
    answered = [row for row in rows if row.answer is not None]
    if not answered:
        raise UserError(f"{data}: no row has an answer; report on a file with answers")
    digest, runs = sha256(data), []
    for name, path in zip(names(paths), paths, strict=True):
        predictions, meta = read(path)
        choices = join(path, predictions, rows, data)
        same = meta.data.sha256 == digest
        if not same and not mixed:
            raise UserError(
                f"{path}: made from an earlier {data}, or from other data ({meta.source}); score "
                "that file again, or compare them none the less by --mixed"
            )
        result = Accuracies.of(name, rows, choices, meta.letter_mass)
        lettered = same and meta.permutations == "none"
        runs.append(
            ScoredRun(name, meta, result, [predictions[row.record] for row in answered], lettered)
        )
    if not mixed:
        require_comparable([(path, run.meta) for path, run in zip(paths, runs, strict=True)])
    return ScoredRows(answered, runs)


def questions_of(rows: Sequence[Row], path: Path) -> dict[str, Question]:
    """The question of each row by record id, from the file that prep writes next to the rows.

    Raises `UserError` where one is missing, or is not the question that the row was made of.
    """
    known = {(one.source, one.split, one.id): one for one in read_records(path, Question)}
    found = {}
    for row in rows:
        question = known.get((row.source, row.split, row.record))
        if question is None:
            raise UserError(
                f"{path}: no question for row {row.id} ({row.source}/{row.split}); build the rows "
                "again, or name the file that was written with them"
            )
        other = question.answer is not None and question.answer != gold(row)
        if other or len(question.options) != len(row.labels or []):
            raise UserError(
                f"{path}: question {row.id} has other options or another answer than its row; "
                "build the rows again"
            )
        found[row.record] = question
    return found


@dataclass(frozen=True)
class RunAnswer:
    """What one run says of an item; `probabilities` by published option."""

    run: ScoredRun
    choice: int | None
    right: bool
    probabilities: list[float] | None


@dataclass(frozen=True)
class ItemView:
    """One row with its question, if that is known, and every run's answer."""

    row: Row
    question: Question | None
    gold: int
    answers: list[RunAnswer]

    @property
    def wrong(self) -> list[int]:
        """The places of the runs that got it wrong."""
        return [place for place, one in enumerate(self.answers) if not one.right]

    @property
    def disagree(self) -> bool:
        """Whether two runs chose different options."""
        return len({one.choice for one in self.answers}) > 1

    @property
    def unanswered(self) -> bool:
        """Whether a run gave no answer."""
        return any(one.choice is None for one in self.answers)

    @property
    def options(self) -> list[tuple[int, str, str]]:
        """Published index, label and text in the order shown; no text where it is unknown."""
        texts = self.question.options if self.question else [""] * len(self.row.labels)
        return [
            (k, label, texts[k]) for label, k in zip(self.row.labels, self.row.order, strict=True)
        ]


def items(scored: ScoredRows, questions: Mapping[str, Question]) -> list[ItemView]:
    """All items: by how many runs got them wrong, then those they disagree on, then as scored.

    A run that cannot be told from guessing, as a base before its training, is not counted: what
    it has wrong says nothing of the item. Where all are such, all are.
    """
    right = [scored.right(run) for run in scored.runs]
    counted = set(scored.above_chance) or set(range(len(scored.runs)))
    found = [
        ItemView(
            row,
            questions.get(row.record),
            scored.golds[number],
            [
                RunAnswer(
                    run, run.predictions[number].choice, hits[number], run.probabilities[number]
                )
                for run, hits in zip(scored.runs, right, strict=True)
            ],
        )
        for number, row in enumerate(scored.rows)
    ]
    return sorted(found, key=lambda one: (-len(counted.intersection(one.wrong)), not one.disagree))
