"""Real experiments on the tiny base: a kill loses nothing, what is shared is made once."""

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.jsonl import read_records
from core.records import Row
from tests.support.experiment_place import ablate, make_place, save, start

pytestmark = pytest.mark.training
TIMES = ("minutes", "measured")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("ablation"))


def pieces(place: Path, kind: str) -> dict[Path, dict[str, Any]]:
    """What is finished of a kind, by folder."""
    found = sorted((place / "outputs/ablations").glob(f"{kind}-*/done.json"))
    return {path.parent: json.loads(path.read_text("utf-8")) for path in found}


def seed_of(done: dict[str, Any]) -> int:
    """The seed of a training."""
    return done["made_of"]["recipe"]["seed"]


def table(place: Path) -> dict[str, Any]:
    """The table without times, the finished experiment's other files read too."""
    folder = place / "metrics/ablations"
    found = json.loads((folder / "small.json").read_text("utf-8"))
    for one in (found, *found["results"].values()):
        for key in TIMES:
            one.pop(key, None)
    return found


def test_a_killed_experiment_goes_on_to_the_same_table(place: Path) -> None:
    save(place)
    running = start(place)
    mine = psutil.Process(running.pid)
    assert running.stdout is not None
    lines = []
    for line in running.stdout:  # up to the second training of the base
        lines.append(line)
        if "[3/8] train base, fold 1" in line:
            break
    time.sleep(2)
    for process in [mine, *mine.children(recursive=True)]:
        process.kill()
    running.communicate()
    assert "[1/8] train base, fold 0" in "".join(lines)
    done = pieces(place, "train")
    assert len(done) == 1
    stamps = {path: (path / "done.json").stat().st_mtime_ns for path in done}

    said = ablate(place, "--only", "another-seed")
    assert "[1/6] train base, fold 1" in said
    assert {path: (path / "done.json").stat().st_mtime_ns for path in done} == stamps
    first, drawn = table(place), (place / "metrics/ablations/small.svg").read_bytes()
    assert first["missing"] == {}
    assert first["questions"] == 24
    assert first["groups"] == 12
    assert set(first["results"]) == {"base", "another-seed"}
    assert len(pieces(place, "train")) == 4

    # trained without a kill, it is the same
    trained = pieces(place, "train")
    [lost] = [one for one in trained if one not in done and seed_of(trained[one]) == 1]
    shutil.rmtree(lost)
    for path, one in pieces(place, "score").items():
        if one["made_of"]["model"] == lost.name:
            shutil.rmtree(path)
    said = ablate(place, "--table")
    assert "missing: base (1 of 2 scored)" in said
    assert table(place)["results"] == {}
    said = ablate(place)
    assert "[1/2] train base, fold 1" in said
    assert table(place) == first
    assert (place / "metrics/ablations/small.svg").read_bytes() == drawn


def test_no_training_saw_its_fold(place: Path) -> None:
    """On what the test above has left."""
    scored = {one["made_of"]["model"]: path for path, one in pieces(place, "score").items()}
    assert len(scored) == 4
    for path, model in pieces(place, "train").items():
        trained = read_records(path / "rows.jsonl", Row)
        meta = json.loads((scored[path.name] / "predictions.meta.json").read_text("utf-8"))
        asked = read_records(place / meta["data"]["path"], Row)
        assert {row.split for row in asked} == {"train"}
        assert not {row.group for row in trained} & {row.group for row in asked}
        assert len({row.record for row in [*trained, *asked]}) == 24
        assert "test_datasets" not in model["made_of"]["recipe"]


def test_a_change_of_scoring_trains_nothing(place: Path) -> None:
    save(place, changes={"rotated": {"scoring": {"permutations": "cyclic"}}})
    said = ablate(place, "--dry-run")
    line = next(one.split() for one in said.splitlines() if one.startswith("rotated"))
    assert line[:3] == ["rotated", "2", "0"]
    assert "not known" not in said.split("rotated")[0]


def test_recipes_that_cannot_be_trained_are_refused_first(place: Path) -> None:
    before = len(list((place / "outputs/ablations").glob("train-*")))
    for recipe, sentence in (
        ({"shared_prefix": True}, "shared_prefix does not go with sample_packing"),
        ({"lora_rr": 4}, "Axolotl knows no key lora_rr; did you mean lora_r?"),
    ):
        save(place, changes={"x": {"recipe": recipe}})
        assert ablate(place, code=2).startswith(f"error: small.yml, x: {sentence}")
    assert len(list((place / "outputs/ablations").glob("train-*"))) == before


@pytest.mark.parametrize(
    ("change", "last", "unfinished"),
    [
        ({"recipe": {"seed": 3}}, "train third", "train-*/model"),
        ({"scoring": {"permutations": "cyclic"}}, "score third", "score-*/predictions.jsonl"),
    ],
)
def test_a_command_told_to_end_ends_what_it_started(
    place: Path, change: dict[str, Any], last: str, unfinished: str
) -> None:
    """In the background of a shell's script too, which has all that it starts ignore Ctrl-C."""
    save(place, changes={"third": change})
    before = set((place / "outputs/ablations").glob(unfinished))
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is started inherits it
    try:
        running = start(place)
    finally:
        signal.signal(signal.SIGINT, heard)
    assert running.stdout is not None
    for line in running.stdout:
        if last in line:
            break
    time.sleep(2)
    children = psutil.Process(running.pid).children(recursive=True)
    assert children
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=300)
    assert running.returncode == 130
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert set((place / "outputs/ablations").glob(unfinished)) == before
