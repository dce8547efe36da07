"""The benchmark for a GPU runs for real on a CPU, on a model that is small enough."""

import json
import os
import statistics
import subprocess
import sys
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from bench import gpu
from bench.calibrate import shape
from bench.workload import save_random
from core.errors import UserError
from tests.support.paths import ROOT


def run(monkeypatch, tmp_path, *more: str) -> dict:
    config = tmp_path / "config.json"
    shape(128, 1, "gemma2", 1300).to_json_file(config)
    words = ["gpu.py", "recipes/tiny/stage2.yml", "--config", str(config), "--tokens", "50"]
    words += ["--set", "micro_batch_size=2", "--out", str(tmp_path / "out"), *more]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", words)
    gpu.main()
    return json.loads((tmp_path / "out/figures.json").read_text())


def test_both_ways_are_measured(monkeypatch, tmp_path):
    figures = run(monkeypatch, tmp_path, "--steps", "3", "--gpu", "4090")
    ways = [figures["axolotl"], figures["trl"]]
    rates = [way["tokens_a_second"] for way in ways]
    assert figures["times_trl"] == pytest.approx(rates[0] / rates[1])
    assert all(0 < way["mfu"] < 0.01 and way["held_gib"] > 0 for way in ways)
    noted = [
        json.loads((tmp_path / f"out/{way}/meter.json").read_text()) for way in ("axolotl", "trl")
    ]
    assert [len(one["seconds"]) for one in noted] == [3, 3]
    # packs hold more of the same rows than batches of one row each do
    assert sum(noted[0]["tokens"]) > 2 * sum(noted[1]["tokens"])


def test_rows_are_as_long_as_asked():
    rows = gpu.rows(200, 400, 2048)
    tokenizer = AutoTokenizer.from_pretrained(gpu.TOKENIZER)
    sizes = [len(tokenizer.apply_chat_template(r["messages"], return_dict=False)) for r in rows]
    assert statistics.mean(sizes) == pytest.approx(400, rel=0.05)
    assert statistics.stdev(sizes) == pytest.approx(400 / 3, rel=0.1)
    assert max(sizes) < 2048
    assert rows == gpu.rows(200, 400, 2048)
    assert all(f"{row['answer']}. " in row["messages"][1]["content"] for row in rows)
    assert all(row["messages"][1]["content"] in row["messages"][0]["content"] for row in rows)


def test_children_may_ask_the_hub_and_help_loads_nothing(tmp_path):
    """Axolotl takes its attention kernel from the hub where flash-attn is not installed."""
    script = (
        "import os, sys; from pathlib import Path; from bench import gpu\n"
        "assert 'HF_HUB_OFFLINE' not in os.environ, 'offline'\n"
        "assert not {'torch', 'transformers', 'axolotl'} & sys.modules.keys()\n"
        "gpu.start('axolotl', Path(sys.argv[1]), ['-c', sys.argv[2]]).wait()\n"
    )
    child = (
        "import os; seen = [os.environ.get(k, 'no') for k in ('HF_HUB_OFFLINE', 'PYTHONPATH')]\n"
        "open('seen', 'w').write(' '.join(seen))"
    )
    mine = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    mine["PYTHONPATH"] = f"{ROOT}{os.pathsep}/somewhere"
    command = [sys.executable, "-c", script, str(tmp_path), child]
    done = subprocess.run(command, env=mine, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seen").read_text() == f"no {ROOT}{os.pathsep}{mine['PYTHONPATH']}"


def test_one_base_serves_several_runs_and_a_small_disk_is_refused(monkeypatch, tmp_path):
    config, base = shape(128, 1, "gemma2", 1300), tmp_path / "base"
    save_random(base, config, "float32")
    first = (base / "model.safetensors").stat().st_mtime_ns
    save_random(base, config, "float32")
    assert (base / "model.safetensors").stat().st_mtime_ns == first
    with pytest.raises(UserError, match="holds a model of another shape"):
        save_random(base, shape(128, 2, "gemma2", 1300), "float32")
    small = SimpleNamespace(free=1000)
    monkeypatch.setattr("bench.workload.shutil.disk_usage", lambda _: small)
    with pytest.raises(UserError, match=r"the weights take .* GB and 0\.0 GB are free"):
        save_random(tmp_path / "other", config, "float32")


def test_too_few_steps_are_refused(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="the first 2 are not counted"):
        run(monkeypatch, tmp_path, "--steps", "2")
