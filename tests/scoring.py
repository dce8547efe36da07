"""Rows and prediction files for the tests of `eval/` and `ensemble/`."""

import random
from pathlib import Path

from eval import predictions
from eval.options import choose, option_logprobs
from prep.jsonl import sha256, write_records
from prep.records import CATEGORIES, Message, Prediction, Row

WORDS = "산책 우산 감기 등산 도시락 도서관 시험 여행 기차 커피".split()


def rows(count: int, answered: bool = True, seed: int = 0) -> list[Row]:
    """Scoring rows of different lengths with three options in random order."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        talk = "".join(
            f"{1 + turn % 2}: 어제 {rng.choice(WORDS)} 때문에 {rng.choice(WORDS)}에 갔어.\n"
            for turn in range(rng.randrange(2, 9))
        )
        options = "".join(f"{label}. {rng.choice(WORDS)}\n" for label in "ABC")
        made.append(
            Row(
                id=f"합성-{number:03d}",
                source="test",
                split="test",
                group=f"g{number}",
                category=CATEGORIES[number % len(CATEGORIES)],
                prompt="test@1",
                messages=[Message(role="user", content=f"{talk}보기\n{options}")],
                labels=["A", "B", "C"],
                order=rng.sample(range(3), 3),
                answer=rng.choice("ABC") if answered else None,
            )
        )
    return made


def save_rows(path: Path, count: int, answered: bool = True, seed: int = 0) -> list[Row]:
    """Write rows as the file to score."""
    made = rows(count, answered, seed)
    write_records(path, made)
    return made


def save_predictions(path: Path, data: Path, logprobs: dict[str, list[float]]) -> Path:
    """Write predictions with a sidecar, as a scoring of `data` would: normalised over the options.

    `logprobs` may have any common offset.
    """
    made = []
    for id_, values in logprobs.items():
        order = list(range(len(values)))
        normal = option_logprobs(values, order)
        made.append(Prediction(id=id_, order=order, logprobs=normal, choice=choose(normal)))
    meta = {
        "method": "letter-logprob",
        "data": {"path": str(data), "sha256": sha256(data), "rows": len(made)},
        "letter_mass": {"mean": 0.9, "min": 0.5, "below_half": 0.0},
    }
    predictions.write(path, made, meta)
    return path
