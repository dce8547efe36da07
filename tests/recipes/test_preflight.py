"""What a run lacks is said before its first step, with the remedy."""

import shutil
from pathlib import Path

import pytest
import torch
from axolotl.utils.dict import DictDefault
from safetensors.torch import save_file

from core.errors import UserError
from core.jsonl import write_json
from recipes.checks import preflight
from recipes.members import tables
from recipes.weights.base_model import base_of

LORA = {"adapter": "lora", "lora_r": 4, "lora_alpha": 8, "lora_target_linear": True}
BACKBONES = Path(tables.__file__).parent / "backbones"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe with a base folder, in the current directory."""
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    save_file({"weight": torch.zeros(1)}, "base/model.safetensors")
    write_json(Path("base/config.json"), {"model_type": "gemma2", "max_position_embeddings": 512})
    (Path("recipes/members") / "backbones").mkdir(parents=True)
    for path in BACKBONES.glob("*.yml"):
        shutil.copy(path, Path("recipes/members/backbones"))
    return DictDefault(
        axolotl_config_path="member.yml",
        base_model="./base",
        datasets=[{"path": "rows.jsonl", "type": "chat_template"}],
        plugins=["recipes.plugins.guard.GuardPlugin"],
        chat_template="alpaca",
        eot_tokens=["<eos>"],
        sequence_len=512,
        excess_length_strategy="raise",
        attn_implementation="eager",
        bf16=False,
        micro_batch_size=2,
        gradient_accumulation_steps=1,
        num_epochs=1,
        learning_rate=1e-3,
    )


def changed(recipe, **change):
    return DictDefault({**recipe, **change})


def test_a_sound_recipe_passes(recipe):
    preflight.preflight(recipe)
    preflight.preflight(changed(recipe, **LORA))
    preflight.preflight(changed(recipe, warmup_ratio=0, max_steps=0, learning_rate="1e-3"))
    del recipe["sequence_len"]  # Axolotl has one of its own
    preflight.preflight(recipe)


def test_a_key_that_is_there_twice_stops_a_run(recipe):
    Path("member.yml").write_text("seed: 1\nlearning_rate: 1e-3\nseed: 2\n")
    with pytest.raises(UserError, match=r"member\.yml, line 3: key seed is there twice"):
        preflight.preflight(recipe)


def softcapped(key):
    settings = {"model_type": "gemma2", "attn_logit_softcapping": 50.0}
    write_json(Path("base/config.json"), {key: settings} if key else settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chat_template": "gemma"}, "set eot_tokens to [<end_of_turn>]"),
        ({"chat_template": "gemma", "eot_tokens": None}, "set eot_tokens to [<end_of_turn>]"),
        ({"optimizer": "adamw_bnb8bit"}, "did you mean adamw_bnb_8bit?"),
        ({"lr_scheduler": "cosin"}, "did you mean cosine?"),
        ({"micro_batch_size": "two"}, "micro_batch_size: Input should be a valid integer"),
        ({"micro_batch_size": 0}, "micro_batch_size is 0"),
        ({"learning_rate": "-1e-3"}, "learning_rate is -1e-3; give a number over 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; give a number over 0"),
        ({"max_steps": -1}, "max_steps is -1; give a number from 0 on"),
        ({"warmup_ratio": -0.1}, "warmup_ratio is -0.1"),
        ({"logging_steps": 0}, "logging_steps is 0"),
        ({"optim_args": "kahan"}, "optim_args kahan is no list of key=value"),
        ({"datasets": [{"type": "chat_template"}]}, "datasets: one has no path"),
        ({"test_datasets": [{"path": None}]}, "test_datasets: one has no path"),
        (LORA | {"lora_r": None}, "adapter lora needs lora_r"),
        (LORA | {"lora_alpha": None}, "adapter lora needs lora_alpha"),
        (LORA | {"lora_target_linear": None}, "adapter lora needs the layers it is for"),
        ({"unfrozen_parameters": ["layers.(9"]}, "layers.(9 is no regular expression"),
        (LORA | {"lora_r": 0}, "lora_r is 0"),
        ({"fp16": True}, "scoring computes in bfloat16 or float32"),
        ({"float16": True}, "scoring computes in bfloat16 or float32"),
        ({"bf16": None}, "set bf16 to true or false"),
        ({"excess_length_strategy": None}, "otherwise long rows vanish"),
        ({"val_set_size": 0.1}, "take out val_set_size"),
        ({"trust_remote_code": True}, "take out trust_remote_code"),
        ({"sequence_len": 513}, "sequence_len 513 is over the model's 512"),
        ({"sequence_len": "513"}, "sequence_len 513 is over the model's 512"),
        ({"sample_packing": True, "attn_implementation": "sdpa"}, "show rows of a pack"),
        ({"datasets": "rows.jsonl"}, "datasets must be a list of mappings"),
    ],
)
def test_what_the_linter_finds_stops_a_run(recipe, change, said):
    with pytest.raises(UserError) as refused:
        preflight.preflight(changed(recipe, **change))
    assert str(refused.value).startswith("member.yml: ")
    assert said in str(refused.value)


@pytest.mark.parametrize("key", [None, "text_config"])
@pytest.mark.parametrize("attention", ["sdpa", None])
def test_attention_that_drops_the_model_s_soft_cap_stops_a_run(recipe, key, attention):
    preflight.preflight(changed(recipe, attn_implementation=attention))
    softcapped(key)
    preflight.preflight(recipe)
    with pytest.raises(UserError, match="may lose the model's soft-cap"):
        preflight.preflight(changed(recipe, attn_implementation=attention))


def test_a_family_that_is_not_known_may_have_any_template(recipe):
    write_json(Path("base/config.json"), {"model_type": "llama"})
    preflight.preflight(changed(recipe, chat_template="llama3", eot_tokens=["<|eot_id|>"]))


def test_rows_are_made_ready_without_a_gpu(monkeypatch, recipe):
    monkeypatch.setattr(preflight.torch.cuda, "is_available", lambda: False)
    ready = changed(recipe, bf16=True, adapter="lora", lora_r=4, lora_alpha=8, is_preprocess=True)
    preflight.preflight(changed(ready, lora_target_linear=True), trains=False)
    with pytest.raises(UserError, match="no GPU here"):
        preflight.preflight(ready)


def test_a_command_s_own_flags_are_no_keys_of_the_recipe(recipe):
    preflight.preflight(changed(recipe, debug=False, shard=False, debug_num_examples=0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sequence_length": 9}, "no key sequence_length; did you mean sequence_len?"),
        ({"datasets": [{"pfad": "x"}]}, "no key datasets.pfad; "),
        ({"adam_beta": 1}, "no key adam_beta; did you mean adam_beta"),
        (
            {"plugins": ["recipes.plugins.guard.Wrong"]},
            "plugin recipes.plugins.guard.Wrong cannot be imported",
        ),
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
        ({"tf32": True}, r"the recipe asks for one \(tf32\)"),
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


def test_an_adapter_goes_on_only_on_its_own_base(recipe):
    on = changed(recipe, lora_model_dir="./adapter")
    with pytest.raises(UserError, match=r"adapter: no adapter in this folder \(lora_model_dir\)"):
        preflight.preflight(on)
    Path("adapter").mkdir()
    save_file({"weight": torch.zeros(1)}, "adapter/adapter_model.safetensors")
    write_json(Path("adapter/run.json"), {"base": base_of("base", None)})
    preflight.preflight(on)
    save_file({"weight": torch.ones(1)}, "base/model.safetensors")
    with pytest.raises(UserError, match="not what adapter was trained on"):
        preflight.preflight(on)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (
            "./outputs/cci-stage1/model",
            "train cci-stage1 first, then run python recipes/export.py",
        ),
        ("./outputs/best-gemma-stage1/model", "dvc repro export@best-gemma-stage1"),
        ("./models/gemma", "download it there"),
        ("google/no-such-model", "accept its licence"),
    ],
)
def test_a_missing_base_is_refused_with_its_remedy(recipe, base, said):
    with pytest.raises(UserError, match=said):
        preflight.require_base(changed(recipe, base_model=base))
    preflight.require_base(recipe)
