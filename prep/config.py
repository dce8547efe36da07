"""One run of params.yaml, validated: what prep reads, how it renders and what it writes."""

from os.path import abspath
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from core.errors import UserError
from core.jsonl import validated
from core.layout import DATA
from core.option_orders import Orders
from core.records import Split, Strict
from core.yaml_io import read_mapping
from prep.cleaning import known
from prep.dedup import Method, Simhash
from prep.guards.track import Track
from prep.retrieval.settings import Excerpt, Retrieve
from prep.sources.mapping import TABLE, TableMapping
from prep.sources.registry import SOURCES
from prep.sources.source import CORPUS, Name, PromptName, Source

# what prep writes besides the stages
RESERVED = {"dev", "test", "dev-loss", "dev.orders", "test.orders", "questions"}
RESERVED |= {"removed", "changed", "preferences", "folds"}


class Corpus(TableMapping):
    """The files of the task itself, in the form of one source of the registry; dev and test may be
    absent. `dev_share` of the train file's questions are then held out as dev, no dialogue split.
    `origin` says whose data it is, which a form does not. A table has the keys of its mapping too.
    With `hub` and its `revision`, train, dev and test are splits of that set of the hub.
    """

    source: str = CORPUS
    origin: str | None = None
    train: str
    dev: str | None = None
    test: str | None = None
    dev_share: float | None = Field(default=None, gt=0, le=0.5)
    hub: str | None = None
    revision: str | None = None
    subset: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.source not in SOURCES or SOURCES[self.source].kind != "questions":
            known = ", ".join(name for name, one in SOURCES.items() if one.kind == "questions")
            raise ValueError(f"{self.source!r} is no source of questions; choose one of {known}")
        if self.source == TABLE:
            self.require_mapping("a corpus that is a table")
        elif self.columns:
            raise ValueError(f"columns are those of source {TABLE}, not of {self.source}")
        if self.hub or self.revision or self.subset:
            self.part(self.train)  # which says what is wrong with a name or revision
        if self.dev and self.dev_share:
            raise ValueError("dev_share holds dev out of train; leave out one of dev and dev_share")
        return self

    def part(self, split: str) -> Source:
        """What a split is read from: the file to be named, or a split of the hub's set."""
        if not (self.hub or self.revision or self.subset):
            return Source(source=self.source, **self.stated)
        given = {"hub": self.hub, "revision": self.revision, "subset": self.subset, "split": split}
        return Source(source=self.source, name=self.source, **given, **self.stated)

    def files(self) -> dict[Split, str]:
        """The files that are named, by split."""
        return self.model_dump(include={"train", "dev", "test"}, exclude_none=True)


class Lengths(Strict):
    """By stage, the recipe whose sequence_len its rows must not exceed; `tokenizer` names a model
    that has the recipe's tokenizer while the recipe's own base has not been made."""

    recipes: dict[Name, str] = Field(min_length=1)
    tokenizer: str | None = None


class Run(Strict):
    """One entry of `runs`; the comments of params.yaml explain its keys.

    All files that are named lie in `inputs`, which dvc.yaml watches. `out` is the folder of the
    rows, which follows from the run's name. `test_answers: drop` keeps the answers of a filled-in
    test file out of all that prep writes.
    """

    inputs: str
    track: Track | None = None
    corpus: Corpus
    out: str
    clean: Annotated[str | list[str], AfterValidator(known)] = "none"
    prompt: PromptName
    answer: Literal["option", "letter"] = "option"
    system: Literal["fold", "keep"] = "fold"
    orders: Orders = "published"
    scoring_orders: Literal["published", "cyclic", "all"] = "published"
    seed: int = 42
    duplicates: Method = Simhash()
    lengths: Lengths | None = None
    excerpts: Excerpt | None = None
    retrieve: Retrieve | None = None
    folds: int | None = Field(default=None, ge=2)
    preferences: bool | str = False
    test_answers: Literal["drop", "keep"] = "drop"
    stages: dict[Name, list[Source]] = Field(min_length=1)

    @model_validator(mode="after")
    def _watched(self) -> Self:
        mixed = [part.path for mix in self.stages.values() for part in mix if part.path]
        named = [] if self.corpus.hub else [*self.corpus.files().values()]
        known = self.retrieve.documents if self.retrieve else []
        for file in (*named, *mixed, *known):
            if not Path(abspath(file)).is_relative_to(abspath(self.inputs)):
                raise ValueError(
                    f"{file} does not lie in inputs ({self.inputs}), so changes would go unseen; "
                    "move the file, or name a folder that holds all files of the run"
                )
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for stage, mix in self.stages.items():
            if stage in RESERVED:
                raise ValueError(f"no stage can be called {stage}: prep writes such a file")
            if loose := [p for p in mix if p.at_corpus and p.source != self.corpus.source]:
                raise ValueError(f"{loose[0].title} needs either a path or a hub name")
            if any(part.at_corpus and part.columns for part in mix):
                raise ValueError("the columns of the corpus stand under corpus, not in a stage")
            names = [part.title for part in mix]
            if len(set(names)) < len(names):
                raise ValueError(f"{stage} names a source twice; give each its own name")
        parts: dict[str, dict[str, object]] = {}
        for part in (part for mix in self.stages.values() for part in mix):
            what = part.model_dump(exclude={"weight", "prompt"})  # these may change by stage
            if what != parts.setdefault(part.title, what):
                raise ValueError(f"two different sources are named {part.title}; rename one")
        if self.retrieve and self.track == "ga":
            raise ValueError("track 가 allows no data besides the corpus; take retrieve out")
        if self.lengths and (other := self.lengths.recipes.keys() - self.stages.keys()):
            raise ValueError(f"lengths names {sorted(other)[0]}, which is no stage")
        return self


def load_run(path: Path, name: str) -> Run:
    """The run `name` of a params file; raises `UserError` naming file, run, field and remedy."""
    runs = read_mapping(path).get("runs")
    if not isinstance(runs, dict) or not runs:
        raise UserError(f"{path}: has no `runs`; add one as in the repository's params.yaml")
    if name not in runs:
        raise UserError(f"{path}: no run {name!r}; choose one of {', '.join(map(str, runs))}")
    run, where = runs[name], f"{path}, run {name}"
    if not isinstance(run, dict):
        raise UserError(f"{where}: is no mapping; write it as the repository's params.yaml does")
    if "out" in run:
        raise UserError(f"{where}: takes no out: its rows go to {DATA / name}; take it out")
    return as_run(name, run, where)


def as_run(name: str, run: dict[str, Any], where: str) -> Run:
    """An entry of `runs`, whose rows go to data/NAME; raises `UserError` that names `where`."""
    return validated({**run, "out": (DATA / name).as_posix()}, Run, where)
