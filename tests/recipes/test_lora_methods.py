"""Axolotl's keys for rsLoRA, DoRA and LoRA+ change the training, and what they train merges."""

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from recipes import combine
from recipes.export import main
from recipes.weights.lora import WEIGHTS, read_adapter
from recipes.weights.merging import merge
from tests.support.paths import ROOT

SCRIPT = ROOT / "tests/support/train_lora_methods.py"
RATE = 1e-3  # of recipes/tiny/stage1.yml


@pytest.fixture(scope="module")
def trained(workplace, run):
    """The folder of the adapters, by method."""
    done = run("-c", SCRIPT.read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stderr[-3000:]
    return workplace / "outputs/methods"


def groups(folder: Path) -> list[dict]:
    """The optimizer's groups with parameters, at the end of a run."""
    state = torch.load(folder / "checkpoint-2/optimizer.pt", weights_only=True)
    return [group for group in state["param_groups"] if group["params"]]


@pytest.mark.parametrize(
    ("method", "rslora", "dora", "scale"),
    [
        ("lora", False, False, 32 / 16),
        ("rslora", True, False, 8 / 4**0.5),
        ("dora", False, True, 32 / 16),
        ("loraplus", False, False, 32 / 16),
    ],
)
def test_the_method_is_in_the_adapter(trained, method, rslora, dora, scale):
    adapter = read_adapter(trained / method)
    assert (adapter.config.use_rslora, adapter.config.use_dora) == (rslora, dora)
    assert len(adapter.modules) == 14
    assert len(adapter.magnitudes) == 14 * dora
    for module in adapter.modules:
        down, up = adapter.pair(module)
        assert adapter.scale(module, len(down)) == scale
        assert up.abs().max() > 0  # it starts at zero


def test_dora_learns_its_magnitudes(trained, workplace):
    base = load_file(workplace / "recipes/tiny/base/model.safetensors")
    learnt = load_file(trained / "dora" / WEIGHTS)
    for module in read_adapter(trained / "dora").modules:
        start = base[f"{module}.weight"].norm(dim=1)
        now = learnt[f"base_model.model.{module}.lora_magnitude_vector"]
        assert 0 < (now - start).abs().max() < 3 * RATE


def test_loraplus_gives_b_a_faster_rate_and_no_weight_decay(trained):
    assert [group["lr"] for group in groups(trained / "lora")] == [RATE]
    plus = groups(trained / "loraplus")
    assert sorted(group["lr"] for group in plus) == [RATE, 16 * RATE]
    # the run asked for 0.1: PEFT's optimizer for LoRA+ takes another name for it, which Axolotl
    # does not say
    assert {group["weight_decay"] for group in plus} == {0.0}
    # the first steps of Adam are as long as the rate, so B moves 16 times as far
    lora, fast = (read_adapter(trained / name) for name in ("lora", "loraplus"))
    for module in lora.modules:
        lengths = [float(one.pair(module)[1].abs().median()) for one in (lora, fast)]
        assert lengths[1] / lengths[0] == pytest.approx(16, rel=0.3)


def test_what_was_trained_merges_and_mixes(trained, workplace, tmp_path, monkeypatch):
    monkeypatch.chdir(workplace)
    recipe = yaml.safe_load(Path("recipes/tiny/stage1.yml").read_text(encoding="utf-8"))
    recipe["load_in_4bit"] = False
    names = [str(trained / name) for name in ("lora", "rslora", "loraplus")]
    arguments = ["--adapter", *names, "--out", str(tmp_path / "mix")]
    monkeypatch.setattr("sys.argv", ["adapters.py", *arguments])
    combine.main()
    assert json.loads((tmp_path / "mix/run.json").read_text())["rank"] == 16 + 4 + 16
    for name in ("rslora", "dora"):
        measured = merge(recipe, trained / name, tmp_path / f"{name}-merged")
        assert measured["off_base_and_adapter"] < 1e-4
    arguments = ["recipes/tiny/stage1.yml", "--adapter", str(tmp_path / "mix")]
    monkeypatch.setattr("sys.argv", ["export.py", *arguments])
    main()
    assert json.loads((tmp_path / "mix-model/merge.json").read_text())["pairs"] == 14


def test_members_of_another_backbone_do_not_mix(trained, tmp_path, monkeypatch, capsys):
    record = json.loads((trained / "lora/run.json").read_text())
    record["base"]["model.safetensors"] = "0" * 64
    other = tmp_path / "other"
    other.mkdir()
    for path in (trained / "lora").glob("*.*"):
        (other / path.name).write_bytes(path.read_bytes())
    (other / "run.json").write_text(json.dumps(record))
    arguments = ["--adapter", str(trained / "lora"), str(other), "--out", str(tmp_path / "mix")]
    monkeypatch.setattr(sys, "argv", ["adapters.py", *arguments])
    with pytest.raises(SystemExit) as left:
        combine.entry(combine.main)
    assert left.value.code == 2
    assert "trained on another base than" in capsys.readouterr().err
