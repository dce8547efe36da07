"""What the installed Axolotl's own schema, and those of a recipe's plugins, say of its keys."""

import difflib
import importlib
from collections.abc import Iterator
from typing import Any, get_args

from axolotl.integrations.base import load_plugin
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from axolotl.utils.schemas.deprecated import DeprecatedParameters
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

# a GPU that can do what recipes ask, so that they can be checked where there is none
CAPABILITIES = {
    "bf16": True,
    "fp8": False,
    "tf32": True,
    "n_gpu": 1,
    "compute_capability": "sm_90",
}


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


def key_problems(recipe: dict[str, Any]) -> Iterator[str]:
    """Plugins that are not there, and keys that neither Axolotl nor the plugins know."""
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


def schema_problems(recipe: dict[str, Any]) -> Iterator[str]:
    """What the installed Axolotl, and the recipe's plugins, would not understand."""
    yield from key_problems(recipe)
    try:
        plain = {key: value for key, value in recipe.items() if key != "plugins"}
        validate_config(DictDefault(plain), CAPABILITIES, {"torch_version": "2.11.0"})
    except ValidationError as error:
        for item in error.errors():
            yield f"{'.'.join(map(str, item['loc'])) or 'recipe'}: {item['msg']}"
    except (ValueError, DeprecationWarning, ImportError) as error:
        yield str(error)
