"""The state of a training: from its recipe to its weights, by a real run of Axolotl."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import run_states
from app.project import Project, open_project
from core.errors import UserError
from tests.conftest import Run

RECIPE = Path("outputs/made/recipe.yml")
BAR = "  3%|3  | {}/70 [00:10<{},  2.0s/it]"
SHORT = {
    "base_model": "./recipes/tiny/base",
    "output_dir": "./outputs/made/trained",
    "micro_batch_size": 1,
    "max_steps": 3,
    "warmup_steps": 0,
    "save_steps": 2,
    "eval_steps": 3,
    "logging_steps": 1,
    "dataset_num_proc": 1,
}


def write(**changes: Any) -> None:
    recipe = yaml.safe_load(Path("recipes/tiny/stage2.yml").read_text("utf-8"))
    RECIPE.parent.mkdir(parents=True, exist_ok=True)
    RECIPE.write_text(yaml.safe_dump({**recipe, **SHORT, **changes}, allow_unicode=True))


def made(project: Project) -> run_states.RunState:
    [found] = [one for one in run_states.states(project) if one.name == "made"]
    return found


def test_a_training_passes_through_its_states(
    workplace: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    project = open_project(Path())
    waiting = {one.name: one for one in run_states.states(project)}["demo-seed1"]
    assert (waiting.state, waiting.set) == ("waiting", "demo")
    assert waiting.sentence == "python recipes/compose.py demo-seed1"

    write(learning_rate=1e30)
    assert made(project).state == "waiting"
    assert made(project).sentence.endswith(str(RECIPE))
    with pytest.raises(UserError, match="nothing is logged yet"):
        run_states.curves(project, "made")
    train = ("-m", "axolotl.cli.train", str(RECIPE))
    refused = run(*train)
    assert refused.returncode == 2
    failed = made(project)
    assert failed.state == "failed"
    assert failed.sentence in refused.stderr
    assert failed.sentence.startswith("step ")

    write()
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(workplace)}
    env["CUDA_VISIBLE_DEVICES"] = ""
    process = subprocess.Popen(
        [sys.executable, *train], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seen = set()
    while process.poll() is None:
        seen.add(made(project).state)
        time.sleep(0.2)
    assert process.returncode == 0
    assert "running" in seen
    done = made(project)
    assert (done.state, done.step, done.steps, done.sentence) == ("done", 3, 3, "")
    drawn = run_states.curves(project, "made")
    assert {"loss", "eval_loss"} <= {one["what"] for one in drawn}
    assert [one["step"] for one in drawn if one["what"] == "loss"] == [1, 2, 3]

    write(save_steps=3)  # which changes no weight
    assert made(project).state == "done"
    write(learning_rate=2e-3)
    assert made(project).state == "stale"
    assert "learning_rate" in made(project).sentence
    write()
    rows = workplace / "data/demo/dev-loss.jsonl"
    before = rows.read_bytes()
    rows.write_bytes(before + before.split(b"\n")[0] + b"\n")
    assert (made(project).state, "dev-loss" in made(project).sentence) == ("stale", True)
    rows.write_bytes(before)
    assert made(project).state == "done"


@pytest.mark.parametrize(
    ("log", "newest", "found"),
    [
        ("", {}, (None, None, "")),
        ("Map: 9%|9 | 9/90 [00:01<00:01, 9.0 examples/s]", {}, (None, None, "")),
        (f"Starting trainer...\n{BAR.format(0, '?')}", {}, (0, 70, "")),
        (
            f"Starting trainer...\n{BAR.format(1, '02:00')}\n100%|9| 900/900 [00:06<00:00, 1.4it/s]"
            f"\n{BAR.format(7, '01:30')}",
            {},
            (7, 70, "01:30"),
        ),
        (BAR.format(9, "01:00"), {"max_steps": 70, "global_step": 5}, (9, 70, "01:00")),
        ("cut", {"max_steps": 70, "global_step": 5}, (5, 70, "")),
    ],
)
def test_the_trainers_bar_says_how_far_it_is(log: str, newest: dict, found: tuple) -> None:
    assert run_states.progress(log, newest) == found


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("error: recipe.yml: misspelt\n", "recipe.yml: misspelt"),
        (" 33%|3  | 1/3 [00:01<00:03,  1.9s/it]error: step 2: nan\n 33%|3", "step 2: nan"),
        ("Traceback (most recent call last):\n  File\nRuntimeError: no\n", "RuntimeError: no"),
        ("all is well\n", ""),
    ],
)
def test_a_failure_is_said_in_its_own_words(log: str, said: str) -> None:
    assert run_states.last_error(log) == said


def test_a_project_without_recipes_says_how_to_write_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"recipes/compose\.py"):
        run_states.states(open_project(Path()))
