"""A recipe's names, steps and rate are those of the run, or it is refused in one sentence."""

import pytest
import torch
from axolotl.utils.dict import DictDefault
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from core.errors import UserError
from recipes.plugins.as_asked import (
    check_rate,
    check_steps,
    counted,
    peak_rate,
    require_layers,
    require_unfrozen,
)
from tests.support.tiny_models import save_llama


def recipe(**keys):
    return DictDefault(
        {"axolotl_config_path": "r.yml", "learning_rate": "1e-3", "gradient_accumulation_steps": 1}
        | keys
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return AutoModelForCausalLM.from_pretrained(save_llama(tmp_path_factory.mktemp("llama")))


GOOD = [
    {"lora_target_linear": True},
    {"lora_target_modules": ["q_proj", "self_attn.v_proj", "model.layers.0.mlp.up_proj"]},
    {"lora_target_modules": r"model\.layers\.[01]\..*_proj"},
    {"lora_target_modules": "all-linear"},
    {"lora_modules_to_save": ["embed_tokens", "lm_head"]},
    {"lora_exclude_modules": ["layers.0.mlp.up_proj"]},
    {"lora_rank_pattern": {"q_proj": 4}, "lora_alpha_pattern": {r"layers\.1\..*": 4}},
    {"lora_target_parameters": ["mlp.up_proj.weight"]},
    {"peft_layers_to_transform": [0, 2]},
    {"lr_groups": [{"name": "x", "modules": ["q_proj"], "lr": 1e-4}]},
    {"fsdp_config": {"transformer_layer_cls_to_wrap": "LlamaDecoderLayer"}},
]
BAD = [
    ({"lora_target_modules": ["q_proj", "v_porj"]}, "no v_porj; did you mean v_proj?"),
    ({"lora_target_modules": ["v_porj", "k_porj"]}, "no v_porj, k_porj; did you mean v_proj?"),
    ({"lora_target_modules": ["mlp"]}, "no mlp; did you mean mlp"),
    ({"lora_target_modules": "v_porj"}, "no v_porj"),
    ({"lora_target_modules": "(v_proj"}, "is no regular expression"),
    ({"lora_modules_to_save": ["lm_hed"]}, "no lm_hed; did you mean lm_head?"),
    ({"lora_exclude_modules": ["up_porj"]}, "no up_porj; did you mean up_proj?"),
    ({"lora_rank_pattern": {"q_porj": 4}}, "lora_rank_pattern: the model has no q_porj"),
    ({"lora_alpha_pattern": {"layers.7.*": 4}}, "lora_alpha_pattern: the model has no layers.7"),
    ({"lora_target_parameters": ["experts.weight"]}, "no experts.weight"),
    ({"peft_layers_to_transform": [0, 3]}, "names layer 3, and the model has 3"),
    ({"lr_groups": [{"name": "x", "modules": ["q_porj"], "lr": 1e-4}]}, "lr_groups: the model"),
    (
        {"fsdp_config": {"transformer_layer_cls_to_wrap": "Gemma2DecoderLayer"}},
        "no Gemma2DecoderLayer; did you mean LlamaDecoderLayer?",
    ),
]


@pytest.mark.parametrize("keys", GOOD)
def test_names_that_meet_a_layer_pass(model, keys):
    require_layers(recipe(adapter="lora", **keys), model)


@pytest.mark.parametrize(("keys", "said"), BAD)
def test_a_name_that_meets_none_is_refused(model, keys, said):
    with pytest.raises(UserError) as refused:
        require_layers(recipe(adapter="lora", **keys), model)
    assert said in str(refused.value)
    assert str(refused.value).startswith("r.yml: ")


def test_weights_that_are_to_learn_must_be_there(model):
    require_unfrozen(recipe(adapter="lora"), model)
    require_unfrozen(
        recipe(adapter="lora", unfrozen_parameters=[r"model.layers.[12].mlp", "lm_head"]), model
    )
    for names in (["lm_head", "model.layers.(9)."], "embed_tokens"):  # matched from the start
        with pytest.raises(UserError, match="unfrozen_parameters: the model has no"):
            require_unfrozen(recipe(unfrozen_parameters=names), model)


def trainer(folder, **arguments):
    """A real trainer of a model of one weight."""
    settings = {"output_dir": str(folder), "learning_rate": 1e-3, "report_to": [], "use_cpu": True}
    arguments = TrainingArguments(**settings | arguments)
    return Trainer(torch.nn.Linear(1, 1), arguments, eval_dataset=[{"input": [0.0]}])


@pytest.mark.parametrize(
    ("keys", "batches", "steps"),
    [
        ({"num_epochs": 5}, 2, 10),
        ({"num_epochs": 5, "gradient_accumulation_steps": 5}, 13, 15),
        ({"num_epochs": 0.5}, 7, 4),
        ({"num_epochs": 5, "max_steps": 3}, 2, 3),
    ],
)
def test_steps_are_epochs_by_full_batches(keys, batches, steps):
    check_steps(recipe(**keys), steps, batches)
    for other in (steps - 1, steps + 1):
        with pytest.raises(UserError, match=rf"asks for {steps} steps .* would take {other}"):
            check_steps(recipe(**keys), other, batches)


def test_transformers_counts_unless_the_recipe_does():
    assert counted(recipe(num_epochs=2)) == {"max_steps": -1}
    assert counted(recipe(max_steps=7)) == {}
    assert counted(recipe(max_steps=7, warmup_ratio=0.1)) == {"warmup_steps": 0.1}
    assert counted(recipe(max_steps=7, warmup_ratio=0.1, warmup_steps=1)) == {"warmup_steps": 1}


@pytest.mark.parametrize(
    "schedule",
    [
        "linear",
        "cosine",
        "cosine_with_restarts",
        "polynomial",
        "constant_with_warmup",
        "inverse_sqrt",
    ],
)
def test_a_warm_up_as_long_as_the_run_is_refused(tmp_path, schedule):
    for warmup, steps, peak in ((0, 8, 1e-3), (7, 8, 1e-3), (8, 8, 7 / 8e3), (20, 8, 0.35e-3)):
        one = trainer(tmp_path, lr_scheduler_type=schedule, warmup_steps=warmup)
        if schedule == "inverse_sqrt" and not warmup:
            continue  # it takes none for 10,000
        assert peak_rate(one, steps) == pytest.approx(peak)
        if peak == 1e-3:
            check_rate(recipe(), one, steps)
            continue
        with pytest.raises(UserError, match=rf"of {steps} steps the first {warmup} warm up"):
            check_rate(recipe(), one, steps)


@pytest.mark.parametrize("schedule", ["constant", "reduce_lr_on_plateau"])
def test_a_schedule_without_a_warm_up_has_its_rate_from_the_start(tmp_path, schedule):
    one = trainer(tmp_path, lr_scheduler_type=schedule, eval_strategy="steps")
    assert peak_rate(one, 3) == 1e-3
    check_rate(recipe(), one, 3)


def test_looking_at_a_schedule_leaves_that_of_the_run_alone(tmp_path):
    one = trainer(tmp_path, lr_scheduler_type="cosine", warmup_steps=2)
    one.create_optimizer_and_scheduler(8)
    made = one.lr_scheduler
    peak_rate(one, 8)
    assert one.lr_scheduler is made
    assert made.last_epoch == 0
