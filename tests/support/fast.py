"""Which files of tests are fast: all that they import loads no model library and starts nothing."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.paths import ROOT

# to import all of them takes longer than the fast tests take together
SLOW = {"accelerate", "axolotl", "gradio", "kiwipiepy", "lm_eval", "matplotlib", "peft", "ray"}
SLOW |= {"qdrant_client", "sentence_transformers", "torch", "transformers", "vllm", "subprocess"}


@cache
def is_fast(file: Path) -> bool:
    """Whether a file imports nothing slow when it is imported, by whatever it imports."""
    done, left = {file}, [file]
    while left:
        for name in imported(left.pop()):
            if name.partition(".")[0] in SLOW:
                return False
            if (path := module(name)) and path not in done:
                done.add(path)
                left.append(path)
    return True


@cache
def module(name: str) -> Path | None:
    """The file of a module of the project."""
    path = ROOT.joinpath(*name.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in files if one.is_file()), None)


@cache
def imported(file: Path) -> frozenset[str]:
    """What a file imports outside of functions, and the packages that all this lies in."""
    found: set[str] = set()
    for node in outside_functions(ast.parse(file.read_text("utf-8")).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".") for name in found]
    return frozenset(".".join(one[:k]) for one in parts for k in range(1, len(one) + 1))


def outside_functions(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from outside_functions(getattr(node, part, []))
