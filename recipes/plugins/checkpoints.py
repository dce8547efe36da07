"""Checkpoints: whether a run can go on from one, and what a run does that is resumed or ends early.

A run goes on from a checkpoint that has all that its trainer needs, to the end.
"""

import functools
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import EarlyStoppingCallback, TrainerCallback

from core.errors import UserError
from core.jsonl import read_json
from recipes.weights.base_model import INDEX, unreadable

# each part of a trainer's state by the names it may have: one process, FSDP, DeepSpeed
DEEPSPEED = "global_step*"
MODEL = (
    "model.safetensors",
    INDEX,
    "adapter_model.safetensors",
    "pytorch_model_fsdp*",
    DEEPSPEED,
)
PARTS = (
    MODEL,
    ("optimizer.pt", "optimizer.bin", "optimizer_0", DEEPSPEED),
    ("scheduler.pt", DEEPSPEED),
)
STATE = "trainer_state.json"
TORCH = {".pt", ".pth", ".bin"}  # archives of torch.save


def in_order(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, the newest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[11:]), reverse=True)


def finished(checkpoint: Path) -> bool:
    """Whether the trainer wrote it to its end: its own state comes last."""
    try:
        return bool(read_json(checkpoint / STATE))
    except UserError:
        return False


def best_of(checkpoint: Path) -> Path | None:
    """The checkpoint with the best weights until then, next to this one; None where none is kept.

    The trainer wrote down where it was; a folder that moved has it too.
    """
    best = read_json(checkpoint / STATE).get("best_model_checkpoint")
    return checkpoint.with_name(Path(best).name) if best else None


def defect(checkpoint: Path, processes: int) -> str | None:
    """Why a run of so many processes cannot go on from a checkpoint, or None where it can."""
    if not checkpoint.is_dir():
        return "no such folder"
    return next(_defects(checkpoint, processes), None)


def _defects(checkpoint: Path, processes: int) -> Iterator[str]:
    if not finished(checkpoint):
        yield f"{STATE} is missing or cut off"
    ranks = range(processes)
    states = ("rng_state.pth",) if processes == 1 else (f"rng_state_{rank}.pth" for rank in ranks)
    for names in (*PARTS, *((state,) for state in states)):
        if not _has(checkpoint, names):
            yield f"{names[0]} is missing"
    if said := unreadable(checkpoint):
        yield said
    for path in sorted(checkpoint.rglob("*")):
        if path.suffix in TORCH and not _complete(path):
            yield f"{path.relative_to(checkpoint)} is cut off or spoilt"
        if path.suffix == ".distcp" and not (path.parent / ".metadata").is_file():
            yield f"{path.parent.name}/.metadata is missing"
    best = best_of(checkpoint)
    if best and not _has(best, MODEL):
        yield f"of {best.name}, the best until then, {MODEL[0]} is missing"
    if best and (said := unreadable(best)):
        yield f"of {best.name}, the best until then, {said}"


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    """Whether a folder holds a file or folder of one of these names."""
    return any(any(folder.glob(name)) for name in names)


def _complete(archive: Path) -> bool:
    """Whether an archive that torch wrote has its end, and parts with the right checksums."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError):
        return False


class StayStopped(TrainerCallback):
    """Ends a resumed run whose patience is spent, after one step: the best is loaded either way."""

    def __init__(self, trainer: Any):
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at the patience that the checkpoint restored."""
        for one in self.trainer.callback_handler.callbacks:
            if isinstance(one, EarlyStoppingCallback):
                spent = one.early_stopping_patience_counter >= one.early_stopping_patience
                control.should_training_stop |= spent


class OwnBest(TrainerCallback):
    """Has a resumed run find its best checkpoint next to the one that it resumes from.

    The trainer looks where it was written: in a folder that moved, it keeps the last in silence, or
    takes the best of whatever run lies there now.
    """

    def __init__(self, start: str | None):
        self.start = start

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at what the checkpoint restored."""
        if best := state.best_model_checkpoint:
            folder = Path(self.start).parent if self.start else Path(args.output_dir)
            state.best_model_checkpoint = str(folder / Path(best).name)


def leave_when_interrupted(*_: Any) -> None:
    """Have Ctrl-C end with code 130; Axolotl would save half-trained weights as if done, exit 0."""

    def leave(*_: Any) -> None:
        print("interrupted: run the same command again to go on", file=sys.stderr, flush=True)
        raise SystemExit(130)

    signal.signal(signal.SIGINT, leave)


def say_if_unsaved(save: Callable[..., Any]) -> Callable[..., Any]:
    """`save`, raising `UserError` where weights or states cannot be written: a full disk above all.

    The next run throws half a checkpoint away and continues from the last complete one.
    """

    @functools.wraps(save)
    def saving(*args: Any, **kwargs: Any) -> Any:
        try:
            return save(*args, **kwargs)
        except (OSError, RuntimeError, SafetensorError) as error:
            # torch.save has no error of its own for a write that failed
            if isinstance(error, RuntimeError) and "inline_container" not in str(error):
                raise
            raise UserError(
                f"the model cannot be saved ({str(error).splitlines()[0]}); see that output_dir "
                "has room, then run the same command again: it resumes from the last checkpoint"
            ) from None

    return saving
