"""Recipes and tables as YAML, read so that no mistake is overlooked."""

from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from core.errors import UserError
from core.files import read_text

MERGE = "tag:yaml.org,2002:merge"


class UniqueKeys(yaml.SafeLoader):
    """YAML whose mappings may not name a key twice; `<<` takes over what is not named."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value, or raise a YAML error with its line where it is no value of its type."""
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # 2024-13-45, or 1_ as an integer
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build the mapping, or raise a YAML error that names the key and its line."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue  # a list or mapping as key is refused below
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key} is there twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, text: str | None = None) -> dict[str, Any]:
    """The YAML mapping in a file that a person writes.

    Args:
        path: the file, which messages name.
        text: stands in for a file that is not written yet.

    Raises:
        UserError: for a file that cannot be read, malformed YAML, a repeated key, a value that is
            none of its type, and anything but a mapping; it names the line where there is one.
    """
    text = read_text(path) if text is None else text
    try:
        value = yaml.load(text, UniqueKeys)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: {error.problem}; correct the YAML") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(
            f"{path}, line {line}: special characters are not allowed; correct the YAML"
        ) from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply; correct the YAML") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: no keys; it must be a YAML mapping")
    return value
