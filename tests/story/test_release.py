"""A release: the wheel is built without a network, holds what the code reads, and can be used."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.imports import MODULES, ROOMS
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
READ = {".css", ".jinja", ".js", ".yml"}  # by code, and by whoever starts from a recipe
BUILD = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
USE = """
from prep.card import TEMPLATE
from prep.render import load_prompt
from recipes.members.tables import load_families, load_members
from pathlib import Path
import core

here = Path(core.__file__).parents[1]
assert "installed" in here.parts, here
assert TEMPLATE.is_file() and load_prompt("reference").name.startswith("reference@")
assert load_families(here / "recipes/members/backbones")
assert load_members(here / "recipes/members/members.yml").sets
"""


def command(where: Path, code: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=where,
        env=os.environ | more,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fetched(folder: str, names: list[str]) -> set[str]:
    """What is no part of the code: caches, and a base that was fetched."""
    return {"__pycache__", "base" if Path(folder).name == "small" else ""} & set(names)


@pytest.mark.slow
def test_the_wheel_holds_what_the_code_reads_and_can_be_used(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=fetched)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command(copy, BUILD, PYTHONPATH="")
    [wheel] = (copy / "dist").iterdir()
    assert wheel.name == f"maerak-{PROJECT['version']}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        opened.extractall(tmp_path / "installed")  # all that installing pure Python is
    files = [path.relative_to(copy) for room in ROOMS for path in (copy / room).rglob("*.*")]
    read = {str(path) for path in files if path.suffix in READ and path.parent.name != "base"}
    assert (copy / "recipes/tiny/base/model.safetensors").is_file()
    assert sorted(read - names) == []
    packages = {str(path.relative_to(ROOT)) for path in MODULES.values()}
    assert {name for name in packages - names if not name.startswith("recipes/tiny/")} == set()
    assert not any("/base/" in name or name.startswith("tests") for name in names)
    command(tmp_path, USE, PYTHONPATH=str(tmp_path / "installed"))


def test_the_changelog_begins_with_the_version() -> None:
    found = re.findall(r"^## (\S+), \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert found[0] == PROJECT["version"]


def test_the_workflow_runs_what_the_projects_ci_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    [job] = workflow["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert os.access(ROOT / ".ci/run", os.X_OK)
