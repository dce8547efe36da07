"""A recipe that a person copies and changes is checked for what it is, on any base."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.yaml_io import read_mapping as read_recipe
from recipes.check import problems_of, warnings_of
from recipes.checks.recipe_rules import rule_problems
from tests.support.paths import ROOT


def copied(recipe: str, path: Path, **changes: str) -> Path:
    """A recipe copied elsewhere with other values of its keys, as a person would edit it."""
    text = (ROOT / "recipes" / recipe).read_text("utf-8")
    for key, value in changes.items():
        text = re.sub(rf"(?m)^{key}: .*$", f"{key}: {value}", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_a_copy_on_another_base_passes_with_a_warning(tmp_path):
    path = copied(
        "stage1.yml", tmp_path / "my/recipe.yml", base_model="owner/model", chat_template="llama3"
    )
    done = subprocess.run(
        [sys.executable, "recipes/check.py", str(path)], cwd=ROOT, text=True, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, "1 recipes are sound\n"), done.stderr
    base, revision = done.stderr.splitlines()
    assert base.startswith(f"{path}: warning: no file of recipes/members/backbones knows base_m")
    assert "see that eot_tokens holds what ends an answer in chat_template llama3" in base
    assert "is a commit of google/gemma-2-9b-it, not of owner/model" in revision


@pytest.mark.parametrize("recipe", ["stage1.yml", "stage2.yml", "orpo.yml", "stage2-fsdp2.yml"])
@pytest.mark.parametrize(
    ("base", "template"),
    [
        ("Qwen/Qwen3-8B", "qwen3"),
        ("./models/mine", "gemma"),
        ("/data/models/mine", "chatml"),
        ("FOLDER", "llama3"),
    ],
)
def test_an_unknown_base_is_no_gemma_2(monkeypatch, tmp_path, recipe, base, template):
    monkeypatch.chdir(ROOT)
    if base == "FOLDER":  # whose kind leaves open which family it is of
        base = str(tmp_path / "base")
        (tmp_path / "base").mkdir()
        (tmp_path / "base/config.json").write_text('{"model_type": "llama"}')
    changes = {"base_model": base, "chat_template": template, "revision_of_model": "main"}
    path = copied(recipe, tmp_path / "recipe.yml", **changes)
    made = read_recipe(path)
    assert list(problems_of(path, made, [], None, live=False)) == []
    unpacked = made | {"attn_implementation": "sdpa", "sample_packing": False}
    assert list(rule_problems(path, unpacked, [])) == []
    assert [base in one for one in warnings_of(made, [])] == [True]
    # what follows it in a chain is not warned of again, nor held to another family's rules
    after = made | {"base_model": "./outputs/mine", "output_dir": "./outputs/last"}
    before = made | {"output_dir": "./outputs/mine", "adapter": None}
    assert list(rule_problems(path, after, [before])) == []
    assert warnings_of(after, [before]) == []


def test_a_known_base_keeps_its_family_s_rules_wherever_the_recipe_lies(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    path = copied("stage1.yml", tmp_path / "recipe.yml", base_model="Qwen/Qwen2-7B-Instruct")
    found = list(rule_problems(path, read_recipe(path), []))
    assert found == ["chat_template alpaca is none of chatml"]
    (tmp_path / "config.json").write_text('{"attn_logit_softcapping": 50.0}')
    made = read_recipe(path) | {"base_model": str(tmp_path), "attn_implementation": "sdpa"}
    assert ["soft-cap" in one for one in rule_problems(path, made, [])] == [True]
