"""What a run lacks is said before its first step, with the remedy."""

from pathlib import Path

import pytest
import torch
from axolotl.utils.dict import DictDefault
from safetensors.torch import save_file

from prep.errors import UserError
from recipes import preflight


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe with a base folder, in the current directory."""
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    save_file({"weight": torch.zeros(1)}, "base/model.safetensors")
    Path("base/config.json").write_text("{}")
    return DictDefault(
        axolotl_config_path="member.yml",
        base_model="./base",
        datasets=[{"path": "rows.jsonl", "type": "chat_template"}],
        plugins=["recipes.guard.GuardPlugin"],
        learning_rate=1e-3,
    )


def changed(recipe, **change):
    return DictDefault({**recipe, **change})


def test_a_sound_recipe_passes(recipe):
    preflight.preflight(recipe)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sequence_length": 9}, "no key sequence_length; did you mean sequence_len?"),
        ({"datasets": [{"pfad": "x"}]}, "no key datasets.pfad; "),
        ({"adam_beta": 1}, "no key adam_beta; did you mean adam_beta"),
        ({"plugins": ["recipes.guard.Wrong"]}, "plugin recipes.guard.Wrong cannot be imported"),
    ],
)
def test_a_wrong_key_is_refused_by_name(recipe, change, said):
    with pytest.raises(UserError) as refused:
        preflight.preflight(changed(recipe, **change))
    assert str(refused.value).startswith("member.yml: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bf16": True}, r"no GPU here, and the recipe asks for one \(bf16\)"),
        ({"attn_implementation": "flash_attention_2"}, "use recipes/tiny/stage1.yml"),
        ({"load_in_4bit": True, "test_datasets": [{"path": "x"}]}, "take out test_datasets"),
    ],
)
def test_recipes_for_a_gpu_are_refused_without_one(monkeypatch, recipe, change, said):
    monkeypatch.setattr(preflight.torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=said):
        preflight.require_device(changed(recipe, **change))


def test_the_best_checkpoint_is_not_asked_for_without_the_plugin_that_keeps_it(recipe):
    for asked in ({"load_best_model_at_end": True}, {"metric_for_best_model": "eval_accuracy"}):
        with pytest.raises(UserError, match=f"{next(iter(asked))} without .*; add it to plugins"):
            preflight.require_metric(changed(recipe, **asked))
        preflight.require_metric(changed(recipe, plugins=[preflight.ACCURACY], **asked))
    preflight.require_metric(recipe)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("./outputs/stage1-merged", r"run python recipes/merge\.py"),
        (
            "./outputs/members/best-gemma-stage1/model",
            "train that member first: dvc repro whole@best-gemma-stage1",
        ),
        ("./models/gemma", "download it there"),
        ("google/no-such-model", "accept its licence"),
    ],
)
def test_a_missing_base_is_refused_with_its_remedy(recipe, base, said):
    with pytest.raises(UserError, match=said):
        preflight.require_base(changed(recipe, base_model=base))
    preflight.require_base(recipe)
