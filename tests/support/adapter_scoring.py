"""Adapters over one model, and the options by which transformers score them."""

from pathlib import Path

from tests.support.tiny_models import save_adapter


def four_adapters(folder: Path, base: Path) -> dict[str, Path]:
    """Adapters a to d of a base, each of a seed of its own."""
    return {name: save_adapter(folder / name, base, seed=ord(name)) for name in "abcd"}


def options(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    """The command line of eval/score.py."""
    fixed = ["--model", str(model), "--data", str(data), "--out", str(out), "--backend", "hf"]
    return [*fixed, *more]
