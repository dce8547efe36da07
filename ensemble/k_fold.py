"""Folds of one recipe: the files of one name, each in a folder of its own.

`folds/0/gemma.jsonl` and `folds/1/gemma.jsonl` are two models of recipe gemma.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from eval.predictions import IMPORTED, Meta


def shares(paths: Sequence[Path]) -> list[float]:
    """What each file counts, so that every recipe counts once: 1 / (files of its name).

    Raises `UserError` where no recipe has two.
    """
    count = Counter(path.stem for path in paths)
    if max(count.values()) < 2:
        raise UserError(
            f"{paths[0]}: no two of the files share a name, so there are no folds; name "
            "folds/0/NAME.jsonl, folds/1/NAME.jsonl ..., or say --rule soft"
        )
    return [1 / count[path.stem] for path in paths]


def model_of(meta: Meta) -> tuple[object, object]:
    """The hashes of the weights that scored, and of their adapter; None where not recorded."""
    extra = meta.model_extra or {}
    return extra.get("weights_sha256"), extra.get("adapter_sha256")


def require_different(paths: Sequence[Path], metas: Sequence[Meta]) -> None:
    """Raise `UserError` where one model stands for two folds of a recipe."""
    seen: dict[tuple[str, object, object], Path] = {}
    for path, meta in zip(paths, metas, strict=True):
        if meta.method == IMPORTED:
            raise UserError(
                f"{path}: was made elsewhere, of no known fold, which rule k-fold needs; leave it "
                "out, or say --rule hard"
            )
        model = model_of(meta)
        if model != (None, None) and (path.stem, *model) in seen:
            raise UserError(
                f"{path}: the weights that scored it scored {seen[path.stem, *model]} too, so it "
                "is no other fold; score it with the model of its own fold"
            )
        seen[path.stem, *model] = path


def summary(paths: Sequence[Path]) -> str:
    """How many folds each recipe has, and a question where one seems to lack some."""
    count = Counter(path.stem for path in paths)
    said = "folds: " + ", ".join(f"{name} {number}" for name, number in count.items())
    if len(set(count.values())) == 1:
        return said
    return f"{said}; not equally many, yet every recipe counts once: is a file missing?"
