"""The tree: imports lead one way, a name stands for one thing, files are short."""

import ast
import re
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.imports import IMPORTS, MODULES, ROOMS, TEXTS
from tests.support.paths import ROOT

SCRIPTS = {MODULES[name].parent for name, text in TEXTS.items() if 'if __name__ == "__main' in text}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_those_before_it_only(room: str) -> None:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        if name.split(".")[0] == room
        for other in others
        if other.split(".")[0] not in allowed
    ]
    assert wrong == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    done: set[str] = set()
    way: list[str] = []

    def visit(name: str) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            way.append(name)
            for other in sorted(IMPORTS[name]):
                visit(other)
            way.pop()
            done.add(name)

    for name in sorted(MODULES):
        visit(name)


def test_the_picture_shows_which_room_serves_which() -> None:
    """An arrow leads from a room to one that imports it."""
    drawn = re.findall(r"^  (\w+) --> (\w+)$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M)
    rooms = {
        (other.split(".")[0], name.split(".")[0])
        for name, others in IMPORTS.items()
        for other in others
    }
    assert sorted(drawn) == sorted((one, other) for one, other in rooms if one != other)


def test_a_file_name_stands_for_one_thing() -> None:
    others = [path for room in ("tests", "requirements") for path in (ROOT / room).rglob("*.py")]
    counts = Counter(path.stem for path in [*MODULES.values(), *others] if path.stem != "__init__")
    assert [name for name, count in counts.items() if count > 1] == []


def test_a_class_name_stands_for_one_thing() -> None:
    """But for a class that derives from one of its name, as each engine is an Engine."""
    found: dict[str, list[str]] = {}
    for module, text in TEXTS.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                found.setdefault(node.name, []).extend([module] * (node.name not in bases))
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def test_no_file_is_longer_than_can_be_read_at_once() -> None:
    tests = {path.stem: path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")}
    lines = {name: text.count("\n") for name, text in (TEXTS | tests).items()}
    assert {name: count for name, count in lines.items() if count > 300} == {}


def test_no_script_changes_where_modules_are_found() -> None:
    assert [name for name, text in TEXTS.items() if re.search(r"\bsys\.path\b", text)] == []


@pytest.mark.parametrize("folder", sorted(SCRIPTS), ids=lambda path: path.name)
def test_a_script_hides_no_other_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks into a script's folder first, where a name would hide an installed package."""
    elsewhere = [one for one in sys.path if Path(one or ".").resolve() != ROOT]
    monkeypatch.setattr(sys, "path", elsewhere)
    names = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    assert names & sys.stdlib_module_names == set()
    assert [name for name in sorted(names) if name not in sys.modules and find_spec(name)] == []


def test_no_test_imports_another_test() -> None:
    tests = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")}
    found = re.compile(r"^\s*(?:from|import) tests\.\w+(?:\.| import )test_\w+", re.MULTILINE)
    assert {
        path.name: found.findall(text) for path, text in tests.items() if found.search(text)
    } == {}
