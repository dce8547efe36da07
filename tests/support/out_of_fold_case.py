"""Out-of-fold predictions in a folder, for the tests of ensemble/fit.py."""

import math
import random
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import sha256
from core.jsonl import write_records
from core.records import Prediction, Row
from ensemble import fit, member_weights
from eval import predictions
from eval.options import gold
from tests.support.scored_rows import rows

FOLDS = 4


class Study:
    """Questions in folds, members of known skill, and a test file, in a folder."""

    def __init__(self, folder: Path, questions: int = 240) -> None:
        self.folder = folder
        made = rows(questions)
        self.rows = [
            row.model_copy(update={"split": "train", "group": f"g{n // 3}"})
            for n, row in enumerate(made)
        ]
        self.data = [folder / f"folds/{fold}/dev.jsonl" for fold in range(FOLDS)]
        self.write()

    def fold(self, number: int) -> list[Row]:
        return [row for n, row in enumerate(self.rows) if n // 3 % FOLDS == number]

    def write(self) -> None:
        for number, path in enumerate(self.data):
            write_records(path, self.fold(number))

    def member(self, name: str, skill: float, same: bool = False, **only: float) -> list[Path]:
        """Out-of-fold files of a member that is right with this probability, or by category."""
        files = []
        for number, data in enumerate(self.data):
            rng = random.Random(f"{name}{number}")
            made = []
            for row in self.fold(number):
                right = rng.random() < only.get(row.category, skill)
                picked = gold(row) if right else (gold(row) + rng.choice((1, 2))) % 3
                logprobs = [math.log(0.15)] * 3
                logprobs[picked] = math.log(0.7)
                made.append(
                    Prediction(id=row.id, order=row.order, logprobs=logprobs, choice=picked)
                )
            path = self.folder / f"oof/{number}/{name}.jsonl"
            self.save(path, made, data, f"{name}{'' if same else number}")
            files.append(path)
        return files

    def save(self, path: Path, made: list[Prediction], data: Path, model: str) -> None:
        about = {"path": str(data), "sha256": sha256(data), "rows": len(made)}
        meta = {"method": "letter", "weights_sha256": model, "data": about}
        predictions.write(path, made, meta)

    def fit(self, rule: str, *files: Path, more: tuple[str, ...] = ()) -> member_weights.Weights:
        out = self.folder / "weights.json"
        data = ["--data", *map(str, self.data)]
        fit.main([*map(str, files), *data, "--rule", rule, "--out", str(out), *more])
        return member_weights.read(out)

    def refused(self, match: str, *files: Path, rule: str = "weighted") -> None:
        with pytest.raises(UserError, match=match):
            self.fit(rule, *files)
        assert not list(self.folder.glob("*weights.json*"))
