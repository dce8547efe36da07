"""Two processes train as one does, and sharding configurations say what they mean to."""

import json
import os
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from core.yaml_io import read_mapping as read_recipe
from recipes.checks.recipe_rules import rule_problems
from recipes.checks.schema import schema_problems
from recipes.plugins import guard
from recipes.plugins.checkpoints import defect
from tests.support.paths import ROOT

DEEPSPEED = ROOT / "recipes/deepspeed"
# packs of one row length, so that a global batch is the same two packs either way
SAME = "--base-model ./recipes/tiny/base --micro_batch_size 1 --max_steps 5 --warmup_steps 0"
SAME += " --save_steps 5 --logging_steps 1 --eval_steps 5 --dataset_num_proc 1"


@pytest.fixture(scope="module")
def trained(workplace, run):
    """Folders of one recipe, trained by one process and by two."""
    train = ("-m", "axolotl.cli.train", "recipes/tiny/stage2.yml", *SAME.split())
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    one = run(*train, "--output-dir", "outputs/one", "--gradient_accumulation_steps", "2")
    assert one.returncode == 0, one.stderr[-3000:]
    command = (*torchrun, *train, "--gradient_accumulation_steps", "1")
    two = run(*command, "--output-dir", "outputs/two")
    assert two.returncode == 0, two.stderr[-3000:]
    assert json.loads((workplace / "outputs/two/run.json").read_text())["processes"] == 2
    assert defect(workplace / "outputs/two/checkpoint-5", 2) is None
    return workplace / "outputs/one", workplace / "outputs/two"


def test_two_processes_follow_the_loss_of_one(trained):
    curves = []
    for folder in trained:
        state = json.loads((folder / "checkpoint-5/trainer_state.json").read_text())
        assert state["log_history"][-1]["epoch"] == pytest.approx(1.25)  # over an epoch's border
        curves.append([log["loss"] for log in state["log_history"] if "loss" in log])
    assert len(curves[0]) == 5
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    assert curves[0][0] - curves[0][3] > 0.5  # they learnt something to be compared


def test_two_processes_end_with_the_weights_of_one(trained):
    one, two = (load_file(folder / "model.safetensors") for folder in trained)
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
