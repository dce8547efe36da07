"""The parts of a rented GPU's ten minutes take turns, end at their limits and leave a line."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.rented_gpu import pack, run
from tests.support.paths import ROOT

# as bench/meter.py waits, and then notes a step
TRAINING = """
import json, os, pathlib, sys, time
turns, noted = pathlib.Path(os.environ["BENCH_TURNS"]), pathlib.Path(sys.argv[1])
for turn in ("load", "train"):
    (turns / f"{turn}.ready").touch()
    while not (turns / turn).exists():
        time.sleep(0.01)
begun = time.monotonic()
noted.parent.mkdir(parents=True)
noted.write_text(json.dumps({"begun": begun}))
time.sleep(float(sys.argv[2]))
noted.write_text(json.dumps({"begun": begun, "ended": time.monotonic()}))
"""


def test_trainings_have_the_gpu_one_by_one_and_each_ends_at_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def part(name: str, limit: int, seconds: float) -> run.Part:
        noted = tmp_path / "scratch" / name / "axolotl/meter.json"
        return run.Part(name, limit, ["-c", TRAINING, str(noted), str(seconds)])

    given = [part("first", 9, 0.1), part("too-long", 2, 60), part("last", 9, 0.1)]
    broken = run.Part("base", 9, ["-c", "print('no room'); raise SystemExit(3)"])
    monkeypatch.setattr(run, "first", lambda args: [broken])
    monkeypatch.setattr(run, "trainings", lambda args: given)
    monkeypatch.setattr(run, "scoring", lambda args: run.Part("scoring", 9, ["-c", ""]))
    words = ["run.py", "--gpu", "h100", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*words, "--scratch", str(tmp_path / "scratch")])
    run.main()
    lines = (tmp_path / "out/results.jsonl").read_text().splitlines()
    found = {line["part"]: line for line in map(json.loads, lines)}
    assert [found[name]["code"] for name in ("base", "scoring", "first", "last")] == [3, 0, 0, 0]
    assert "no room" in found["base"]["last"]
    assert found["too-long"]["code"] == "ended at its limit"
    assert found["too-long"]["meter"].keys() == {"begun"}  # what it noted before
    first, last = found["first"]["meter"], found["last"]["meter"]
    assert first["ended"] <= found["too-long"]["meter"]["begun"] < last["begun"]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--only", "scoring"])  # and no training
    run.main()
    assert len((tmp_path / "out/results.jsonl").read_text().splitlines()) == len(lines) + 1


@pytest.mark.parametrize("gpu", ["h100", "h200"])
def test_every_part_is_a_command_that_is_there(gpu: str, tmp_path: Path) -> None:
    args = SimpleNamespace(gpu=gpu, config="gemma-2-9b", base=tmp_path, scratch=tmp_path, set=[])
    args.items = 9
    parts = [*run.first(args), run.scoring(args), *run.trainings(args)]
    files = {word for part in parts for word in part.command if word.endswith((".py", ".yml"))}
    assert len(files) > 4
    assert [one for one in sorted(files) if not (ROOT / one).is_file()] == []
    assert any(part.name == "stage2" for part in parts) == (gpu == "h200")


def test_the_lock_has_what_is_carried() -> None:
    listed = pack.HERE / "packages.txt"
    assert len(pack.pins(listed, ROOT / "requirements.txt")) > 30
