"""The story as a stranger meets it: entries explain themselves, dvc.yaml is one graph."""

import subprocess
import sys
from pathlib import Path

import pytest

from recipes import combine
from recipes.members.tables import load_members
from recipes.weights import combining

ENTRIES = sorted(
    path
    for folder in ("prep", "recipes", "eval", "ensemble", "experiments", "app")
    for path in Path(folder).rglob("*.py")
    if "    entry(main)" in path.read_text("utf-8")
)
DVC = Path(".venv-dvc/bin/dvc")
# packages that take a second and more to import; on two shared cores torch's take half a minute
HEAVY = {
    *("torch", "torchao", "transformers", "axolotl", "accelerate", "peft", "trl", "datasets"),
    *("bitsandbytes", "vllm", "ray", "llguidance", "sentence_transformers", "kiwipiepy"),
    "qdrant_client",
    *("sklearn", "pandas", "matplotlib", "numba", "statsmodels"),
}


def test_all_entries_are_found():
    assert {"build.py", "score.py", "vote.py", "export.py", "check.py", "synthetic.py"} <= {
        path.name for path in ENTRIES
    }


@pytest.mark.parametrize("path", ENTRIES, ids=str)
def test_help_has_an_example_that_names_the_entry(path):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", str(path), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "example" in result.stdout
    assert f"python {path}" in result.stdout
    assert f"Run as: python {path}" in path.read_text("utf-8")
    timed, said = [], []
    for line in result.stderr.splitlines():
        (timed if line.startswith("import time:") else said).append(line)
    assert said == []  # a library's warning stands above nobody's help
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in timed}
    assert "argparse" in imported
    assert not imported & HEAVY


def test_methods_named_in_the_help_are_those_there_are():
    assert tuple(combining.METHODS) == combine.METHODS


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_the_story_leads_from_corpus_to_submission_for_both_runs():
    result = subprocess.run(
        [DVC.resolve(), "dag", "--md", "--outs"], capture_output=True, text=True, check=True
    )
    for name in ("data/cci", "outputs/cci-stage1/model", "submissions/cci.json"):
        assert f'"{name}"' in result.stdout
    pages = ("metrics/demo.html", "metrics/demo-members.html", "metrics/demo-corpus")
    for name in ("data/demo-corpus", "outputs/demo-seed3/model", "submissions/demo.json", *pages):
        assert f'"{name}"' in result.stdout


def test_members_of_the_demo_differ_by_seed_only():
    members = load_members()
    voters = [members.members[path.stem] for path in members.voters("demo")]
    assert [one.changes for one in voters] == [{"seed": seed} for seed in (1, 2, 3)]
    assert len({one.model_copy(update={"changes": {}}).model_dump_json() for one in voters}) == 1
