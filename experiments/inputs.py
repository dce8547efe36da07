"""What the rows of a run are made of: a change of any of these files makes other rows."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from experiments.pieces import digest, weights
from prep.config import Run
from prep.retrieval import documents
from prep.sources.downloads import fingerprint, is_there
from prep.sources.source import Source


def inputs(run: Run, stages: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every file that the stages of a run read, by its name in params.yaml.

    A pattern or a folder has that of all that is read of it. What is not there is left out: the
    build says so. Raises `UserError` for documents that are not there, or cannot be read.
    """
    parts = [part for stage in stages for part in run.stages[stage]]
    found = {name: _read(name) for name in run.corpus.files().values()}
    for part in parts:
        if part.path:  # of which two parts may read other members
            found[f"{part.path}!{part.member}"] = _read(part.path, part.member)
    found |= {name: _read(name) for name in _others(run, parts)}
    if run.retrieve:
        shown = documents.files(run.retrieve.documents)
        found |= {f"documents/{name}": _read(str(path)) for name, path in shown.items()}
        models = [one.model for one in (run.retrieve.embedder, run.retrieve.rerank) if one]
        found |= {name: digest(weights(name)) for name in models}
    return {name: hash_ for name, hash_ in found.items() if hash_}


def _others(run: Run, parts: Iterable[Source]) -> list[str]:
    """Prompts of one's own, the recipes that say what is too long, and predictions."""
    named = [run.prompt, *(part.prompt for part in parts), run.preferences]
    named += run.lengths.recipes.values() if run.lengths else []
    named += [one.recipe for one in (run.retrieve, run.excerpts) if one]
    return [name for name in named if isinstance(name, str) and Path(name).is_file()]


@cache  # variants share their files, and are asked for more than once
def _read(name: str, member: str | None = None) -> str | None:
    """The hash of what a name stands for, or None where there is nothing."""
    path = Path(name)
    return fingerprint(path, member) if path.is_dir() or is_there(path) else None
