"""One run of params.yaml, validated: what prep reads, how it renders and what it writes."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, model_validator

from prep.errors import UserError
from prep.jsonl import read_text, validated
from prep.records import Strict
from prep.sources.source import Name, Source

RESERVED = {"dev", "test", "dev-loss", "removed", "changed"}  # what prep writes besides the stages


class Corpus(Strict):
    """The institute's files; dev and test may be absent."""

    train: str
    dev: str | None = None
    test: str | None = None


class Run(Strict):
    """One entry of `runs`.

    `near` is the number of Simhash bits at which two texts are near-duplicates.
    `test_answers: drop` keeps the answers of a filled-in test file out of all that prep writes.
    """

    corpus: Corpus
    out: str
    prompt: Name
    answer: Literal["option", "letter"] = "option"
    system: Literal["fold", "keep"] = "fold"
    orders: Literal["published", "all"] = "published"
    near: int = Field(default=3, ge=0, le=7)
    test_answers: Literal["drop", "keep"] = "drop"
    stages: dict[Name, list[Source]] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for stage, mix in self.stages.items():
            if stage in RESERVED:
                raise ValueError(f"no stage can be called {stage}: prep writes such a file")
            names = [part.title for part in mix]
            if len(set(names)) < len(names):
                raise ValueError(f"{stage} names a source twice; give each its own name")
        parts: dict[str, dict[str, object]] = {}
        for part in (part for mix in self.stages.values() for part in mix):
            what = part.model_dump(exclude={"weight", "prompt"})  # these may change by stage
            if what != parts.setdefault(part.title, what):
                raise ValueError(f"two different sources are named {part.title}; rename one")
        return self


def load_run(path: Path, name: str) -> Run:
    """The run `name` of a params file; raises `UserError` naming file, run, field and remedy."""
    try:
        params = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: malformed YAML; mend that line") from None
    runs = params.get("runs") if isinstance(params, dict) else None
    if not isinstance(runs, dict) or not runs:
        raise UserError(f"{path}: has no `runs`; add one as in the repository's params.yaml")
    if name not in runs:
        raise UserError(f"{path}: no run {name!r}; choose one of {', '.join(map(str, runs))}")
    return validated(runs[name], Run, f"{path}, run {name}")
