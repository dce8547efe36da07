"""Runs to report on: prediction files with a sidecar, and the figures of a report as JSON."""

import json
import math
from pathlib import Path

from core.files import sha256
from core.jsonl import write_records
from core.records import Prediction
from eval import predictions as files
from eval import report
from eval.options import choose, gold
from tests.support.scored_rows import rows


def save_run(path: Path, data: Path, given: list[Prediction], **meta) -> Path:
    about = {"path": str(data), "sha256": sha256(data), "rows": len(given)}
    scale = {"probabilities": given[0].logprobs is not None}
    files.write(path, given, {"method": "cot", "data": about, **scale, **meta})
    return path


def reported(out: Path, data: Path, *runs: Path) -> dict:
    report.main([*map(str, runs), "--data", str(data), "--json", str(out)])
    return json.loads(out.read_text("utf-8"))


def two_runs(folder: Path) -> tuple[Path, list[Path], list[list[bool]]]:
    """Forty rows of ten dialogues, two runs with probabilities of their own, and who was right."""
    made = [
        row.model_copy(update={"group": f"g{number // 4}"}) for number, row in enumerate(rows(40))
    ]
    data = folder / "dev.jsonl"
    write_records(data, made)
    paths, right = [], []
    for name, step in (("가", 3), ("나", 5)):
        given = []
        for number, row in enumerate(made):
            picked = (gold(row) + (number % step == 0)) % 3
            logprobs = [math.log(0.8 if k == picked else 0.1) for k in range(3)]
            given.append(
                Prediction(id=row.id, order=row.order, logprobs=logprobs, choice=choose(logprobs))
            )
        paths.append(save_run(folder / f"{name}.jsonl", data, given[::-1]))
        right.append([number % step != 0 for number in range(40)])
    return data, paths, right
