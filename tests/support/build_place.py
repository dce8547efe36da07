"""A folder in which prep/build.py runs: a small corpus, two chat sets and a params file."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from core.jsonl import read_records
from core.records import Row
from tests.support.paths import ROOT

TOPICS = ("마당에 심은 감나무", "새로 산 만년필", "어제 본 연극", "고장 난 시계", "이웃집 강아지")
SAID = (
    "요즘 {0} 이야기를 자주 하시네요. 무슨 일이 있었나요?",
    "네, {0} 덕분에 아침마다 일찍 일어나게 되었거든요. {1}번이나 들여다보곤 해요.",
    "저도 {0} 하나쯤 있으면 좋겠어요. 다음에 꼭 보여 주세요.",
)


def item(split: str, number: int, topic: str, output: str = "inference_2") -> dict[str, Any]:
    """A question on a dialogue of its own; no two topics are near one another."""
    stem = f"MADE-{split}-{number}.1"
    turns = [
        {
            "speaker": 1 + k % 2,
            "utterance": text.format(topic, number),
            "utterance_id": f"{stem}.{k}",
        }
        for k, text in enumerate(SAID)
    ]
    return {
        "id": f"{split}-{number}",
        "input": {
            "conversation": turns,
            "reference_id": [f"{stem}.1"],
            "category": ("원인", "전제", "동기", "반응", "후행사건")[number % 5],
            "inference_1": "화자1은 잠이 많다.",
            "inference_2": f"화자2는 {topic}에 마음이 간다.",
            "inference_3": "두 사람은 처음 만났다.",
        },
        "output": output,
    }


def dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


class Place:
    """A folder with a corpus, two chat sets and a params file, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "data/cci"
        corpus = {name: f"corpus/{name}.json" for name in ("train", "dev", "test")}
        train = [item("train", k, topic) for k, topic in enumerate(TOPICS)]
        train[1]["input"]["conversation"][0]["utterance"] = 12
        dump(folder / corpus["train"], [*train, item("train", 5, "낡은 우산", output="")])
        dump(folder / corpus["dev"], [item("dev", 6, TOPICS[2]), item("dev", 7, "긴 목도리", "")])
        dump(folder / corpus["test"], [item("test", k, f"{k}층 도서관 창가 자리") for k in (8, 9)])
        pairs = [
            {"instruction": f"{k}을 한글로 쓰세요.", "output": k} for k in ("일", "이", "일", "")
        ]
        dump(folder / "external/pairs.json", pairs)
        said = [{"from": "human", "value": "안녕?"}, {"from": "gpt", "value": "네, 안녕하세요."}]
        dump(folder / "external/talks.jsonl", {"conversations": said})
        self.run = {
            "corpus": corpus,
            "inputs": ".",
            "prompt": "reference",
            "orders": "all",
            "stages": {
                "stage1": [
                    {"source": "messages", "name": "talks", "path": "external/talks.jsonl"},
                    {"source": "alpaca", "name": "pairs", "path": "external/pairs.json"},
                ],
                "stage2": [{"source": "cci-2024"}],
            },
        }

    def build(self, *arguments: str, code: int = 0, **changes: Any) -> str:
        """Run the command and give what it printed; `changes` go into the run's entry."""
        run = {**self.run, **changes}
        (self.folder / "params.yaml").write_text(yaml.safe_dump({"runs": {"cci": run}}))
        command = [sys.executable, str(ROOT / "prep/build.py"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        if code:
            assert done.stderr.startswith("error: ")
            assert done.stderr.count("\n") == 1
        return done.stderr if code else done.stdout

    def files(self) -> dict[str, str]:
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.out.iterdir())
        }

    def rows(self, name: str) -> list[Row]:
        return read_records(self.out / name, Row)
