"""The trainings of a project: which wait, run, are done, stale or failed; curves and time left.

Nothing is asked of the trainer: its checkpoints, its log and this machine's processes say it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import psutil

from app.project import Project
from core.bilingual import Both
from core.errors import UserError
from core.files import sha256
from core.jsonl import read_json
from core.layout import OUTPUTS
from core.yaml_io import read_mapping
from recipes.members.tables import MEMBERS, load_members

State = Literal["running", "failed", "stale", "done", "waiting"]
STATES = get_args(State)  # in the order in which they are listed
RECIPE, TRAINED = "recipe.yml", "trained"
STATE, LOG = "trainer_state.json", "debug.log"
WEIGHTS = ("*.safetensors", "*.bin")
TAIL = 1 << 18  # bytes of the log that are read
# "36%|███▌      | 80/220 [01:54<02:56,  1.26s/it]", as the trainer's bar shows how far it is
BAR = re.compile(r"\| *(\d+)/(\d+) \[[\d:]+<([\d:?]+), [^]]*(?:s/it|it/s)\]")
BEGUN = "Starting trainer"  # what Axolotl logs before the first bar that is the training's
LOGGED = re.compile(r"\{'[a-z_]+'[^{}\n]*\}")
PAIR = re.compile(r"'([\w/]+)': '?(-?[\d.]+(?:e[-+]?\d+)?)'?")
STOPPED = Both(
    "stopped before its end; the same command goes on from its last checkpoint",
    "끝나기 전에 멈췄습니다. 같은 명령이 마지막 체크포인트에서 이어 갑니다",
)
TRACEBACK = Both(
    "ended with a traceback; see its debug.log",
    "오류(traceback)로 끝났습니다. debug.log를 보세요",
)


@dataclass(frozen=True)
class RunState:
    """A member and how far its training is; `sentence` says what there is to say of its state."""

    name: str
    set: str
    state: State
    step: int | None = None
    steps: int | None = None
    left: str = ""
    sentence: str = ""


def states(project: Project, of_set: str = "") -> list[RunState]:
    """Every member of the table and every folder of outputs, by state; of one set if named.

    Raises `UserError` where there is neither.
    """
    members = load_members(MEMBERS).members if MEMBERS.is_file() else {}
    sets = {name: member.set for name, member in members.items()}
    folders = {path.parent.name: path.parent for path in sorted(OUTPUTS.glob(f"*/{RECIPE}"))}
    names = [name for name in (*sets, *(n for n in folders if n not in sets))]
    if not names:
        raise UserError(
            Both(
                f"{OUTPUTS}: holds no recipe; write one by `python recipes/compose.py NAME`",
                f"{OUTPUTS}: 레시피가 없습니다. `python recipes/compose.py NAME` 명령으로 만드세요",
            )
        )
    running = trained_now()
    found = [
        state_of(project, name, sets.get(name, ""), running)
        for name in names
        if of_set in ("", sets.get(name, ""))
    ]
    return sorted(found, key=lambda one: STATES.index(one.state))


def state_of(project: Project, name: str, of_set: str, running: Iterable[Path]) -> RunState:
    """The state of one member, whose recipe may not be written yet."""
    recipe = OUTPUTS / name / RECIPE
    try:
        if not project.inside(recipe).is_file():
            return RunState(name, of_set, "waiting", sentence=f"python recipes/compose.py {name}")
        settings = read_mapping(recipe)
        folder = trained_in(project, recipe, settings)
        log, newest = tail(folder / LOG), newest_state(folder)
        finished = any(file for pattern in WEIGHTS for file in folder.glob(pattern))
        step, steps, left = progress(log, newest)
        if recipe.resolve() in running:
            return RunState(name, of_set, "running", step, steps, left)
        if finished:
            changed = differences(folder, settings)
            state: State = "stale" if changed else "done"
            step = newest.get("global_step", step)
            return RunState(name, of_set, state, step, newest.get("max_steps", steps), "", changed)
        if said := last_error(log):
            return RunState(name, of_set, "failed", step, steps, "", said)
        if log or newest:
            return RunState(name, of_set, "failed", step, steps, "", STOPPED)
    except UserError as error:
        return RunState(name, of_set, "failed", sentence=error.args[0])
    train = f"accelerate launch -m axolotl.cli.train {recipe}"
    return RunState(name, of_set, "waiting", sentence=train)


def trained_in(project: Project, recipe: Path, settings: dict[str, Any]) -> Path:
    """The folder that a recipe trains into; raises `UserError` where it names none."""
    if not isinstance(settings.get("output_dir"), str):
        raise UserError(
            Both(
                f"{recipe}: names no output_dir; write it by recipes/compose.py",
                f"{recipe}: output_dir가 없습니다. recipes/compose.py로 다시 만드세요",
            )
        )
    return project.inside(Path(settings["output_dir"]))


def trained_now() -> set[Path]:
    """The recipes that a process of this machine trains, resolved."""
    found = set()
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if any("axolotl" in word for word in words):
            here = Path(process.info["cwd"] or ".")
            found |= {(here / word).resolve() for word in words if word.endswith(".yml")}
    return found


def newest_state(folder: Path) -> dict[str, Any]:
    """What the trainer wrote down last: step, steps and history; empty where it wrote nothing."""
    files = [*folder.glob(f"checkpoint-*/{STATE}"), *folder.glob(STATE)]
    found = [value for file in files if isinstance(value := _json(file), dict)]
    return max(found, key=lambda one: one.get("global_step", 0), default={})


def _json(file: Path) -> Any:
    try:
        return read_json(file)
    except UserError:  # the trainer is writing it
        return None


def tail(log: Path) -> str:
    """The end of a log, each state of its bar on a line of its own; "" where there is no log."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        return file.read().decode(errors="replace").replace("\r", "\n")


def progress(log: str, newest: dict[str, Any]) -> tuple[int | None, int | None, str]:
    """Step, steps, and the time that the trainer's own bar says is left."""
    steps = newest.get("max_steps")
    bars = BAR.findall(log.rpartition(BEGUN)[2])
    total = (
        str(steps) if steps else bars[0][1] if bars else ""
    )  # evaluations have bars of their own
    own = [bar for bar in bars if bar[1] == total]
    if not own:
        return newest.get("global_step"), steps, ""
    step, _, left = own[-1]
    return int(step), int(total), "" if "?" in left else left


def last_error(log: str) -> str:
    """The sentence of a training that failed: ours, or the last line of Python's traceback."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    # at the start of a line, or behind the trainer's bar
    ours = re.findall(r"(?:^|\])error: (.+)$", "\n".join(lines), re.MULTILINE)
    if ours:
        return ours[-1]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return errors[-1] if errors else TRACEBACK
    return ""


def differences(folder: Path, settings: dict[str, Any]) -> str:
    """In what a finished run differs from its recipe and data as they are now; "" in nothing."""
    from recipes.plugins import run_fingerprint  # a second to import

    record = run_fingerprint.record_in(folder)
    if record is None:
        return ""
    data = {path: _sha256(path) for path in record.get("data") or {}}
    now = {"recipe": run_fingerprint.decisive(settings), "data": data}
    found = run_fingerprint.differences({part: record.get(part) for part in now}, now)
    said = "; ".join(found)
    return Both(f"{said}: train it again", f"{said}: 다시 학습하세요") if found else ""


def _sha256(name: str) -> str:
    path = Path(name)
    return _hashed(path, path.stat().st_mtime_ns) if path.is_file() else "missing"


@lru_cache(maxsize=64)
def _hashed(path: Path, _changed: int) -> str:
    return sha256(path)


def curves(project: Project, name: str) -> list[dict[str, Any]]:
    """What the trainer logged, as records of step, what (loss, eval_loss ...) and value.

    Raises `UserError` where it logged nothing yet.
    """
    recipe = project.child(OUTPUTS, name, RECIPE)
    if not recipe.is_file():
        command = f"python recipes/compose.py {name}"
        raise UserError(
            Both(
                f"{recipe}: is not written yet; run `{command}`",
                f"{recipe}: 아직 없습니다. `{command}` 명령을 실행하세요",
            )
        )
    folder = trained_in(project, recipe, read_mapping(recipe))
    history = newest_state(folder).get("log_history") or logged(tail(folder / LOG))
    found = [
        {"step": entry.get("step", entry.get("epoch")), "what": what, "value": float(value)}
        for entry in history
        for what, value in entry.items()
        if what.endswith(("loss", "accuracy")) and isinstance(value, int | float)
    ]
    if not found:
        raise UserError(
            Both(
                f"{folder}: nothing is logged yet; look again when the first steps are done",
                f"{folder}: 아직 기록이 없습니다. 첫 스텝이 끝난 뒤 다시 보세요",
            )
        )
    return found


def logged(log: str) -> list[dict[str, float]]:
    """The lines of figures of a log, of a run that has no checkpoint yet."""
    return [
        {key: float(value) for key, value in PAIR.findall(line)} for line in LOGGED.findall(log)
    ]
