"""One real chain of Axolotl runs on a model made on the spot, shared by all tests of `recipes/`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest
from absl import logging as absl_logging
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support.fast import is_fast
from tests.support.paths import ROOT
from tests.support.training_rows import chat_row, random_base, training_row, write_rows

OFFLINE = {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "WANDB_MODE": "disabled"}
os.environ.update(OFFLINE)  # read when the libraries are imported, so before any test is
# a machine that is busy is no fault of the code
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")
# absl, which rouge_score loads, closes its stream where Axolotl sets up logging: that of pytest, if
# it is left as it comes
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__
GIVEN: dict[Path, bytes] = {}  # the files of `workplace` as they were made
Run = Callable[..., subprocess.CompletedProcess[str]]
CHAIN = {
    "test_guard.py",
    "test_merge.py",
    "test_trained_is_scored.py",
}  # whose tests take the fixture `chain`
TRAINING = {"chain", "run", "runs"}  # fixtures over `workplace` that train
LONG = ("training", "vllm", "dvc", "browser", "slow")  # marks of tests that take seconds or more
NEEDED = {
    "vllm": ".venv-vllm",
    "dvc": "DVC",
    "browser": "chromium",
}  # mark: part of a reason to skip


class ByFile(LoadFileScheduling):
    """A file's tests stay in one process, and those of the files of `CHAIN` in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "chain" if Path(file).name in CHAIN else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """How processes share the tests, whatever --dist says.

    xdist 3.8 loses its own groups on pytest 9.2, silently (its issue 1386).
    """
    return ByFile(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make test-fast` runs."""
    parser.addoption("--fast", action="store_true", help="load and start nothing slow")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that are slow even to import, where only fast ones are wanted."""
    if config.getoption("fast") and collection_path.match("test_*.py"):
        return not is_fast(collection_path) or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they need, as their fixtures and their reasons to be skipped say it.

    Files that take long come first, so that no process ends with one while the other has none left.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "workplace" in fixtures and TRAINING & fixtures:
            item.add_marker(pytest.mark.training)
        if "app_project" in fixtures:
            item.add_marker(pytest.mark.slow)
        for mark in [*item.iter_markers("skipif")]:
            for name, said in NEEDED.items():
                if said in str(mark.kwargs.get("reason", "")):
                    item.add_marker(name)
    marked = {item.path for item in items if any(map(item.get_closest_marker, LONG))}
    items.sort(key=lambda item: (item.path not in marked, is_fast(item.path)))


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with a random base and small data in the places the recipes name."""
    place = tmp_path_factory.mktemp("workplace")
    skip = shutil.ignore_patterns("base", "__pycache__")
    for chapter in ("core", "earlier_systems", "prep", "recipes"):
        shutil.copytree(ROOT / chapter, place / chapter, ignore=skip)
    shutil.copy(ROOT / "params.yaml", place)
    random_base(place / "recipes/tiny/base")
    orders = list(permutations(range(3)))
    questions = [training_row(n, order) for n in range(8) for order in orders]
    write_rows(place / "data/demo/stage1.jsonl", [chat_row(n) for n in range(8)] + questions)
    write_rows(place / "data/demo/stage2.jsonl", questions[::-1])
    write_rows(place / "data/demo/dev-loss.jsonl", [training_row(n) for n in range(8, 14)])
    GIVEN.update((file, file.read_bytes()) for file in place.rglob("*") if file.is_file())
    return place


@pytest.fixture(scope="module", autouse=True)
def workplace_kept() -> Iterator[None]:
    """Fail a file of tests that changes what others find in the workplace: their order varies."""
    yield
    changed = [f for f, held in GIVEN.items() if not f.is_file() or f.read_bytes() != held]
    assert not changed, f"left otherwise than it was found: {changed}"


@pytest.fixture(scope="session")
def run(workplace: Path) -> Run:
    """Run `python ARGS...` in the workplace, offline."""

    def python(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *args],
            cwd=workplace,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
                "PYTHONPATH": str(workplace),  # its copies, not the installed package
            },
            text=True,
            capture_output=True,
        )

    return python


@pytest.fixture(scope="session")
def chain(workplace: Path, run: Run) -> SimpleNamespace:
    """Stage 1, merge and stage 2 by the tiny recipes, a few steps each, and what they printed."""
    done = SimpleNamespace(place=workplace)
    train = ("-m", "axolotl.cli.train")
    short = ("--warmup_steps", "0", "--save_steps", "2", "--save_total_limit", "9")
    short += ("--dataset_num_proc", "1")
    few = (*short, "--max_steps", "3", "--micro_batch_size", "8")
    done.train1 = (*train, "recipes/tiny/stage1.yml", *few)
    done.stage1 = run(*done.train1)
    assert done.stage1.returncode == 0, done.stage1.stderr[-3000:]
    done.merge = run("recipes/export.py", "recipes/tiny/stage1.yml")
    assert done.merge.returncode == 0, done.merge.stderr[-3000:]
    # 7 packs of 512 tokens are more than one epoch
    done.train2 = (*train, "recipes/tiny/stage2.yml", *short, "--max_steps", "7")
    done.train2 += ("--micro_batch_size", "1", "--eval_steps", "7")
    done.stage2 = run(*done.train2)
    assert done.stage2.returncode == 0, done.stage2.stderr[-3000:]
    return done


@pytest.fixture(scope="session")
def app_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project for the tests of `app/`, which only look at it."""
    from tests.support.app_project import make_project  # it imports half of the project

    return make_project(tmp_path_factory.mktemp("project"))
