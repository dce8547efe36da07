"""Rows and a model taught to reason on them in JSON: what it must say, right or wrong."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.jsonl import write_json
from core.records import LABELS, Row
from prep.demo.synthetic import corpus, unmarked
from tests.support.paths import ROOT

COUNT, SAMPLES = 6, 9
# questions by their place: whose taught answer is wrong, in JSON and as text
WRONG, WRONG_AS_TEXT = (1, 4), (2,)
# shown in another order they get another answer: twice the same one, or each time a new one
MOVED, TORN = 0, 3
DOUBTFUL = 5  # taught a second reply, half as often as the first
SILENT = 0  # as text
NONE = "잘 모르겠습니다."


def reply(row: Row, option: int, reasoning: str | None = None) -> str:
    """JSON that answers with a published option, the reference utterance quoted as the reason."""
    said = row.messages[-1].content.partition("[Reference]\n")[2].partition("\n")[0]
    answer = {
        "reasoning": reasoning or f'참조 발화에서 "{said.partition(": ")[2]}"라고 했다.',
        "answer": LABELS[row.order.index(option)],
    }
    return json.dumps(answer, ensure_ascii=False)


@dataclass(frozen=True)
class Place:
    """A folder with rows and a model taught on them, and what it must say, by published option.

    `replies` are those to the questions in the data's order, in as many `tokens`.
    """

    folder: Path
    ids: list[str]
    gold: list[int]
    cot: list[int]
    text: list[int | None]
    voted: list[int]
    replies: list[str]
    tokens: list[int]

    def jobs(self, engine: str) -> dict[str, list[str]]:
        """The arguments of score.py by the name of the predictions."""
        cot, drawn = ["--method", "cot"], ["--samples", str(SAMPLES), "--temperature", "1"]
        found = {
            "cot": cot,
            "cut": [*cot, "--max-tokens", str(min(self.tokens))],
            "short": [*cot, "--max-tokens", str(max(self.tokens))],
            "drawn": ["--method", "self-consistency", *drawn],
            "orders": [*cot, "--permutations", "cyclic"],
            "text": ["--method", "greedy"],
        }
        model = ["--model", str(self.folder / "model"), "--backend", engine]
        return {
            name: [
                *model,
                "--data",
                str(self.data(name)),
                "--out",
                str(self.out(engine, name)),
                *of,
            ]
            for name, of in found.items()
        }

    def data(self, name: str) -> Path:
        return self.folder / ("text" if name == "text" else "reasoning") / "test.jsonl"

    def out(self, engine: str, name: str) -> Path:
        return self.folder / engine / f"{name}.jsonl"


def build(folder: Path) -> None:
    """Rows in the prompt that asks for JSON, and in one that does not, as prep makes them."""
    write_json(folder / "train.json", unmarked(corpus("train", 1, 1)))
    asked = {
        "inputs": str(folder),
        "corpus": {name: str(folder / f"{name}.json") for name in ("train", "test")},
        "test_answers": "keep",
        "scoring_orders": "cyclic",
        "stages": {"stage2": [{"source": "cci-2024"}]},
    }
    prompts = {"reasoning": "reasoning", "text": "reference"}
    runs = {run: {**asked, "prompt": name} for run, name in prompts.items()}
    (folder / "params.yaml").write_text(yaml.safe_dump({"runs": runs}), encoding="utf-8")
    for run in runs:
        params = folder / "params.yaml"
        command("prep/build.py", "--params", params, "--run", run, "--out", folder / run)


def command(*arguments: Any, code: int = 0) -> str:
    """Run an entry script as a person does; what it printed, or, where it fails, its one line."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout
