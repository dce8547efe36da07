"""A vote in a folder, for the tests of ensemble/vote.py: a test file and members over it."""

import json
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import sha256
from core.jsonl import write_json
from core.records import Prediction
from ensemble import vote
from eval import predictions
from tests.support.scored_rows import save_predictions, save_rows


class Case:
    """A test file of five items and prediction files over it, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = save_rows(folder / "test.jsonl", 5, answered=False)
        self.ids = [row.id for row in self.rows]
        self.items = [
            {
                "id": id_,
                "input": {
                    "conversation": [
                        {"speaker": 1, "utterance": "비가 온다", "utterance_id": "d.1"}
                    ],
                    "reference_id": ["d.1"],
                    "category": "원인",
                    "inference_2": "둘째",
                    "inference_1": "첫째",
                    "inference_3": "셋째",
                },
                "output": "",
            }
            for id_ in self.ids
        ]
        self.test = folder / "official.json"
        self.write_test()
        self.out = folder / "submission.json"

    def write_test(self) -> None:
        text = json.dumps(self.items, ensure_ascii=False, indent=4)
        self.test.write_text(text, encoding="utf-8")

    def scored(self, name: str, choices: str, data: str = "test.jsonl") -> Path:
        logprobs = {}
        for id_, choice in zip(self.ids, choices, strict=True):
            logprobs[id_] = [-2.0, -2.0, -2.0]
            logprobs[id_][int(choice)] = -0.5
        return save_predictions(self.folder / name, self.folder / data, logprobs)

    def plain(self, name: str, choices: str) -> Path:
        """Predictions without log-probabilities; "-" is an answer that could not be read."""
        made = [
            Prediction(id=id_, order=[0, 1, 2], logprobs=None, choice=None if c == "-" else int(c))
            for id_, c in zip(self.ids, choices, strict=True)
        ]
        data = self.folder / "test.jsonl"
        about = {"path": str(data), "sha256": sha256(data), "rows": len(made)}
        predictions.write(self.folder / name, made, {"method": "greedy-text", "data": about})
        return self.folder / name

    def weights(self, rule: str = "weighted", **weights: float) -> tuple[str, str]:
        write_json(self.folder / "w.json", {"rule": rule, "weights": weights})
        return "--weights", str(self.folder / "w.json")

    def vote(self, *paths: Path, more: tuple[str, ...] = ()) -> list[str]:
        vote.main([*map(str, paths), "--test", str(self.test), "--out", str(self.out), *more])
        return [item["output"] for item in json.loads(self.out.read_text(encoding="utf-8"))]

    def refused(self, match: str, *paths: Path, more: tuple[str, ...] = ()) -> None:
        self.out.write_text("earlier")
        with pytest.raises(UserError, match=match):
            self.vote(*paths, more=more)
        assert self.out.read_text() == "earlier"
        assert not list(self.folder.glob(".*"))
