"""The pieces of an experiment: rows, trainings, scorings, each named by what it is made of.

A finished piece says so in its done.json, and is never made again: whoever needs the same uses it,
another change or another experiment. A killed one goes on where its own command can.
"""

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError
from core.files import atomic_file, locked, sha256
from core.jsonl import read_json, write_json
from core.layout import OUTPUTS
from recipes.plugins.run_fingerprint import named_files
from recipes.weights import base_model

ROOT = Path(__file__).resolve().parents[1]
PIECES = OUTPUTS / "ablations"
BEAT = 5.0  # seconds between two notes of how long a piece has run
GRACE = 10.0  # seconds that a command has to end by itself
LINES = 20  # of a log that are looked through for what went wrong


@dataclass(frozen=True)
class Piece:
    """Something to make, by its kind and all that decides what it becomes.

    `cost` is its work in units that pieces of one `rate` share, for an estimate of its time.
    """

    kind: str
    made_of: dict[str, Any]
    rate: str = ""
    cost: float = 0.0
    files: dict[str, str] = field(default_factory=dict, compare=False)
    commands: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def folder(self) -> Path:
        """Where it lies."""
        return PIECES / f"{self.kind}-{digest(self.made_of)[:16]}"

    @property
    def done(self) -> dict[str, Any] | None:
        """When, where and in how many seconds it was finished; None where it is not."""
        path = self.folder / "done.json"
        return read_json(path) if path.is_file() else None

    @property
    def model(self) -> Path:
        """The finished weights of a training."""
        return self.folder / "model"

    def make(self, label: str, lock: int) -> float:
        """Run its commands; returns the seconds of all attempts, killed ones too.

        Raises `UserError` with a command's own sentence, or the place of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            with atomic_file(self.folder / name) as file:
                plain = name.endswith(".jsonl")  # rows, which may hold any text
                file.write(text if plain else text.replace("{folder}", self.folder.as_posix()))
        beat = self.folder / "seconds.json"
        before = read_json(beat) if beat.is_file() else 0.0
        started = time.monotonic()
        log = self.folder / "log.txt"
        for command in self.commands:
            words = [word.replace("{folder}", self.folder.as_posix()) for word in command]
            with log.open("ab") as out:
                running = subprocess.Popen(
                    [sys.executable, *words],
                    stdout=out,
                    stderr=out,
                    pass_fds=[lock],
                    start_new_session=True,
                )
                try:
                    while _runs(running):
                        write_json(beat, round(before + time.monotonic() - started, 1))
                except BaseException:
                    _end(running)
                    raise
            if running.returncode:
                raise UserError(f"{label}: {_said(log, running.returncode)}")
        seconds = round(before + time.monotonic() - started, 1)
        about = {"rate": self.rate, "cost": self.cost, "seconds": seconds}
        write_json(self.folder / "done.json", about | here() | {"made_of": self.made_of})
        return seconds

    def drop_weights(self) -> None:
        """Remove what a training has left but its record."""
        for name in ("trained", "model"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(BEAT)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and its process group, as a launcher passes no signal on.

    By SIGTERM: what a shell's script starts in the background ignores SIGINT.
    """
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _said(log: Path, code: int) -> str:
    lines = log.read_text("utf-8", errors="replace").splitlines()[-LINES:]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return told[-1] if told else f"ended with exit code {code}; {log} says why"


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@cache
def weights(base: str) -> dict[str, str]:
    """SHA-256 of a folder's weights by file; empty for a model on the hub, pinned by its recipe."""
    return (
        base_model.files(Path(base), "*.safetensors", "config.json") if Path(base).is_dir() else {}
    )


@cache
def code(*folders: str) -> str:
    """SHA-256 of the code and templates in folders of the project."""
    paths = [path for name in folders for path in sorted((ROOT / name).rglob("*"))]
    kept = [path for path in paths if path.suffix in (".py", ".jinja")]
    return digest([[str(path.relative_to(ROOT)), sha256(path)] for path in kept])


@cache
def here() -> dict[str, Any]:
    """This machine, day and commit."""
    gpu = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    machine = gpu[0] if gpu else f"{os.cpu_count()} CPU cores ({platform.machine()})"
    commit = _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD").strip()
    return {"machine": machine, "date": time.strftime("%Y-%m-%d"), "commit": commit or None}


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True).stdout


def alone() -> AbstractContextManager[int]:
    """Hold the pieces for one command; yields a lock that its children hold too, orphans as well.

    Raises `UserError` where another command, or a child that it left, still works on them.
    """
    busy = (
        f"{PIECES}: another ablation, or a training that one left, is still at work there; wait "
        "for its end"
    )
    return locked(PIECES / ".lock", busy)


def rows_piece(run: dict[str, Any], stages: Sequence[str], inputs: dict[str, str]) -> Piece:
    """A build of a run with its folds; `inputs` are the hashes of the files that it reads."""
    prep = code("core", "earlier_systems", "prep")
    params = _yaml({"runs": {"rows": run}})
    command = ("prep/build.py", "--run", "rows", "--params", "{folder}/params.yaml")
    command += ("--out", "{folder}/rows", "--stages", *stages)
    made_of = {"run": run, "stages": [*stages], "inputs": inputs, "code": prep}
    return Piece("rows", made_of, files={"params.yaml": params}, commands=(script(command),))


def check_piece(recipes: dict[str, Sequence[dict[str, Any]]]) -> Piece:
    """A look by recipes/check.py at each variant's recipes, which start from one another."""
    files = {}
    for name, chain in recipes.items():
        for place, recipe in enumerate(chain):
            base = {"base_model": f"./{{folder}}/{name}-{place - 1}-model"} if place else {}
            full = recipe | base | {"output_dir": f"./{{folder}}/{name}-{place}"}
            files[f"{name}.{place}.yml"] = _yaml(full)
    command = ("recipes/check.py", *(f"{{folder}}/{name}" for name in files))
    made_of = {"recipes": recipes, "code": code("core", "recipes")}
    return Piece("check", made_of, files=files, commands=(script(command),))


def train_piece(
    recipe: dict[str, Any], rows: str, before: Piece | None, rate: str, cost: float
) -> Piece:
    """A training on the text of a file of rows, from the weights before it, and its export.

    Where there are none before it, it starts from the recipe's own base.
    """
    made_of = {
        "recipe": recipe,
        "rows": hashlib.sha256(rows.encode()).hexdigest(),
        "base": before.folder.name if before else weights(str(recipe["base_model"])),
    }
    if named := named_files(recipe):  # as a teacher's letters
        made_of["files"] = named
    places = {"base_model": f"./{before.model.as_posix()}"} if before else {}
    data = {**recipe["datasets"][0], "path": "{folder}/rows.jsonl"}
    places |= {"datasets": [data], "output_dir": "./{folder}/trained"}
    text = _yaml(recipe | places)
    launch = ("-m", "accelerate.commands.launch", "--quiet", "-m", "axolotl.cli.train")
    export = script(("recipes/export.py", "{folder}/recipe.yml"))
    commands = ((*launch, "{folder}/recipe.yml"), export)
    return Piece("train", made_of, rate, cost, {"rows.jsonl": rows, "recipe.yml": text}, commands)


def score_piece(
    trained: Piece,
    data: Path,
    scoring: dict[str, Any],
    words: Sequence[str],
    rate: str,
    cost: float,
) -> Piece:
    """The scoring of a fold's questions by a training's weights."""
    scored = [data, data.with_name("dev.orders.jsonl")]
    read = [sha256(path) for path in scored if path.is_file()]
    command = ("eval/score.py", "--model", trained.model.as_posix(), "--data", data.as_posix())
    command += ("--out", "{folder}/predictions.jsonl", *words)
    made_of = {"model": trained.folder.name, "data": read, "scoring": scoring}
    return Piece("score", made_of, rate, cost, {}, (script(command),))


def script(command: Sequence[str]) -> tuple[str, ...]:
    """A command of the project, whose first word is the path of its script."""
    return (str(ROOT / command[0]), *command[1:])


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
