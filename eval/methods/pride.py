"""PriDe: what the letters attract by themselves, estimated once and taken from every row.

Zheng et al. (2024), arXiv 2309.03882. A model's log-probability of a letter is taken to be that of
the option shown there plus that of the letter. Over the rotations of a question every option meets
every letter, so that the mean by letter is the letter's alone, up to a constant. Answers are never
looked at.
"""

import math
from collections.abc import Sequence

from core.records import Row, draw
from eval.options import log_sum

Scores = Sequence[float]
Prior = dict[int, list[float]]  # by number of options, the log-probability (nats) of each letter


def sample(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """The rows of a drawn share of the dialogues, rounded up.

    Dialogues are taken in a drawn order, those beyond the share only where they hold rows of a
    number of options that is missing yet. Which they are depends on the seed and their names alone.
    """
    sizes: dict[str, set[int]] = {}
    for row in rows:
        sizes.setdefault(row.group, set()).add(len(row.labels or []))
    missing = set().union(*sizes.values())
    taken: set[str] = set()
    for group in sorted(sizes, key=lambda group: (draw(seed, "pride", group), group)):
        if len(taken) < share * len(sizes) or sizes[group] & missing:
            taken.add(group)
            missing -= sizes[group]
    return [row for row in rows if row.group in taken]


def prior_of(rotations: Sequence[Scores]) -> list[float]:
    """The letters' log-probabilities (nats) by one question.

    `rotations` are its scores (nats) by letter, one a rotation of the options; what is common to
    a rotation's scores does not matter.
    """
    means = [math.fsum(column) / len(column) for column in zip(*rotations, strict=True)]
    total = log_sum(means)
    return [mean - total for mean in means]


def prior(questions: Sequence[Sequence[Scores]]) -> Prior:
    """The mean of the questions' letter probabilities, by number of options, as its logarithm."""
    found: dict[int, list[list[float]]] = {}
    for rotations in questions:
        found.setdefault(len(rotations[0]), []).append(prior_of(rotations))
    return {
        size: [log_sum(column) - math.log(len(of)) for column in zip(*of, strict=True)]
        for size, of in sorted(found.items())
    }


def debiased(scores: Scores, letters: Prior) -> list[float]:
    """A row's scores (nats) by letter, the letters' own log-probabilities subtracted."""
    return [value - of for value, of in zip(scores, letters[len(scores)], strict=True)]
