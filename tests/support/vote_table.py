"""Members whose answers are given as a table, for the tests of what they add to a vote."""

from itertools import product
from pathlib import Path

import numpy as np

from core.files import sha256
from core.jsonl import write_records
from core.records import LABELS, Prediction, Row
from ensemble.diagnosis import labelled_answers
from eval import predictions
from eval.options import option_logprobs
from tests.support.scored_rows import rows

SURE, UNSURE = -0.1, -2.5


def independent(members: int, right_in_4: int = 3) -> np.ndarray:
    """Which members are right, (members, 4 ** members): exactly independent, each on so many of 4.

    Every combination of quarters stands there once.
    """
    quarters = np.array(list(product(range(4), repeat=members))).T
    return quarters < right_in_4


def two_options(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choices and right options of items with two options, each right on every other item."""
    gold = np.arange(right.shape[1]) % 2
    return np.where(right, gold, 1 - gold), gold


def save(folder: Path, choices: np.ndarray, gold: np.ndarray, options: int = 2) -> list[Path]:
    """Write rows (dev.jsonl), four a dialogue, and a file a member; a choice below 0 is none."""
    data = folder / "dev.jsonl"
    write_records(data, _rows(gold, options))
    return [
        save_member(folder / f"m{number}.jsonl", data, chosen, options)
        for number, chosen in enumerate(choices.tolist(), start=1)
    ]


def save_member(path: Path, data: Path, chosen: list[int], options: int = 2) -> Path:
    """Write one member's answers to the rows of `save`, equally sure of each."""
    made = [
        Prediction(
            id=f"합성-{number:03d}",
            order=list(range(options)),
            logprobs=option_logprobs(
                [SURE if option == choice else UNSURE for option in range(options)], range(options)
            ),
            choice=None if choice < 0 else choice,
        )
        for number, choice in enumerate(chosen)
    ]
    scored = {"path": str(data), "sha256": sha256(data), "rows": len(made)}
    predictions.write(path, made, {"method": "letter", "data": scored})
    return path


def read(
    folder: Path, choices: np.ndarray, gold: np.ndarray, options: int = 2
) -> labelled_answers.LabelledAnswers:
    """The answers in the files of `save`."""
    return labelled_answers.read(save(folder, choices, gold, options), folder / "dev.jsonl")


def _rows(gold: np.ndarray, options: int) -> list[Row]:
    return [
        row.model_copy(
            update={
                "group": f"g{number // 4}",
                "labels": list(LABELS[:options]),
                "options": None,
                "order": list(range(options)),
                "answer": LABELS[right],
            }
        )
        for number, (row, right) in enumerate(zip(rows(len(gold)), gold.tolist(), strict=True))
    ]
