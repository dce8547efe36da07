"""Recipes and tables as YAML, read so that no mistake is overlooked."""

from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError
from core.files import read_text

MERGE = "tag:yaml.org,2002:merge"


class UniqueKeys(yaml.SafeLoader):
    """YAML whose mappings may not name a key twice; `<<` takes over what is not named."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build the mapping, or raise a YAML error that names the key and its line."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key} is there twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, text: str | None = None) -> dict[str, Any]:
    """A YAML mapping; raises `UserError` for malformed YAML and repeated keys.

    `text` stands in for a file that is not written yet.
    """
    try:
        value = yaml.load(read_text(path) if text is None else text, UniqueKeys)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: {error.problem}; fix the YAML") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: no keys; a recipe is a YAML mapping")
    return value
