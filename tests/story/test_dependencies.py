"""The graph of dvc.yaml: a stage depends on all that it reads, and on no code that it does not."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.imports import MODULES, ROOMS, closure
from tests.support.paths import ROOT

STAGES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"].items()
}
# what a recipe of Axolotl names as plugins, and what recipes/export.py starts
STARTED = {
    "train": ("recipes.plugins.guard", "recipes.plugins.answer_accuracy"),
    "export": ("recipes.merge",),
}


def modules_of(name: str) -> set[str]:
    """The modules that a stage's command runs."""
    scripts = re.findall(r"python (\S+)\.py", STAGES[name]["cmd"])
    return closure(*(script.replace("/", ".") for script in scripts), *STARTED.get(name, ()))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_code_that_it_runs(name: str) -> None:
    deps = [Path(one) for one in STAGES[name]["deps"] if one.split("/")[0] in ROOMS]
    files = {MODULES[module].relative_to(ROOT) for module in modules_of(name)}
    assert files
    unseen = [
        str(file)
        for file in sorted(files)
        if file.name != "__init__.py" and not any(file.is_relative_to(dep) for dep in deps)
    ]
    assert unseen == []
    # folders of data alone: weights, ZeRO's settings
    code = [dep for dep in deps if dep.suffix == ".py" or list((ROOT / dep).glob("*.py"))]
    assert [str(dep) for dep in code if not any(file.is_relative_to(dep) for file in files)] == []
