"""Real runs started again: over another run, from spoilt checkpoints, with forbidden inputs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from safetensors.torch import load_file, save_file

from tests.support.checkpoint_folders import halve
from tests.support.paths import ROOT
from tests.support.training_rows import training_row, write_rows

SHORT = {
    "base_model": "./recipes/tiny/base",
    "datasets": [
        {
            "path": "data/restarts.jsonl",
            "ds_type": "json",
            "type": "chat_template",
            "field_messages": "messages",
        }
    ],
    "plugins": ["recipes.plugins.guard.GuardPlugin"],
    "test_datasets": None,
    "eval_steps": None,
    "eval_sample_packing": None,
    "sample_packing": False,
    "warmup_steps": 0,
    "logging_steps": 1,
    "dataset_num_proc": 1,
    "micro_batch_size": 4,
    "max_steps": 4,
    "save_steps": 2,
    "save_total_limit": 9,
}
LORA = {"adapter": "lora", "load_in_4bit": False, "optimizer": "adamw_torch", "max_steps": 2}
WEIGHTS = "model.safetensors"


def recipe(place: Path, name: str, stage: int = 2, **changes: object) -> str:
    path = place / f"recipes/tiny/stage{stage}.yml"
    made = yaml.safe_load(path.read_text(encoding="utf-8")) | SHORT
    made |= {"output_dir": f"./{name}"} | changes
    kept = {key: value for key, value in made.items() if value is not None}
    (place / f"{name}.yml").write_text(yaml.safe_dump(kept), encoding="utf-8")
    return f"{name}.yml"


def python(place: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """A fresh process with the settings of production: Axolotl's log of what is printed is on."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AXOLOTL_TEE")}
    environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HOME": f"{place}/hf"}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=place,
        env=environment,
        text=True,
        capture_output=True,
        timeout=900,
    )


def train(place: Path, *recipes: str) -> SimpleNamespace:
    done = python(place, ROOT / "tests/support/train_recipes.py", *recipes)
    lines = done.stdout.splitlines()
    codes = [int(line.split()[1]) for line in lines if line.startswith("CODE")]
    return SimpleNamespace(codes=codes, out=done.stdout, err=done.stderr)


def changed_base(place: Path, name: str, changes: dict) -> str:
    """A base whose weights are changed; None takes one away. Returns where it is."""
    folder = place / "bases" / name
    shutil.copytree(place / "recipes/tiny/base", folder)
    weights = load_file(folder / WEIGHTS)
    for key, value in changes.items():
        del weights[key]
        if value is not None:
            weights[key] = value
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    return f"./bases/{name}"


@pytest.fixture(scope="module")
def once(workplace: Path) -> SimpleNamespace:
    """A finished run, and an adapter trained on one of two commits of a model on the hub."""
    place = workplace
    write_rows(place / "data/restarts.jsonl", [training_row(n) for n in range(8)] * 2)
    write_rows(place / "data/others.jsonl", [training_row(n, (1, 0, 2)) for n in range(8)] * 2)
    snapshots = place / "hf/hub/models--acme--tiny/snapshots"
    shutil.copytree(place / "recipes/tiny/base", snapshots / ("1" * 40))
    weights = load_file(place / "recipes/tiny/base" / WEIGHTS)
    norm = "model.norm.weight"
    other = changed_base(place, "other", {norm: weights[norm] + 1})
    shutil.copytree(place / other, snapshots / ("2" * 40))
    hub = LORA | {"base_model": "acme/tiny"}
    first = recipe(place, "hub1", 1, **hub, revision_of_model="1" * 40)
    recipe(place, "hub2", 1, **hub, revision_of_model="2" * 40)
    done = train(place, recipe(place, "once"), first)
    assert done.codes == [0, 0], done.err[-3000:]
    return SimpleNamespace(place=place, weights=weights)


@pytest.fixture(scope="module")
def again(once: SimpleNamespace) -> SimpleNamespace:
    """All that starts on what the first run left, in one process."""
    place, row = once.place, SHORT["datasets"][0]
    for name, spoil in {
        "optimizer": lambda run: halve(run / "checkpoint-4/optimizer.pt"),
        "model": lambda run: halve(run / "checkpoint-4" / WEIGHTS),
        "bare": lambda run: [path.unlink() for path in run.glob("*/optimizer.pt")],
    }.items():
        shutil.copytree(place / "once", place / name)
        spoil(place / name)
        if name != "bare":
            (place / name / WEIGHTS).unlink()
    layer = "model.layers.1.mlp.down_proj.weight"
    lacks = changed_base(place, "lacks", {layer: None})
    unfit = changed_base(place, "unfit", {layer: once.weights[layer][:, :8].clone()})
    cut = changed_base(place, "cut", {})
    halve(place / cut / WEIGHTS)
    shutil.copytree(place / "once", place / "many/once")
    others = [row | {"path": "data/others.jsonl"}]
    from_another = {"datasets": others, "resume_from_checkpoint": "once/checkpoint-4"}
    done = train(
        place,
        *(recipe(place, name) for name in ("optimizer", "model", "bare")),
        recipe(place, "borrowed", **from_another, auto_resume_from_checkpoints=None),
        recipe(place, "lacks", base_model=lacks),
        recipe(place, "unfit", base_model=unfit),
        recipe(place, "cut", base_model=cut),
        recipe(place, "onto-base", output_dir="recipes/tiny/base"),
        recipe(place, "onto-runs", output_dir="many"),
        recipe(place, "onto-all", output_dir="."),
    )
    return SimpleNamespace(place=place, **vars(done))


def same(one: Path, other: Path) -> bool:
    first, second = load_file(one / WEIGHTS), load_file(other / WEIGHTS)
    return first.keys() == second.keys() and all(first[k].equal(second[k]) for k in first)


def test_all_ended_as_they_should(again):
    assert again.codes == [0, 0, 0, 2, 2, 2, 2, 2, 2, 2], again.err[-3000:]
    assert "Traceback" not in again.err


@pytest.mark.parametrize("part", ["optimizer", "model"])
def test_half_a_file_leads_back_to_the_checkpoint_before(again, part):
    run, name = again.place / part, {"optimizer": "optimizer.pt", "model": WEIGHTS}[part]
    assert f"{part}/checkpoint-4: no run can go on from it ({name} is cut off" in again.out
    assert f"{part}: going on from checkpoint-2" in again.out
    assert same(run, again.place / "once")
    assert same(run / "checkpoint-4", again.place / "once/checkpoint-4")
    assert (run / ".stale/checkpoint-4-1" / name).is_file()


def test_weights_without_an_optimizer_are_kept_and_trained_anew(again):
    assert "bare: training begins anew; what it held is now in .stale/bare-1" in again.out
    for folder in ("bare", ".stale/bare-1"):
        assert same(again.place / folder, again.place / "once")
    states = [
        json.loads((again.place / folder / "checkpoint-4/trainer_state.json").read_text())
        for folder in ("bare", "once")
    ]
    rates = [[one.get("learning_rate") for one in state["log_history"]] for state in states]
    assert rates[0] == rates[1]


@pytest.mark.parametrize(
    "said",
    [
        "resume_from_checkpoint once/checkpoint-4: of another run (",
        "./bases/lacks: lacks 1 of its weights, the first is model.layers.1.mlp.down_proj.weight",
        "./bases/unfit: transformers cannot load it (",
        "./bases/cut: model.safetensors is cut off, or no safetensors file (",
        "recipes/tiny/base: holds recipes/tiny/base, which is read",
        "many: holds once/run.json, which is not of one run",
        ".: holds onto-all.yml, which is read",
    ],
)
def test_what_cannot_be_right_ends_in_a_sentence(again, said):
    assert [line for line in again.err.splitlines() if line.startswith(f"error: {said}")]


def test_what_is_refused_is_left_as_it_was(again):
    for name in ("borrowed", "cut"):
        assert not (again.place / name).exists()
    for folder in ("recipes/tiny/base", "many", "."):
        assert not (again.place / folder / "debug.log").exists()
    assert not list((again.place / "lacks").glob("*.safetensors"))


def test_the_documented_command_sets_another_run_aside_and_ends(once):
    place = once.place
    shutil.copytree(place / "once", place / "used")
    log = (place / "used/debug.log").read_bytes()
    assert log
    launch = ("-m", "accelerate.commands.launch", "-m", "axolotl.cli.train")
    done = python(place, *launch, recipe(place, "used", learning_rate=2e-3, max_steps=2))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "used held another run (recipe differs in learning_rate, max_steps)" in done.stdout
    assert same(place / ".stale/used-1", place / "once")
    assert (place / ".stale/used-1/debug.log").read_bytes() == log
    assert not same(place / "used", place / "once")
    assert (place / "used/debug.log").stat().st_size > 0


def test_an_adapter_is_not_merged_into_another_commit(once):
    record = json.loads((once.place / "hub1/run.json").read_text())
    assert record["base"] == {"hub": "acme/tiny", "commit": "1" * 40}
    given = ("--adapter", "hub1", "--out", "wrong")
    done = python(once.place, "recipes/export.py", "hub2.yml", *given)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"hub1: trained on acme/tiny at commit {'1' * 40}, not on acme/tiny" in done.stderr
    assert not (once.place / "wrong").exists()
