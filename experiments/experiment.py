"""An experiment in YAML: a base, what is changed in it, and the recipes that follow.

docs/ablations.md explains the keys. A recipe's evaluations are taken out: a fold that is scored
must choose neither a checkpoint nor the moment to stop.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import Field

from core.errors import UserError
from core.jsonl import validated
from core.layout import DATA
from core.records import Strict
from core.yaml_io import read_mapping
from eval.methods import arguments
from prep.config import Run, as_run, load_run
from prep.guards.track import NAMES
from prep.render import load_prompt
from recipes.compose import PARAMS, compose, laid
from recipes.members.tables import MEMBERS, Members, before, load_members

BASE = "base"
# what a change may say of the run; the rest decides which questions there are, and their folds
RUN = ("answer", "clean", "duplicates", "excerpts", "lengths", "orders", "preferences", "prompt")
RUN += ("retrieve", "stages", "system", "track")
ORDERS = {1: "published", 3: "cyclic", 6: "all"}  # of three options, by their number
EVALUATION = ("test_datasets", "val_set_size", "eval_strategy", "eval_steps", "evals_per_epoch")
EVALUATION += ("eval_sample_packing", "load_best_model_at_end", "metric_for_best_model")
EVALUATION += ("greater_is_better", "early_stopping_patience")
PLACES = ("datasets", "output_dir", *EVALUATION)  # what an experiment decides itself
ACCURACY = "recipes.plugins.answer_accuracy.AccuracyPlugin"
# keys of a recipe, each with the plugin that it brings; a teacher's must be the last
BROUGHT = {
    "shared_prefix": "recipes.plugins.shared_prefix.SharedPrefixPlugin",
    "teacher_letters": "recipes.plugins.teacher_letters.TeacherPlugin",
}
ENGINE = (
    "backend",
    "batch_size",
    "dtype",
    "load_in",
)  # of eval/score.py, besides its methods' options


class Change(Strict):
    """What differs from the base: keys of the run, of the last recipe, of those before it (false
    leaves these out), and of scoring. None takes a key out."""

    run: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    stage1: dict[str, Any] | Literal[False] = Field(default_factory=dict)
    scoring: dict[str, Any] = Field(default_factory=dict)

    def over(self, under: "Change") -> "Change":
        """This change laid over another."""
        off = self.stage1 is False or under.stage1 is False
        return Change(
            run={**under.run, **self.run},
            recipe={**under.recipe, **self.recipe},
            stage1=False if off else {**under.stage1, **self.stage1},
            scoring={**under.scoring, **self.scoring},
        )

    @property
    def words(self) -> str:
        """The change in a table's cell."""
        earlier = {"stage1": False} if self.stage1 is False else self.stage1
        parts = {**self.run, **self.recipe, **earlier, **self.scoring}
        return ", ".join(f"{key}: {_word(value)}" for key, value in parts.items())


class Experiment(Strict):
    """A file of experiments/*.yml: the base, a member or a recipe, and changes to it by name."""

    base: str
    rows: str | None = None
    folds: int = Field(default=5, ge=2)
    seeds: list[int] = Field(default_factory=list)
    weights: Literal["keep", "drop"] = "keep"
    common: Change = Change()
    changes: dict[str, Change] = Field(min_length=1)


@dataclass(frozen=True)
class Link:
    """A training of the base's chain: the file of rows that it learns, and its recipe."""

    file: str
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """The base or a change, resolved: its run, its recipes in order, and how it is scored.

    `asked` are the options of scoring that are named, `scoring` all with their defaults.
    """

    name: str
    words: str
    settings: dict[str, Any]
    run: Run
    links: tuple[Link, ...]
    asked: dict[str, Any]
    scoring: dict[str, Any]

    @cached_property
    def same(self) -> dict[str, Any]:
        """What two variants that train and score alike have in common."""
        recipes = [[link.file, link.recipe] for link in self.links]
        return {"run": self.run.model_dump(), "recipes": recipes, "scoring": self.scoring}


@dataclass(frozen=True)
class Loaded:
    """An experiment ready to run."""

    name: str
    path: Path
    experiment: Experiment
    variants: dict[str, Variant]


def load(path: Path, params: Path = PARAMS, members: Path = MEMBERS) -> Loaded:
    """Read an experiment and resolve all its variants; raises `UserError` for whatever is wrong."""
    made = validated(read_mapping(path), Experiment, str(path))
    if BASE in made.changes:
        raise UserError(f"{path}: no change can be called {BASE}; give it another name")
    if len(set(made.seeds)) < len(made.seeds):
        raise UserError(f"{path}: a seed is named twice; name each once")
    rows, links = chain(path, made, load_members(members), params)
    load_run(params, rows)  # which says what is wrong with it
    run = read_mapping(params)["runs"][rows]
    variants = {
        name: _variant(path, name, change.over(made.common), change.words, run, links, made)
        for name, change in {BASE: Change(), **made.changes}.items()
    }
    for name, one in variants.items():
        if name != BASE and one.same == variants[BASE].same:
            raise UserError(f"{path}, {name}: equals the base; change something, or take it out")
    return Loaded(path.stem, path, made, variants)


def chain(
    path: Path, made: Experiment, table: Members, params: Path
) -> tuple[str, tuple[Link, ...]]:
    """The run whose rows the base uses, and its trainings in their order."""
    if Path(made.base).suffix not in (".yml", ".yaml"):
        if made.base not in table.members:
            near = get_close_matches(made.base, table.members, n=1, cutoff=0.0)
            raise UserError(
                f"{path}: base {made.base} is no member of {MEMBERS} (the nearest is {near[0]}) "
                "and no recipe's file; correct it"
            )
        return made.rows or table.members[made.base].rows, _links(made.base, table, params)
    recipe = read_mapping(Path(made.base))
    data = recipe.get("datasets") or []
    if len(data) != 1 or not isinstance(data[0], dict) or "path" not in data[0]:
        raise UserError(f"{made.base}: an experiment needs a recipe with one dataset; name another")
    file = Path(data[0]["path"])
    rows = made.rows or (file.parent.name if file.parent.parent == DATA else None)
    if rows is None:
        raise UserError(f"{path}: says no rows; name the run of {params} that makes them")
    start = Path(str(recipe.get("base_model")))
    earlier = start.parent.name if start.name == "model" else None
    links = _links(earlier, table, params) if earlier in table.members else ()
    return rows, (*links, Link(file.stem, recipe))


def _links(name: str, table: Members, params: Path) -> tuple[Link, ...]:
    previous = before(table, name)
    made = compose(name, table, params)
    link = Link(made.method.file or made.member.file, made.recipe)
    return (*(_links(previous, table, params) if previous else ()), link)


def _variant(
    path: Path,
    name: str,
    change: Change,
    words: str,
    run: Mapping[str, Any],
    links: tuple[Link, ...],
    made: Experiment,
) -> Variant:
    where = f"{path}, {name}"
    _known(where, "run", change.run, RUN)
    scoring = _scoring(where, change.scoring)
    if made.seeds and "seed" in change.recipe:
        raise UserError(f"{where}: seed is varied by seeds already; take one of them out")
    if change.stage1 is False and len(links) == 1:
        raise UserError(f"{where}: the base has no stage before its last; take stage1 out")
    shown = {} if change.scoring.get("pride") is None else {"scoring_orders": "cyclic"}
    if (orders := scoring["permutations"]) != "none":
        shown = {"scoring_orders": orders}
    given = laid({**change.run, "folds": made.folds, "test_answers": "drop", **shown}, dict(run))
    if isinstance(given.get("orders"), int):
        given["orders"] = ORDERS.get(given["orders"], given["orders"])
    resolved = as_run(name, given, where)
    _require_questions(where, resolved)
    kept = links[-1:] if change.stage1 is False else links
    for link in kept:
        if link.file not in resolved.stages and not (
            link.file == "preferences" and resolved.preferences
        ):
            raise UserError(f"{where}: its run makes no {link.file}.jsonl, which the base needs")
    recipes = tuple(
        Link(link.file, _recipe(where, link, change, links[0], last=link is links[-1]))
        for link in kept
    )
    if resolved.track == "ga" and any(link.recipe.get("teacher_letters") for link in recipes):
        raise UserError(f"{where}: track {NAMES['ga']} allows no teacher; take teacher_letters out")
    resolved = resolved.model_copy(update={"out": ""})  # which says its name alone
    return Variant(name, words, given, resolved, recipes, change.scoring, scoring)


def _recipe(where: str, link: Link, change: Change, first: Link, last: bool) -> dict[str, Any]:
    """A link's recipe, changed, without evaluations and places."""
    keys: dict[str, Any] = change.recipe if last else change.stage1 or {}
    if own := [key for key in keys if key in PLACES]:
        raise UserError(
            f"{where}: {own[0]} is the experiment's own, which evaluates on the folds; take it out"
        )
    if last and link is not first and "base_model" in keys:
        raise UserError(f"{where}: base_model is what the stage before makes; take it out")
    recipe = laid(keys, link.recipe)
    if last and change.stage1 is False:
        start = {key: first.recipe.get(key) for key in ("base_model", "revision_of_model")}
        recipe = laid(start | {key: keys[key] for key in start.keys() & keys}, recipe)
    recipe = {key: value for key, value in recipe.items() if key not in (*EVALUATION, "output_dir")}
    plugins = [one for one in recipe.get("plugins") or [] if one != ACCURACY]
    plugins += [one for key, one in BROUGHT.items() if recipe.get(key) and one not in plugins]
    return recipe | {"plugins": plugins}


def _scoring(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of eval/score.py, all of the methods' filled in; raises `UserError`."""

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UserError(f"{where}: scoring: {message}")

    parser = Parser(add_help=False, allow_abbrev=False)
    arguments.add_arguments(parser)
    methods = {key: value for key, value in given.items() if key not in ENGINE}
    _known(where, "scoring", methods, [action.dest for action in parser._actions])
    args = parser.parse_args(options(methods))
    arguments.check(parser, args)
    return vars(args) | {key: value for key, value in given.items() if key in ENGINE}


def options(scoring: Mapping[str, Any]) -> list[str]:
    """Options of eval/score.py as words of its command."""
    return [
        word
        for key, value in scoring.items()
        if value is not None
        for word in (f"--{key.replace('_', '-')}", str(value))
    ]


def _require_questions(where: str, run: Run) -> None:
    """Raise `UserError` unless the folds are made of training questions that no one else scores."""
    if not any(part.at_corpus for mix in run.stages.values() for part in mix):
        raise UserError(
            f"{where}: no stage takes the corpus's own questions, so there are no folds; name "
            "its source under stages, without a path"
        )
    at = run.corpus
    if at.train == at.test or (at.hub and at.train == "test"):
        raise UserError(
            f"{where}: corpus.train is a scored test set, whose labels are never used; name the "
            "file of the training questions"
        )
    load_prompt(run.prompt)


def _known(where: str, part: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    names = sorted(known)
    if odd := [key for key in given if key not in names]:
        near = get_close_matches(str(odd[0]), names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}"
        raise UserError(f"{where}: {part} has no key {odd[0]} to change; {hint}")


def _word(value: Any) -> str:
    if isinstance(value, list | dict):
        return "…"
    return "off" if value is False or value is None else "on" if value is True else str(value)
