"""The graph of dvc.yaml: a stage depends on all that it reads, and on no code that it does not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.imports import MODULES, ROOMS, closure
from tests.support.paths import DVC, ROOT

STAGES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"].items()
}
# what recipes name, for Axolotl to import
PLUGINS = {"train": ("recipes.plugins.guard", "recipes.plugins.answer_accuracy")}


def modules_of(name: str) -> set[str]:
    """The modules that a stage's command runs."""
    scripts = re.findall(r"python (\S+)\.py", STAGES[name]["cmd"])
    return closure(*(script.replace("/", ".") for script in scripts), *PLUGINS.get(name, ()))


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


# stands in for python and accelerate: trainings, their results and predictions are made up; all
# else is run, and what it opens below the checkout is noted
COMMAND = """#!{python}
import runpy, sys
from pathlib import Path

place, script = Path.cwd(), sys.argv[1]
sys.path.insert(0, str(place))
sys.argv = sys.argv[1:]
if "axolotl.cli.train" in sys.argv or "export.py" in script:
    name = "trained" if "axolotl.cli.train" in sys.argv else "model"
    Path(sys.argv[-1]).with_name(name).mkdir()
elif "score.py" in script:
    sys.path.append({root!r})
    from core.jsonl import read_records
    from core.records import Row
    from tests.support.scored_rows import save_predictions

    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    rows = read_records(Path(given["--data"]), Row)
    chance = {{row.id: [-1.0, -1.1, -1.2 - len(given["--out"]) / 99] for row in rows}}
    save_predictions(Path(given["--out"]), Path(given["--data"]), chance)
else:
    log = open("opened.txt", "a")
    reads = {{"r", "rb", "rt", None}}

    def note(event, args):
        if event == "open" and isinstance(args[0], (str, Path)) and args[1] in reads:
            path = Path(args[0]).absolute()
            if path.is_relative_to(place) and path.is_file():
                log.write(f"{{script}} {{path.relative_to(place)}}\\n")
                log.flush()

    sys.addaudithook(note)
    runpy.run_path(script, run_name="__main__")
"""
SEEN = (
    "demo-corpus",
    "rows@demo",
    "recipe@demo-seed1",
    "vote@demo",
    "report@demo",
    "diagnose@demo",
)


@pytest.mark.slow
@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_whatever_a_stage_reads_makes_it_run_again(tmp_path: Path) -> None:
    for name in ("core", "earlier_systems", "prep", "recipes", "eval", "ensemble"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvc/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("python", "accelerate"):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(COMMAND.format(python=sys.executable, root=str(ROOT)))
        command.chmod(0o755)

    def dvc(*arguments: str) -> str:
        path = f"{tmp_path}/bin:{os.environ['PATH']}"
        more = {"PATH": path, "DVC_TEST": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [DVC, *arguments], cwd=tmp_path, env=os.environ | more, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc("repro", "--quiet", *SEEN)
    opened = sorted(set((tmp_path / "opened.txt").read_text().splitlines()))
    resolved = yaml.safe_load((tmp_path / "dvc.lock").read_text())["stages"]
    unseen = []
    for line in opened:
        script, file = line.split()
        [stage] = [name for name in SEEN if script in resolved[name]["cmd"]]
        known = [*resolved[stage].get("params", {})]
        known += [one["path"] for one in resolved[stage]["deps"] + resolved[stage]["outs"]]
        if not any(Path(file).is_relative_to(one) for one in known):
            unseen.append(f"{stage} reads {file}")
    assert [one for one in unseen if not one.endswith("__init__.py")] == []  # those are empty
    assert len(opened) > 100
    # and DVC sees it: a prompt, a template of the page, the members
    for file, stage in (
        ("prep/prompts/reference.jinja", "rows@demo"),
        ("eval/reporting/report.html.jinja", "report@demo"),
        ("recipes/members/members.yml", "vote@demo"),
        ("data/demo/questions.jsonl", "report@demo"),
    ):
        before = (tmp_path / file).read_bytes()
        assert dvc("status", stage).strip().endswith("up to date.")
        (tmp_path / file).write_bytes(before + b"\n")
        assert f"{stage}:" in dvc("status", stage)
        (tmp_path / file).write_bytes(before)
