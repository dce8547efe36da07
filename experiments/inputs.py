"""What the rows of a run are made of: a change of any of these files makes other rows."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from prep.config import Run
from prep.retrieval import documents
from prep.retrieval.sentence_models import READ
from prep.sources.downloads import fingerprint, is_there
from prep.sources.source import Source

TOKENIZER = ["*.json", "*.txt", "*.model", "*.jinja"]


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
    found |= {path: _read(path) for path in _models(run)}
    return {name: hash_ for name, hash_ in found.items() if hash_}


def _others(run: Run, parts: Iterable[Source]) -> list[str]:
    """Prompts of one's own, the recipes that say what is too long, and predictions."""
    named = [run.prompt, *(part.prompt for part in parts), run.preferences]
    named += run.lengths.recipes.values() if run.lengths else []
    named += [one.recipe for one in (run.retrieve, run.excerpts) if one]
    return [name for name in named if isinstance(name, str) and Path(name).is_file()]


def _models(run: Run) -> list[str]:
    """The files of an embedder, a reranker and of tokenizers that lie here, by their paths."""
    said = run.retrieve
    named = [(one.model, READ) for one in (said and said.embedder, said and said.rerank) if one]
    measured = (run.lengths, run.retrieve, run.excerpts)
    named += [(one.tokenizer, TOKENIZER) for one in measured if one and one.tokenizer]
    below = (path for name, kinds in named for kind in kinds for path in Path(name).rglob(kind))
    return sorted({str(path) for path in below})


@cache  # variants share their files, and are asked for more than once
def _read(name: str, member: str | None = None) -> str | None:
    """The hash of what a name stands for, or None where there is nothing."""
    path = Path(name)
    return fingerprint(path, member) if path.is_dir() or is_there(path) else None
