"""Check recipes against the installed Axolotl's own schema, and against the rules of this house.

Run as: python recipes/check.py recipes/*.yml recipes/tiny/*.yml

Axolotl ignores a misspelt key and takes the last of a repeated one, both in silence.
"""

import argparse
import difflib
import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import yaml
from axolotl.integrations.base import load_plugin
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from axolotl.utils.schemas.deprecated import DeprecatedParameters
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from prep.errors import UserError, entry
from prep.jsonl import read_text

GUARD = "recipes.guard.GuardPlugin"
# what ends an answer, by chat template, for Gemma-2's tokenizer
TERMINATOR = {"alpaca": "<eos>", "gemma": "<end_of_turn>"}
KEEPS_SOFTCAP = {"eager", "flash_attention_2", "flex_attention"}
# a GPU that can do what recipes ask, so that they can be checked where there is none
CAPABILITIES = {
    "bf16": True,
    "fp8": False,
    "tf32": True,
    "n_gpu": 1,
    "compute_capability": "sm_90",
}


class UniqueKeys(yaml.SafeLoader):
    """YAML whose mappings may not name a key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build the mapping, or raise a YAML error that names the key and its line."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key} is there twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe as a mapping; raises `UserError` for malformed YAML and repeated keys."""
    try:
        recipe = yaml.load(read_text(path), UniqueKeys)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: {error.problem}; mend the YAML") from None
    if not isinstance(recipe, dict):
        raise UserError(f"{path}: no keys; a recipe is a YAML mapping")
    return recipe


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """All pydantic models inside a type, through unions and lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def fields_of(models: list[type[BaseModel]]) -> dict[str, FieldInfo]:
    """Fields of all models by the names a recipe may use."""
    return {
        str(alias): field
        for model in models
        for name, field in model.model_fields.items()
        for alias in {name, field.alias or name}
    }


def is_deprecated(name: str, field: FieldInfo) -> bool:
    """Whether Axolotl says that a key is on its way out."""
    said = field.description or (field.json_schema_extra or {}).get("description", "")
    return bool(
        field.deprecated
        or name in DeprecatedParameters.model_fields
        or "deprecated" in said.lower()
    )


def bad_keys(mapping: dict[str, Any], fields: dict[str, FieldInfo], where: str) -> Iterator[str]:
    """Problems with the keys of a mapping and of all mappings inside it."""
    for key, value in mapping.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; take it out"
            yield f"Axolotl knows no key {where}{key}{hint}"
            continue
        if is_deprecated(key, fields[key]):
            said = fields[key].deprecated
            yield f"key {where}{key} is deprecated; {said if isinstance(said, str) else 'drop it'}"
        inner = models_in(fields[key].annotation)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and inner:
                yield from bad_keys(part, fields_of(inner), f"{where}{key}.")


def schema_problems(recipe: dict[str, Any]) -> Iterator[str]:
    """What the installed Axolotl, and the recipe's plugins, would not understand."""
    models: list[type[BaseModel]] = [AxolotlInputConfig]
    for name in recipe.get("plugins") or []:
        try:
            args = load_plugin(name).get_input_args()
        except (ImportError, AttributeError, ValueError) as error:
            yield f"plugin {name} cannot be imported ({error}); Axolotl would go on without it"
            continue
        if args:
            module, _, model = args.rpartition(".")
            models.append(getattr(importlib.import_module(module), model))
    yield from bad_keys(recipe, fields_of(models), "")
    try:
        plain = {key: value for key, value in recipe.items() if key != "plugins"}
        validate_config(DictDefault(plain), CAPABILITIES, {"torch_version": "2.11.0"})
    except ValidationError as error:
        for item in error.errors():
            yield f"{'.'.join(map(str, item['loc'])) or 'recipe'}: {item['msg']}"
    except (ValueError, DeprecationWarning, ImportError) as error:
        yield str(error)


def house_problems(
    path: Path, recipe: dict[str, Any], others: list[dict[str, Any]]
) -> Iterator[str]:
    """What would ruin a run without a word, and what a reader misses at the top of a recipe."""
    header = read_text(path).split("\n\n")[0]
    command = f"accelerate launch -m axolotl.cli.train {path.as_posix()}"
    if command not in header:
        yield f"the first comment must say how to run this recipe: {command}"
    if recipe.get("excess_length_strategy") != "raise":
        yield "set excess_length_strategy: raise; otherwise long rows vanish"
    if recipe.get("val_set_size"):
        yield "take out val_set_size, which splits rows of one dialogue; use test_datasets"
    if recipe.get("dataset_prepared_path"):
        yield f"take out dataset_prepared_path; {GUARD} names it by content"
    if GUARD not in (recipe.get("plugins") or []):
        yield f"add {GUARD} to plugins"

    template = recipe.get("chat_template")
    end = TERMINATOR.get(template)
    if end is None:
        yield f"chat_template {template} is none of {', '.join(TERMINATOR)}"
    elif recipe.get("eot_tokens") != [end]:
        yield f"set eot_tokens to [{end}], which ends an answer in chat_template {template}"
    if recipe.get("attn_implementation") not in KEEPS_SOFTCAP:
        yield (
            f"attn_implementation {recipe.get('attn_implementation')} may lose Gemma-2's soft-cap; "
            f"use one of {', '.join(sorted(KEEPS_SOFTCAP))}"
        )

    base = str(recipe.get("base_model"))
    if base.endswith("-merged"):
        before = [other for other in others if Path(result_of(other)) == Path(base)]
        if not before:
            made = ", ".join(sorted({result_of(other) for other in others}))
            yield f"base_model {base} is made by no recipe given here (they make {made})"
        for other in before:
            for key in ("chat_template", "eot_tokens"):
                if other.get(key) != recipe.get(key):
                    yield f"{key} differs from that of the stage which makes {base}"


def result_of(recipe: dict[str, Any]) -> str:
    """The folder of whole weights that a recipe leads to, by way of recipes/merge.py if need be."""
    out = str(recipe.get("output_dir"))
    return f"{out}-merged" if recipe.get("adapter") else out


def main() -> None:
    """Print every problem of every recipe; exit code 2 if there are any."""
    parser = argparse.ArgumentParser(
        description="Check recipes against the installed Axolotl's schema and this house's rules.",
        epilog="example:\n  python recipes/check.py recipes/*.yml recipes/tiny/*.yml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipes", type=Path, nargs="+", help="recipes, with those they build on")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # the schema's advice; its errors are ours to print

    recipes = {path: read_recipe(path) for path in args.recipes}
    problems = [
        f"{path}: {problem}"
        for path, recipe in recipes.items()
        for check in (
            schema_problems(recipe),
            house_problems(path, recipe, [r for p, r in recipes.items() if p != path]),
        )
        for problem in check
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise UserError(
            f"{len(problems)} problems in {len(recipes)} recipes; mend them as said above"
        )
    print(f"{len(recipes)} recipes are sound")


if __name__ == "__main__":
    entry(main)
