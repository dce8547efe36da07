"""One part of a stage's mix, as params.yaml names it, and what reading it gives."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from core.errors import UserError
from core.records import Split
from prep.sources import table
from prep.sources.downloads import hub_records, records
from prep.sources.forms import SUFFIXES
from prep.sources.mapping import TABLE, TableMapping
from prep.sources.reader import Read, collect
from prep.sources.registry import SOURCES, Entry

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
# a file of prep/prompts, or the path of one's own
PromptName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*|.+\.jinja)$")]
CORPUS = "cci-2024"  # what a run's `corpus` is unless it says otherwise


class Source(TableMapping):
    """A registry name, and where its records are: a file, members of a zip or folder, or the hub.

    One without any of these is the run's `corpus`. `weight` says how often each of its records is
    taken; `prompt` takes the place of the run's for its questions. `origin` says whose data it is,
    `licence`, `non_commercial` and `published` what the registry does not know of it. A table has
    the keys of its mapping too.
    """

    source: str
    name: Name | None = None
    path: str | None = None
    member: str | None = None
    hub: str | None = None
    revision: str | None = None
    subset: str | None = None
    split: str = "train"
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    prompt: PromptName | None = None
    origin: str | None = None
    licence: str | None = None
    non_commercial: bool | None = None
    published: date | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.source not in SOURCES:
            raise ValueError(f"no source {self.source!r}; choose one of {', '.join(SOURCES)}")
        if self.source == CORPUS and bool(self.name) == self.at_corpus:
            raise ValueError(
                f"source {CORPUS} takes its file from `corpus`, or a name and a path of its own"
            )
        if self.source == TABLE and not self.at_corpus:
            self.require_mapping(self.title)
        if self.source != TABLE and self.columns:
            raise ValueError(f"columns are those of source {TABLE}, not of {self.source}")
        if self.entry.generic and not self.name and not (self.source == TABLE and self.at_corpus):
            raise ValueError(f"source {self.source} needs a name")
        if self.path and self.hub:
            raise ValueError(f"{self.title} needs either a path or a hub name")
        if self.hub and not self.pinned:
            raise ValueError(f"{self.title}: a hub name and its revision come together")
        if self.hub and not re.fullmatch(r"[0-9a-f]{40}", self.pinned or ""):
            raise ValueError(
                f"{self.title}: revision {self.pinned} is no full commit hash (40 hexadecimal "
                "digits); a branch or a tag may move"
            )
        if not self.hub and (self.revision or self.split != "train"):
            raise ValueError(f"{self.title}: revision and split are those of a hub set")
        if self.member and (not self.path or self.path.lower().endswith((*SUFFIXES, ".gz"))):
            raise ValueError(f"{self.title}: a member is part of a .zip path or of a folder")
        return self

    @property
    def title(self) -> str:
        """What rows and reports call it."""
        return self.name or self.source

    @property
    def entry(self) -> Entry:
        """What the registry knows of it."""
        return SOURCES[self.source]

    @property
    def at_corpus(self) -> bool:
        """Whether its files are those of the run's corpus."""
        return not self.path and not self.hub

    @property
    def facts(self) -> Entry:
        """What is known of it: by the registry, and by what stands here.

        Only the corpus itself may be trained on where external data may not.
        """
        entry = self.entry
        return replace(
            entry,
            name=self.title,
            licence=self.licence or entry.licence,
            non_commercial=entry.non_commercial
            if self.non_commercial is None
            else self.non_commercial,
            published=self.published or entry.published,
            tracks=entry.tracks if self.at_corpus else ("na",),
        )

    @property
    def pinned(self) -> str | None:
        """The hub's commit that is read."""
        return self.revision or (self.entry.revision if self.hub == self.entry.origin else None)


def read(source: Source, corpus: Path | None = None, split: Split = "train") -> Read:
    """All records of a source, as questions of `split` or as chats.

    `corpus` is the file of a source that names none. Raises `UserError` naming file, record, field
    and remedy.
    """
    if source.hub and source.pinned:
        found = hub_records(source.hub, source.pinned, source.subset, source.split)
    elif source.path or corpus:
        found = records(Path(source.path or str(corpus)), source.member)
    else:
        raise UserError(f"{source.title}: no file to read; name one under `corpus`")
    entry = source.entry
    found = entry.parts(found) if entry.parts else found
    if source.source == TABLE:
        found = table.checked(found, source, split)
    forgiving = entry.kind == "chats"
    return collect(entry.reader, found, source.title, split, source.subset, forgiving, source)
