"""docs/own-task.md: every command in it runs, on the files that it shows."""

import csv
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from prep.render import load_prompt
from prep.sources.downloads import records
from tests.support.paths import ROOT
from tests.support.table_task import record
from tests.support.tiny_models import save_adapter

TEXTS = {path.name: path.read_text("utf-8") for path in (ROOT / "docs").glob("own-task*.md")}
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
MINE = "mine"  # the run that init.py writes, which is trained


@dataclass(frozen=True)
class Walk:
    """What a document shows: files by path, runs, and commands in their order."""

    files: dict[str, str]
    runs: dict[str, object]
    commands: list[str]


def walk(text: str) -> Walk:
    found = FENCE.findall(text)
    runs = [yaml.safe_load(body) for kind, _, body in found if kind == "yaml"]
    return Walk(
        {path: body for _, path, body in found if path},
        {name: run for each in runs for name, run in each.items()},
        [line for kind, _, body in found if kind == "sh" for line in body.splitlines()],
    )


ENGLISH = walk(TEXTS["own-task.md"])
TRAINED = [line for line in ENGLISH.commands if MINE in line and "my/lora" not in line]
QUICK = [line for line in ENGLISH.commands if line not in TRAINED]


def placed(folder: Path) -> Path:
    """A folder as a fresh clone has it, with the document's files in it."""
    for name in ("recipes", "core", "prep"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, body in ENGLISH.files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(body, "utf-8")
    made = [record(number) for number in range(10)]
    for name, some in (("train", made), ("test", made[3:5])):
        with (folder / f"my/{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = [{**one, "지문": f"{name}: {one['지문']}"} for one in some]
            writer = csv.DictWriter(file, [*table[0]])
            writer.writeheader()
            writer.writerows(table)
    text = (ROOT / "params.yaml").read_text("utf-8")
    runs = [body for kind, _, body in FENCE.findall(TEXTS["own-task.md"]) if kind == "yaml"]
    (folder / "params.yaml").write_text(
        re.sub(r"^runs:.*\n", lambda head: head[0] + "".join(runs), text, count=1, flags=re.M),
        "utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = placed(tmp_path_factory.mktemp("own"))
    save_adapter(folder / "my/lora", folder / "recipes/tiny/base")
    return folder


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of our scripts, as `python` runs it, in this process."""
    _, script, *arguments = shlex.split(command)
    if script == "eval/score.py":
        arguments += ["--backend", "hf"]  # vLLM's process would take the place of this one
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    load_prompt.cache_clear()
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert left.value.code == 0, command


def test_every_command_but_those_that_train(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    for command in QUICK:
        run(command, monkeypatch)
    printed = capsys.readouterr().out
    for name in ENGLISH.runs:
        [out] = Path("submissions").glob(f"{name}.*")
        [test] = Path("my").glob(f"{name}-test.*")
        assert out.suffix == test.suffix
        filled = [one for _, _, one in records(out)]
        column = ENGLISH.runs[name]["corpus"]["columns"]["answer"]
        assert all(str(one[column]) for one in filled)
        bare = [{k: v for k, v in one.items() if k != column} for one in filled]
        given = [one for _, _, one in records(test)]
        assert bare == [{k: v for k, v in one.items() if k != column} for one in given]
        assert f"{out}: valid, {len(given)} items" in printed
    assert "준호: 응, 그래서 버스 대신 걸어왔어." in printed
    assert "E) 6개" in printed  # by the prompt of one's own
    assert Path("outputs/mine-merged/model.safetensors").is_file()
    assert Path("predictions/adapters/mine.jsonl").is_file()


@pytest.mark.training
def test_from_a_table_to_a_submission_by_training(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    for command in TRAINED:
        words = shlex.split(command)
        if words[0] == "python":
            run(command, monkeypatch)
            continue
        words = [sys.executable, *words[words.index("-m") :]]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    answers = [one["정답"] for _, _, one in records(Path("submissions/mine.csv"))]
    assert len(answers) == 2
    assert set(answers) <= {"1", "2", "3", "4"}


def test_the_korean_twin_has_the_same_files_runs_and_commands() -> None:
    assert walk(TEXTS["own-task.ko.md"]) == ENGLISH
