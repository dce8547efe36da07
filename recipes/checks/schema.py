"""What the installed Axolotl's own schema, and those of a recipe's plugins, say of its keys."""

import difflib
import importlib
import math
import re
from collections.abc import Collection, Iterator
from typing import Any, get_args

from axolotl.integrations.base import load_plugin
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from axolotl.utils.schemas.deprecated import DeprecatedParameters
from axolotl.utils.schemas.enums import CustomSupportedOptimizers
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from transformers import SchedulerType
from transformers.training_args import OptimizerNames

# a GPU that can do what recipes ask, so that they can be checked where there is none
CAPABILITIES = {
    "bf16": True,
    "fp8": False,
    "tf32": True,
    "n_gpu": 1,
    "compute_capability": "sm_90",
}
TORCH = {"torch_version": "2.11.0"}
# what the schema takes as any text, and Axolotl only looks up once the model is loaded
NAMED = {
    "optimizer": {str(one.value) for one in (*OptimizerNames, *CustomSupportedOptimizers)},
    "lr_scheduler": {str(one.value) for one in SchedulerType} | {"one_cycle", "rex"},
}
# what the schema takes as any number
POSITIVE = (
    "gradient_accumulation_steps",
    "learning_rate",
    "logging_steps",
    "lora_r",
    "micro_batch_size",
    "num_epochs",
    "sequence_len",
)
NOT_NEGATIVE = (
    "eval_steps",
    "max_grad_norm",
    "max_steps",
    "save_steps",
    "warmup_ratio",
    "warmup_steps",
    "weight_decay",
)
PAIRS = ("lora", "qlora")  # adapters that are given pairs A and B
TARGETS = ("lora_target_linear", "lora_target_modules", "lora_target_parameters")


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
    description = field.description or (field.json_schema_extra or {}).get("description", "")
    return bool(
        field.deprecated
        or name in DeprecatedParameters.model_fields
        or "deprecated" in description.lower()
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
            advice = fields[key].deprecated
            advice = advice if isinstance(advice, str) else "drop it"
            yield f"key {where}{key} is deprecated; {advice}"
        inner = models_in(fields[key].annotation)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and inner:
                yield from bad_keys(part, fields_of(inner), f"{where}{key}.")


def key_problems(recipe: dict[str, Any]) -> Iterator[str]:
    """Plugins that are not there, and keys that neither Axolotl nor the plugins know."""
    models: list[type[BaseModel]] = [AxolotlInputConfig]
    for name in recipe.get("plugins") or []:
        try:
            args = load_plugin(name).get_input_args()
        except (ImportError, AttributeError, ValueError) as error:
            yield f"plugin {name} cannot be imported ({error}); Axolotl would train without it"
            continue
        if args:
            module, _, model = args.rpartition(".")
            models.append(getattr(importlib.import_module(module), model))
    yield from bad_keys(recipe, fields_of(models), "")


def shape_problems(recipe: dict[str, Any]) -> Iterator[str]:
    """Texts and lists that are none, which neither Axolotl nor the other checks can read."""
    for key in ("base_model", "chat_template", "output_dir"):
        if not isinstance(recipe.get(key, ""), str | None):
            yield f"{key} must be a text"
    for key, part, what in (
        ("plugins", str, "names"),
        ("datasets", dict, "mappings, each with a path"),
        ("test_datasets", dict, "mappings, each with a path"),
    ):
        value = recipe.get(key)
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(one, part) for one in value):
            yield f"{key} must be a list of {what}"


def value_problems(recipe: dict[str, Any]) -> Iterator[str]:
    """Values that the schema takes, and that end in a traceback or in nothing learnt."""
    for key, known in NAMED.items():
        if (value := recipe.get(key)) is not None and str(value) not in known:
            yield unknown(key, value, known)
    for key in (*POSITIVE, *NOT_NEGATIVE):
        value = number(recipe.get(key))
        zero = value == 0 and key in NOT_NEGATIVE
        if value is not None and not zero and not 0 < value < math.inf:
            least = "from 0 on" if key in NOT_NEGATIVE else "over 0"
            yield f"{key} is {recipe[key]}; give a number {least}"
    for key in ("datasets", "test_datasets"):
        if not all(isinstance(part.get("path", 0), str) for part in recipe.get(key) or []):
            yield f"{key}: one has no path; name the file that holds its rows"
    options = recipe.get("optim_args")
    if isinstance(options, str) and not all(pair.count("=") == 1 for pair in options.split(",")):
        yield f"optim_args {options} is no list of key=value, parted by commas"
    for name in recipe.get("unfrozen_parameters") or []:
        try:
            re.compile(str(name))
        except re.error as error:
            yield f"unfrozen_parameters: {name} is no regular expression ({error}); correct it"


def adapter_problems(recipe: dict[str, Any]) -> Iterator[str]:
    """What an adapter that begins anew lacks."""
    if recipe.get("adapter") not in PAIRS or recipe.get("lora_model_dir"):
        return
    needs = f"adapter {recipe['adapter']} needs"
    for key in ("lora_r", "lora_alpha"):
        if recipe.get(key) is None:
            yield f"{needs} {key}"
    if not any(recipe.get(key) for key in TARGETS):
        yield f"{needs} the layers it is for; set one of {', '.join(TARGETS)}"


def number(value: Any) -> float | None:
    """A number, which YAML may have read as a text (1e-3); None for anything else."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def unknown(key: str, value: Any, known: Collection[str]) -> str:
    """A sentence for a value that is none of those known, with the nearest of them."""
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(sorted(known))}"
    return f"Axolotl knows no {key} {value}; {hint}"


def rejected(error: ValidationError) -> Iterator[str]:
    """The schema's own errors: of several for one key, such as one for each type, the first."""
    first = {item["loc"][:1]: item for item in reversed(error.errors())}
    for item in reversed(first.values()):
        key = ".".join(str(part) for part in item["loc"] if "[" not in str(part)) or "recipe"
        if known := re.findall(r"'([^']+)'", str(item.get("ctx", {}).get("expected", ""))):
            yield unknown(key, item["input"], known)
        else:
            yield f"{key}: {item['msg'].removeprefix('Value error, ')}"


def schema_problems(
    recipe: dict[str, Any],
    capabilities: dict[str, Any] = CAPABILITIES,
    torch_version: dict[str, str] = TORCH,
) -> Iterator[str]:
    """What the installed Axolotl, and the recipe's plugins, would not understand.

    The capabilities are those of the machine that trains, as Axolotl words them.
    """
    if unreadable := list(shape_problems(recipe)):
        yield from unreadable
        return
    yield from key_problems(recipe)
    yield from value_problems(recipe)
    yield from adapter_problems(recipe)
    try:
        plain = {key: value for key, value in recipe.items() if key != "plugins"}
        validate_config(DictDefault(plain), capabilities, torch_version)
    except ValidationError as error:
        yield from rejected(error)
    except (ValueError, TypeError, DeprecationWarning, ImportError) as error:
        yield str(error)
