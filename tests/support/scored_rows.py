"""Rows and prediction files for the tests of `eval/` and `ensemble/`."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from core.files import sha256
from core.jsonl import read_json, write_json, write_records
from core.option_orders import each_order, shown
from core.records import CATEGORIES, LABELS, Message, Prediction, Row
from eval import predictions
from eval.answer_tokens import Tokenizer
from eval.engines.interface import Engine
from eval.methods.base import predict
from eval.methods.likelihood import Letter
from eval.methods.permutations import orders_file
from eval.options import choose, option_logprobs

WORDS = "산책 우산 감기 등산 도시락 도서관 시험 여행 기차 커피".split()


def listed(options: Sequence[str]) -> str:
    """Options as a prompt shows them."""
    return "".join(f"{label}. {text}\n" for label, text in zip(LABELS, options, strict=False))


def rows(count: int, answered: bool = True, seed: int = 0) -> list[Row]:
    """Scoring rows of different lengths with three options in random order."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        talk = "".join(
            f"{1 + turn % 2}: 어제 {rng.choice(WORDS)} 때문에 {rng.choice(WORDS)}에 갔어.\n"
            for turn in range(rng.randrange(2, 9))
        )
        options = [rng.choice(WORDS) for _ in "ABC"]
        made.append(
            Row(
                id=f"합성-{number:03d}",
                record=f"합성-{number:03d}",
                source="test",
                split="test",
                group=f"g{number}",
                category=CATEGORIES[number % len(CATEGORIES)],
                prompt="test@1",
                messages=[Message(role="user", content=f"{talk}보기\n{listed(options)}")],
                labels=["A", "B", "C"],
                order=rng.sample(range(3), 3),
                options=options,
                answer=rng.choice("ABC") if answered else None,
            )
        )
    return made


def save_rows(path: Path, count: int, answered: bool = True, seed: int = 0) -> list[Row]:
    """Write rows as the file to score."""
    made = rows(count, answered, seed)
    write_records(path, made)
    return made


def save_orders(data: Path, made: Sequence[Row], kind: Literal["cyclic", "all"]) -> list[Row]:
    """Write, next to a data file, its rows in other orders, as prep does."""
    permuted = []
    for row in made:
        published = [row.options[row.order.index(k)] for k in range(len(row.options))]
        talk = row.messages[0].content.removesuffix(listed(row.options))
        for order in each_order(kind, len(published)):
            options = [published[k] for k in order]
            changed = {
                "id": f"{row.id}~{shown(order)}",
                "messages": [Message(role="user", content=talk + listed(options))],
                "order": list(order),
                "options": options,
                "answer": None,
            }
            permuted.append(row.model_copy(update=changed))
    write_records(orders_file(data), permuted)
    return permuted


def by_letter(engine: Engine, tokenizer: Tokenizer, made: Sequence[Row]) -> tuple[dict, float]:
    """The choices of rows by record, and their mean letter mass, as eval/score.py finds them."""
    method = Letter()
    asked = [method.ask(tokenizer, row) for row in made]
    answers = method.answers(engine, tokenizer, asked)
    choices = {
        row.record: predict(row, answer).choice for row, answer in zip(made, answers, strict=True)
    }
    return choices, method.found(answers)["letter_mass"]["mean"]


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
        "method": "letter",
        "probabilities": True,
        "data": {"path": str(data), "sha256": sha256(data), "rows": len(made)},
        "letter_mass": {"mean": 0.9, "min": 0.5, "below_half": 0.0},
    }
    predictions.write(path, made, meta)
    return path


def in_bits(path: Path, bits: str | None) -> Path:
    """Let a prediction file be one of weights loaded in other bits."""
    sidecar = path.with_suffix(".meta.json")
    write_json(sidecar, read_json(sidecar) | {"load_in": bits})
    return path
