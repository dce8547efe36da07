"""Whether a run can go on from a checkpoint: all that its trainer needs is there, to the end."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

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
