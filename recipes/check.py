"""Check recipes against the installed Axolotl's own schema and this project's rules.

Run as: python recipes/check.py recipes/*.yml recipes/tiny/*.yml --members

Axolotl ignores a misspelt key and takes the last of a repeated one, both in silence. A recipe on a
base that no family file knows is warned of and passes.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.yaml_io import read_mapping
from recipes.compose import compose
from recipes.members.tables import MEMBERS, backbones, load_members

if TYPE_CHECKING:
    from recipes.checks.recipe_rules import Recipe


def members() -> dict[Path, tuple[Recipe, str]]:
    """Every member's recipe and its text, by the path it is to have; nothing is written."""
    table = load_members()
    made = [compose(name, table) for name in table.members]
    return {one.path: (read_mapping(one.path, one.text), one.text) for one in made}


def problems_of(
    path: Path, recipe: Recipe, others: list[Recipe], text: str | None, live: bool
) -> Iterator[str]:
    """All problems of one recipe; of one that the schema cannot read, those of the schema."""
    # half a minute to import, and of no use to --help
    from recipes.checks.recipe_rules import family_of, rule_problems
    from recipes.checks.schema import schema_problems
    from recipes.plugins import shared_prefix, teacher_letters

    unread = list(schema_problems(recipe))
    yield from unread
    if unread:
        return
    yield from rule_problems(path, recipe, others, text)
    yield from (f"shared_prefix does not go {one}" for one in shared_prefix.recipe_problems(recipe))
    yield from teacher_letters.recipe_problems(recipe)
    family = family_of(recipe, others)
    if live and family and recipe["base_model"] in backbones():
        from recipes.checks.model_compatibility import live_problems  # heavy, and only wanted here

        yield from live_problems(recipe, family)


def warnings_of(recipe: Recipe, others: list[Recipe]) -> list[str]:
    """What a person should look at, and no reason to refuse the recipe."""
    from recipes.checks.recipe_rules import base_warnings

    return [f"warning: {one}" for one in base_warnings(recipe, others)]


def main() -> None:
    """Print every problem of every recipe; exit code 2 if there are any."""
    parser = argparse.ArgumentParser(
        description="Check recipes by the installed Axolotl's schema and this project's rules.",
        epilog="example:\n  python recipes/check.py recipes/*.yml recipes/tiny/*.yml --members",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipes", type=Path, nargs="*", help="recipes, with those they build on")
    parser.add_argument("--members", action="store_true", help=f"also every member of {MEMBERS}")
    parser.add_argument(
        "--live", action="store_true", help="also on the hub's own config.json and tokenizer"
    )
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # the schema's advice; its errors are ours to print

    found: dict[Path, tuple[Recipe, str | None]] = {
        path: (read_mapping(path), None) for path in args.recipes
    }
    if args.members:
        found |= members()
    if not found:
        raise UserError("no recipe named; name recipes, or give --members")
    count = 0
    for path, (recipe, text) in found.items():
        others = [one for other, (one, _) in found.items() if other != path]
        problems = list(problems_of(path, recipe, others, text, args.live))
        for line in [*problems, *warnings_of(recipe, others)]:
            print(f"{path}: {line}", file=sys.stderr)
        count += len(problems)
    if count:
        raise UserError(f"{count} problems in {len(found)} recipes; correct them as listed above")
    print(f"{len(found)} recipes are sound")


if __name__ == "__main__":
    entry(main)
