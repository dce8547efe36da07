"""The modules of the project, and which imports which, read from their text."""

import ast
from pathlib import Path

from tests.support.paths import ROOT

# each room imports those before it, and none after it
ROOMS = ("core", "earlier_systems", "prep", "recipes", "eval", "ensemble")
ROOMS += ("experiments", "bench", "app")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}
TEXTS = {name: path.read_text("utf-8") for name, path in MODULES.items()}


def imported(path: Path) -> set[str]:
    """The project's modules that a file imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                f"{node.module}.{alias.name}"
                if f"{node.module}.{alias.name}" in MODULES
                else node.module
                for alias in node.names
            }
    return found & MODULES.keys()


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def closure(*starts: str) -> set[str]:
    """The modules that some modules import, and those that these import; packages too."""
    done: set[str] = set()
    left = list(starts)
    while left:
        name = left.pop()
        if name not in done:
            done.add(name)
            left += IMPORTS[name]
            if (package := name.rpartition(".")[0]) in MODULES:
                left.append(package)
    return done
