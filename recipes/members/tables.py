"""Members, sets, methods and backbones as data: the tables of recipes/members, validated."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from core.errors import UserError
from core.jsonl import validated
from core.layout import DATA, OUTPUTS, PREDICTIONS, model_of, vote_of
from core.records import Strict
from core.yaml_io import read_mapping
from prep.guards.track import ModelFacts

MEMBERS = Path("recipes/members/members.yml")
METHODS = Path("recipes/members/methods.yml")
BACKBONES = Path("recipes/members/backbones")


class Backbone(Strict):
    """What is known of a model on the hub; None stands for "not looked up"."""

    revision: str | None = Field(pattern="^[0-9a-f]{40}$")
    licence: str | None
    non_commercial: bool | None
    published: date | None
    shape: str | None = None


class Family(Strict):
    """Backbones that are trained alike: their architecture and the recipe keys that follow from it.

    `ends` holds what ends an answer, by the chat templates that the family may use; None is the
    tokenizer's own eos, which Axolotl trains where a recipe names no `eot_tokens`. `shapes` holds
    what the config.json of its models says of their size and attention.
    """

    model_type: str
    ends: dict[str, str | None]
    recipe: dict[str, Any]
    shapes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    models: dict[str, Backbone]

    @property
    def softcap(self) -> bool:
        """Whether its attention has a soft-cap, which some implementations leave out."""
        return any("attn_logit_softcapping" in shape for shape in self.shapes.values())

    @model_validator(mode="after")
    def _known_shapes(self) -> Self:
        for name, model in self.models.items():
            if model.shape is not None and model.shape not in self.shapes:
                raise ValueError(f"{name} has the shape {model.shape}, which shapes does not hold")
        return self


class TrainingMethod(Strict):
    """A way to learn weights: the recipe it starts from and what it changes, None to take out.

    `file` names the rows that it needs, where any others would not do.
    """

    recipe: str
    file: str | None = None
    changes: dict[str, Any] = Field(default_factory=dict)


class Member(Strict):
    """One entry of `members`; the comments of recipes/members/members.yml explain the fields."""

    set: str
    rows: str
    votes: bool = True
    file: str = "stage2"
    base: str
    model: str | None = None
    method: str
    patience: int | None = Field(default=None, ge=1)
    changes: dict[str, Any] = Field(default_factory=dict)


class Set(Strict):
    """One entry of `sets`: what its members vote on and how, and where answers are known."""

    test: str
    format: str
    known: str
    rows: str
    shown: str = ""
    rule: str | None = None
    mixed: bool = False

    @model_validator(mode="after")
    def _same_format(self) -> Self:
        if Path(self.test).suffix != f".{self.format}":
            raise ValueError(f"format is {self.format}, but a submission has that of {self.test}")
        return self


class Members(Strict):
    """All members by name, and the sets that vote."""

    members: dict[str, Member]
    sets: dict[str, Set]

    def of_set(self, name: str) -> dict[str, Member]:
        """The members of a set, in the order that settles ties; raises `UserError` for no set."""
        pick(self.sets, name, "set")
        return {key: member for key, member in self.members.items() if member.set == name}

    def voters(self, name: str) -> list[Path]:
        """The predictions that vote in a set; raises `UserError` where none does."""
        found = [key for key, member in self.of_set(name).items() if member.votes]
        if not found:
            raise UserError(
                f"{MEMBERS}: no member votes in set {name}; add one, or name another set"
            )
        return [PREDICTIONS / name / f"{key}.jsonl" for key in found]

    def data(self, name: str) -> Path:
        """The rows of a set whose answers are known: dev's, or the test's own."""
        split = "test" if self.knows_test(name) else "dev"
        return DATA / self.sets[name].rows / f"{split}.jsonl"

    def knows_test(self, name: str) -> bool:
        """Whether a set's answers are known of its test itself; raises `UserError` for no set."""
        return Path(pick(self.sets, name, "set").known) == PREDICTIONS / name

    def compared(self, name: str) -> list[Path]:
        """The predictions of all members of a set where answers are known, and so its vote."""
        members = self.of_set(name)
        found = [Path(self.sets[name].known) / f"{key}.jsonl" for key in members]
        return [*found, vote_of(name)] if self.knows_test(name) else found

    def known_voters(self, name: str) -> list[Path]:
        """The predictions of those who vote in a set where answers are known."""
        voters = self.voters(name)
        return [Path(self.sets[name].known) / path.name for path in voters]


@dataclass(frozen=True)
class Origin:
    """Where a member's weights come from at last: a backbone of a family, or a folder."""

    name: str
    backbone: Backbone
    family: Family | None

    @property
    def facts(self) -> ModelFacts:
        """What the rules of the tracks look at."""
        known = self.backbone
        return ModelFacts(self.name, known.published, known.licence, known.non_commercial)


def load_members(path: Path = MEMBERS) -> Members:
    """Members and sets; raises `UserError` naming file, member, field and remedy."""
    return validated(read_mapping(path), Members, str(path))


def load_methods(path: Path = METHODS) -> dict[str, TrainingMethod]:
    """The methods by name."""
    return {
        name: validated(value, TrainingMethod, f"{path}, {name}")
        for name, value in read_mapping(path).items()
    }


@cache
def load_family(path: Path) -> Family:
    """One family of backbones."""
    return validated(read_mapping(path), Family, str(path))


def load_families(folder: Path = BACKBONES) -> list[Family]:
    """Every family of backbones, by the names of their files."""
    return [load_family(path) for path in sorted(folder.glob("*.yml"))]


def backbones(folder: Path = BACKBONES) -> dict[str, Origin]:
    """Every backbone of every family, by its name on the hub."""
    return {
        name: Origin(name, known, family)
        for family in load_families(folder)
        for name, known in family.models.items()
    }


def pick(table: Mapping[str, Any], name: str, what: str) -> Any:
    """An entry of a table; raises `UserError` naming the nearest known name."""
    if name not in table:
        near = get_close_matches(name, table, n=1, cutoff=0.0)
        raise UserError(f"no {what} {name}; the nearest known name is {', '.join(near) or 'none'}")
    return table[name]


def before(table: Members, name: str) -> str | None:
    """The member whose finished weights a member starts from, or None for a backbone's.

    Raises `UserError` where it starts from no member's, or by a ring from its own.
    """
    seen, first = {name}, None
    base = Path(pick(table.members, name, "member").base)
    while base.is_relative_to(OUTPUTS):
        previous = base.parent.name
        if base != model_of(previous) or previous not in table.members:
            raise UserError(
                f"{MEMBERS}, {name}: base {base} is no member's model; name one as "
                f"{model_of('MEMBER')}"
            )
        if previous in seen:
            raise UserError(f"{MEMBERS}, {name}: starts from itself, by way of {previous}")
        seen.add(previous)
        first = first or previous
        base = Path(table.members[previous].base)
    return first


def origin(table: Members, name: str) -> Origin:
    """The backbone that a member's weights come from; raises `UserError` where it is unknown."""
    previous = before(table, name)
    if previous:
        return origin(table, previous)
    member = table.members[name]
    if Path(member.base).suffix != ".yml":  # a folder, which may be yet to be made
        nothing = dict.fromkeys(Backbone.model_fields)
        return Origin(f"./{member.base}", Backbone.model_validate(nothing), None)
    if member.model is None:
        raise UserError(f"{MEMBERS}, {name}: names no model of {member.base}")
    family = load_family(Path(member.base))
    backbone = pick(family.models, member.model, f"model in {member.base}:")
    return Origin(member.model, backbone, family)
