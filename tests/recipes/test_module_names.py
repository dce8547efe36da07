"""Each name in a recipe meets a part of the model, or is refused with the nearest one."""

import pytest
from axolotl.utils.dict import DictDefault
from transformers import AutoModelForCausalLM

from core.errors import UserError
from recipes.plugins.as_asked import require_layers, require_unfrozen
from tests.support.tiny_models import save_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return AutoModelForCausalLM.from_pretrained(save_llama(tmp_path_factory.mktemp("llama")))


def recipe(**keys):
    return DictDefault({"axolotl_config_path": "r.yml", "adapter": "lora"} | keys)


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
    require_layers(recipe(**keys), model)


@pytest.mark.parametrize(("keys", "said"), BAD)
def test_a_name_that_meets_none_is_refused(model, keys, said):
    with pytest.raises(UserError) as refused:
        require_layers(recipe(**keys), model)
    assert said in str(refused.value)
    assert str(refused.value).startswith("r.yml: ")


def test_weights_that_are_to_learn_must_be_there(model):
    require_unfrozen(recipe(), model)
    require_unfrozen(recipe(unfrozen_parameters=[r"model.layers.[12].mlp", "lm_head"]), model)
    for names in (["lm_head", "model.layers.(9)."], "embed_tokens"):  # matched from the start
        with pytest.raises(UserError, match="unfrozen_parameters: the model has no"):
            require_unfrozen(recipe(unfrozen_parameters=names), model)
