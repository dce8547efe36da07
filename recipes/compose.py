"""Compose the plain Axolotl recipe of a member of recipes/members/members.yml, next to its outputs.

Run as: python recipes/compose.py pohanghang-01-polar-v02

The method's recipe, the keys of the backbone's family and the member's own changes lie over one
another in this order; a key of None is taken out. The same entry gives the same bytes.
"""

import argparse
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError, entry
from core.files import atomic_file
from core.layout import OUTPUTS
from core.yaml_io import read_mapping
from prep.config import Run, load_run
from prep.guards.track import NAMES, check_model, enforce
from recipes.members.tables import (
    MEMBERS,
    Member,
    Members,
    Origin,
    TrainingMethod,
    before,
    load_members,
    load_methods,
    origin,
    pick,
)

PARAMS = Path("params.yaml")
# how an answer is written: a stage continues with what the stage before it has learnt
WRITING = ("chat_template", "chat_template_jinja", "eot_tokens")


@dataclass(frozen=True)
class Composed:
    """A member's recipe, where it will lie, and what a person must look at."""

    name: str
    member: Member
    method: TrainingMethod
    origin: Origin
    run: Run
    recipe: dict[str, Any]
    notes: list[str]

    @property
    def path(self) -> Path:
        """The file that `accelerate launch -m axolotl.cli.train` takes."""
        return OUTPUTS / self.name / "recipe.yml"

    @property
    def text(self) -> str:
        """The file: a header of comments, a blank line, the keys."""
        keys = yaml.safe_dump(self.recipe, sort_keys=False, allow_unicode=True, width=100)
        return f"{header(self)}\n{keys}"


def laid(over: dict[str, Any], under: dict[str, Any]) -> dict[str, Any]:
    """`under` with the keys of `over` in their place; None takes a key out."""
    both = {**under, **over}
    return {key: value for key, value in both.items() if value is not None}


def compose(name: str, table: Members, params: Path = PARAMS) -> Composed:
    """The recipe of one member; raises `UserError` where its track forbids its backbone."""
    member: Member = pick(table.members, name, "member")
    method: TrainingMethod = pick(load_methods(), member.method, "method")
    run, backbone, previous = (
        load_run(params, member.rows),
        origin(table, name),
        before(table, name),
    )
    file = method.file or member.file
    if file not in run.stages and not (file == "preferences" and run.preferences):
        raise UserError(f"{params}, run {member.rows}: makes no {file}.jsonl, which {name} needs")

    recipe = read_mapping(Path(method.recipe))
    written = backbone.family.recipe if backbone.family else {}
    if previous:
        earlier = compose(previous, table, params).recipe
        written = {**written, **{key: earlier.get(key) for key in WRITING}}
    for over in (method.changes, written, member.changes):
        recipe = laid(over, recipe)
    if member.patience:
        recipe = laid(stopping(name, member.patience, recipe), recipe)
    folder = Path(run.out)
    recipe["datasets"] = [
        laid({"path": (folder / f"{file}.jsonl").as_posix()}, recipe["datasets"][0])
    ]
    if "test_datasets" in recipe:
        dev = {"path": (folder / "dev-loss.jsonl").as_posix()}
        recipe["test_datasets"] = [laid(dev, recipe["test_datasets"][0])]
    places = {
        "base_model": f"./{member.base}" if previous else backbone.name,
        "revision_of_model": None if previous else backbone.backbone.revision,
        "output_dir": f"./{OUTPUTS / name / 'trained'}",
    }
    notes = enforce(check_model(run.track, backbone.facts)) if backbone.family else []
    if backbone.family and backbone.backbone.revision is None:
        notes.append(f"{backbone.name}: no revision; pin it, or a later upload changes the run")
    return Composed(name, member, method, backbone, run, laid(places, recipe), notes)


def stopping(name: str, patience: int, recipe: dict[str, Any]) -> dict[str, Any]:
    """The keys by which training stops after `patience` epochs without a better accuracy.

    Axolotl stops early only where steps are counted, so that an epoch is given as a share of all
    steps: rounded down, since transformers rounds the steps up.
    """
    epochs = recipe.get("num_epochs") or 0
    if not recipe.get("load_best_model_at_end") or epochs < 2:
        raise UserError(
            f"{MEMBERS}, {name}: patience needs two epochs or more, and a method that keeps the "
            "best of them; take patience out"
        )
    share = floor(1e6 / epochs) / 1e6
    return {
        "save_strategy": None,
        "eval_strategy": None,
        "save_steps": share,
        "eval_steps": share,
        "early_stopping_patience": patience,
    }


def header(made: Composed) -> str:
    """What a reader of the file needs: from what it is made, and by which commands it is used."""
    member, known = made.member, made.origin.backbone
    clean = made.run.clean if isinstance(made.run.clean, str) else ", ".join(made.run.clean)
    track = f"track {NAMES[made.run.track]}" if made.run.track else "no track"
    facts = [
        f"revision {known.revision or 'not pinned'}",
        f"licence {known.licence or 'unknown'}",
        f"published {known.published or 'unknown'}",
    ]
    lines = {
        "Composed": f"python recipes/compose.py {made.name}; change {MEMBERS}, not this file",
        "Needs": f"{made.run.out} (python prep/build.py --run {member.rows})",
        "Run": f"accelerate launch -m axolotl.cli.train {made.path.as_posix()}",
        "Then": f"python recipes/export.py {made.path.as_posix()}",
        "Backbone": ", ".join([made.origin.name, *(facts if made.origin.family else [])]),
        "Starts": member.base,
        "Rows": f"prompt {made.run.prompt}, cleaning {clean}, {track}, seed {made.run.seed}",
        "Method": f"{member.method}, from {made.method.recipe}",
        "Memory": "not measured",
        "Time": "not measured",
    }
    body = [f"# {key:<9} {value}" for key, value in lines.items()]
    flags = [f"# Look up   {note}" for note in made.notes]
    title = f"# {made.name}: {member.method} of {made.origin.name}, a member of {member.set}."
    return "\n".join([title, "#", *body, *flags]) + "\n"


def main() -> None:
    """Write the recipes of the members named."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/compose.py --set pohanghang",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="members of recipes/members")
    parser.add_argument("--set", help="all members of this set")
    parser.add_argument("--members", type=Path, default=MEMBERS, help="all members")
    parser.add_argument("--params", type=Path, default=PARAMS, help="the runs that make the rows")
    args = parser.parse_args()

    table = load_members(args.members)
    sets = ", ".join(dict.fromkeys(one.set for one in table.members.values()))
    of_set = [name for name, one in table.members.items() if one.set == args.set]
    if args.set and not of_set:
        raise UserError(f"no set {args.set}; the sets are {sets}")
    names = args.names + of_set
    if not names:
        raise UserError(f"no member named; name one, or one of the sets {sets} by --set")
    # all are made before the first is written: what is wrong with one shows at once
    for made in [compose(name, table, args.params) for name in names]:
        with atomic_file(made.path) as file:
            file.write(made.text)
        print(made.path)
        for note in made.notes:
            print(f"  look up: {note}")


if __name__ == "__main__":
    entry(main)
