"""Two processes train as one does, and sharding configurations say what they mean to."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from safetensors.torch import load_file

from core.yaml_io import read_mapping as read_recipe
from recipes.checks.recipe_rules import rule_problems
from recipes.checks.schema import schema_problems
from recipes.plugins import guard
from recipes.plugins.checkpoints import defect
from tests.support.paths import ROOT
from tests.support.tiny_trainings import SHORT, recipe

DEEPSPEED = ROOT / "recipes/deepspeed"
FULL = "recipes/tiny/stage2.yml"
# packs of one row length, so that a global batch is the same two packs either way
SAME = SHORT | {"base_model": "./recipes/tiny/base", "micro_batch_size": 1, "max_steps": 5}
SAME |= {"save_steps": 5, "eval_steps": 5}
TREES = {"sample_packing": False, "shared_prefix": True, "shared_prefix_trees": 2}
TREES["plugins"] = [
    "recipes.plugins.guard.GuardPlugin",
    "recipes.plugins.shared_prefix.SharedPrefixPlugin",
    "recipes.plugins.answer_accuracy.AccuracyPlugin",
]


@pytest.fixture(scope="module", params=[("packs", {}, 1.25), ("trees", TREES, 2.5)])
def trained(request, workplace, run):
    """Folders of one recipe, trained by one process and by two, and the epochs they had."""
    name, changes, epochs = request.param
    train = ("-m", "axolotl.cli.train", recipe(workplace, name, FULL, SAME, changes))
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    folders = [f"outputs/{name}-{count}" for count in ("one", "two")]
    one = run(*train, "--output-dir", folders[0], "--gradient_accumulation_steps", "2")
    assert one.returncode == 0, one.stderr[-3000:]
    command = (*torchrun, *train, "--gradient_accumulation_steps", "1")
    two = run(*command, "--output-dir", folders[1])
    assert two.returncode == 0, two.stderr[-3000:]
    assert json.loads((workplace / folders[1] / "run.json").read_text())["processes"] == 2
    assert defect(workplace / folders[1] / "checkpoint-5", 2) is None
    return SimpleNamespace(folders=[workplace / one for one in folders], epochs=epochs)


def test_two_processes_follow_the_loss_of_one(trained):
    curves = []
    for folder in trained.folders:
        state = json.loads((folder / "checkpoint-5/trainer_state.json").read_text())
        assert state["log_history"][-1]["epoch"] == pytest.approx(trained.epochs)  # over a border
        curves.append([log["loss"] for log in state["log_history"] if "loss" in log])
    assert len(curves[0]) == 5
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    assert curves[0][0] - curves[0][3] > 0.5  # they learnt something to be compared


def test_two_processes_end_with_the_weights_of_one(trained):
    one, two = (load_file(folder / "model.safetensors") for folder in trained.folders)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6


def test_a_process_alone_is_left_alone(monkeypatch):
    for name in ("WORLD_SIZE", "ACCELERATE_USE_CPU", "ACCELERATE_TORCH_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    guard.join_processes()
    assert "ACCELERATE_USE_CPU" not in os.environ


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_zero_differs_only_in_its_stage(stage):
    plain, sharded = (
        json.loads((DEEPSPEED / f"zero{number}.json").read_text()) for number in (1, stage)
    )
    zero = sharded.pop("zero_optimization")
    plain.pop("zero_optimization")
    assert sharded == plain
    assert zero["stage"] == stage
    # without it ZeRO-3 saves no weights that could be scored
    assert zero.get("stage3_gather_16bit_weights_on_model_save", False) == (stage == 3)


def test_fsdp2_differs_from_stage2_only_where_it_means_to():
    plain, sharded = (
        yaml.safe_load((ROOT / "recipes" / name).read_text(encoding="utf-8"))
        for name in ("stage2.yml", "stage2-fsdp2.yml")
    )
    differing = {key for key in plain | sharded if plain.get(key) != sharded.get(key)}
    assert differing == {
        "fsdp_version",
        "fsdp_config",
        "gradient_checkpointing",
        "gradient_accumulation_steps",
        "micro_batch_size",
        "output_dir",
    }


def commands() -> list[list[str]]:
    """The words of every command of the document that trains."""
    text = (DEEPSPEED / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if "axolotl.cli.train recipes/" in line]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_documented_commands_are_sound(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    place = words.index("axolotl.cli.train") + 1
    path, options = Path(words[place]), words[place + 1 :]
    recipe = read_recipe(path)
    for name, value in zip(options[::2], options[1::2], strict=True):
        recipe[name.removeprefix("--").replace("-", "_")] = yaml.safe_load(value)
    assert list(schema_problems(recipe)) == []
    before = [] if path.name == "stage1.yml" else [read_recipe(path.with_name("stage1.yml"))]
    assert list(rule_problems(path, recipe, before)) == []
    if recipe.get("deepspeed"):
        assert Path(recipe["deepspeed"]).is_file()
        assert recipe["optimizer"] == "adamw_torch"  # DeepSpeed keeps the float32 weights


def test_the_document_names_every_way():
    assert len(commands()) >= 6
    text = (DEEPSPEED / "README.md").read_text(encoding="utf-8")
    assert all(word in text for word in ("zero1", "zero2", "zero3", "fsdp2", "use-ray", "rdzv"))
