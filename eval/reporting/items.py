"""The items that can be looked through, those most runs got wrong first."""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.reporting.runs import Run, Scored
from prep.records import Question, Row


@dataclass(frozen=True)
class Answer:
    """What one run says of an item; `probabilities` by published option."""

    run: Run
    choice: int | None
    right: bool
    probabilities: list[float] | None


@dataclass(frozen=True)
class Item:
    """One row with its question, if that is known, and every run's answer."""

    row: Row
    question: Question | None
    gold: int
    answers: list[Answer]

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


def items(scored: Scored, questions: Mapping[str, Question]) -> list[Item]:
    """All items: by how many runs got them wrong, then those they disagree on, then as scored."""
    right = [scored.right(run) for run in scored.runs]
    found = [
        Item(
            row,
            questions.get(row.record),
            scored.golds[number],
            [
                Answer(run, run.predictions[number].choice, hits[number], run.probabilities[number])
                for run, hits in zip(scored.runs, right, strict=True)
            ],
        )
        for number, row in enumerate(scored.rows)
    ]
    return sorted(found, key=lambda one: (-len(one.wrong), not one.disagree))
