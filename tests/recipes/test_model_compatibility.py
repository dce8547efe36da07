"""What the checks find in recipes that look right, and on models of every backbone family."""

from pathlib import Path

import pytest
from transformers import AutoConfig

from core.errors import UserError
from core.yaml_io import read_mapping
from recipes.checks import model_compatibility
from recipes.checks.model_compatibility import config_problems, live_problems, tokenizer_problems
from recipes.checks.recipe_rules import rule_problems
from recipes.compose import compose
from recipes.members.tables import BACKBONES, load_family, load_members
from tests.support.families import FAMILIES

MEMBERS = load_members()
BY_FAMILY = {
    "gemma2": ("best-gemma-stage1", "tamago-gemma-stage1"),
    "llama3": ("baseline-bllossom",),
    "qwen2": ("malbbungchi-qwen2", "malbbungchi-qwen2-orpo"),
    "solar": ("pohanghang-01-polar-v02", "malbbungchi-eeve"),
    "glm4": ("tamago-glm4-stage1",),
}
FITTING = [(family, name) for family, names in BY_FAMILY.items() for name in names]


@pytest.fixture(scope="module")
def models():
    """Configuration and tokenizer of each family."""
    return {name: build() for name, build in FAMILIES.items()}


def recipe_of(name: str) -> dict:
    return compose(name, MEMBERS).recipe


def family(name: str):
    return load_family(BACKBONES / f"{name}.yml")


def text_of(path: Path) -> str:
    return f"# Run       accelerate launch -m axolotl.cli.train {path.as_posix()}\n\n"


def problems(recipe: dict, others: list[dict] | None = None) -> list[str]:
    path = Path("outputs/x/recipe.yml")
    return list(rule_problems(path, recipe, others or [], text_of(path)))


def test_every_family_that_is_trained_has_a_model_to_check_it_on():
    used = {Path(member.base).stem for member in MEMBERS.members.values() if member.model}
    assert used == set(BY_FAMILY)
    assert {path.stem for path in BACKBONES.glob("*.yml")} == set(FAMILIES)


@pytest.mark.parametrize(("name", "member"), FITTING)
def test_recipes_fit_models_of_their_family(models, name, member):
    config, tokenizer = models[name]
    assert list(config_problems(recipe_of(member), family(name), config)) == []
    assert list(tokenizer_problems(recipe_of(member), family(name), tokenizer)) == []


@pytest.mark.parametrize("name", ["exaone4", "gemma3"])
def test_a_family_without_a_member_fits_too(models, name):
    config, tokenizer = models[name]
    recipe = recipe_of("malbbungchi-qwen2") | family(name).recipe
    assert list(config_problems(recipe, family(name), config)) == []
    assert list(tokenizer_problems(recipe, family(name), tokenizer)) == []


@pytest.mark.parametrize(
    ("on", "change", "problem"),
    [
        ("llama3", {}, "the model is a llama, not a gemma2"),
        ("gemma2", {"sequence_len": 9000}, "over the model's 8192"),
        ("gemma2", {"attn_implementation": "sdpa"}, "the model's soft-cap"),
        ("gemma2", {"lora_target_modules": ["c_attn"]}, "the model has no c_attn"),
        ("gemma2", {"lora_target_modules": ["lm_head"]}, "shares its weights with the embedding"),
    ],
)
def test_what_an_architecture_cannot_do_is_found(models, on, change, problem):
    recipe = recipe_of("best-gemma-stage1") | change
    found = list(config_problems(recipe, family("gemma2"), models[on][0]))
    assert any(problem in one for one in found), found


@pytest.mark.parametrize(
    ("member", "on", "problem"),
    [
        ("baseline-bllossom", "qwen2", "<|eot_id|> is no single token"),
        ("tamago-glm4-stage1", "solar", "<|endoftext|> is no single token"),
    ],
)
def test_a_tokenizer_of_another_family_is_found(models, member, on, problem):
    made = compose(member, MEMBERS)
    found = list(tokenizer_problems(made.recipe, made.origin.family, models[on][1]))
    assert any(problem in one for one in found), found


def test_an_end_that_is_not_learnt_is_found(models):
    recipe = recipe_of("baseline-bllossom") | {"eot_tokens": ["<|end_of_text|>"]}
    found = list(tokenizer_problems(recipe, family("llama3"), models["llama3"][1]))
    assert any("does not learn its end, <|eot_id|>" in one for one in found), found


@pytest.mark.parametrize(
    ("member", "change", "problem"),
    [
        ("malbbungchi-qwen2", {"fp16": True}, "scoring computes in bfloat16 or float32"),
        ("malbbungchi-qwen2", {"bf16": "auto"}, "set bf16 to true or false"),
        ("malbbungchi-qwen2", {"optimizer": "adamw_torch"}, "of bfloat16 weights; set optimizer"),
        ("pohanghang-01-polar-v02", {"deepspeed": "zero2.json"}, "does not work with deepspeed"),
        ("pohanghang-01-polar-v02", {"fsdp_config": {"x": 1}}, "does not work with fsdp_config"),
        (
            "malbbungchi-qwen2",
            {"sample_packing": True, "attn_implementation": "sdpa"},
            "may show rows of a pack to one another",
        ),
        (
            "pohanghang-01-polar-v02",
            {"liger_fused_linear_cross_entropy": True},
            "passes the adapter of lm_head by",
        ),
        ("malbbungchi-qwen2-orpo", {"load_best_model_at_end": True}, "nothing to choose by"),
        ("malbbungchi-qwen2", {"trust_remote_code": True}, "take out trust_remote_code"),
        ("malbbungchi-qwen2", {"chat_template": "gemma"}, "chat_template gemma is none of chatml"),
        ("pohanghang-01-polar-v02", {"eot_tokens": ["</s>"]}, "take out eot_tokens"),
        ("tamago-gemma", {}, "is made by no recipe given here"),
        (
            "malbbungchi-qwen2",
            {"base_model": "Qwen/Qwen2.5-32B-Instruct"},
            "published 2024-09-19, after 2024-07-01",
        ),
    ],
)
def test_what_would_ruin_a_run_is_found(member, change, problem):
    recipe = recipe_of(member)
    others = [] if member == "tamago-gemma" else [recipe_of("tamago-gemma-stage1")]
    if member != "tamago-gemma":
        assert problems(recipe, others) == []
    found = problems(recipe | change, others)
    assert any(problem in one for one in found), found


def test_masters_make_a_plain_optimizer_safe():
    recipe = recipe_of("malbbungchi-qwen2") | {"optimizer": "adamw_torch_fused"}
    assert problems(recipe | {"deepspeed": "zero2.json"}) == []


def test_a_stage_that_writes_answers_otherwise_is_found():
    stage1, stage2 = recipe_of("tamago-gemma-stage1"), recipe_of("tamago-gemma")
    assert problems(stage2, [stage1]) == []
    found = problems(stage2, [stage1 | {"chat_template": "gemma"}])
    assert any("chat_template differs from that of the stage" in one for one in found), found


def test_live_checks_need_the_hub_and_say_so(monkeypatch, models):
    made = compose("malbbungchi-qwen2", MEMBERS)
    with pytest.raises(UserError, match=r"cannot be had from the hub .* leave out --live"):
        list(live_problems(made.recipe, made.origin.family))
    config, tokenizer = models["qwen2"]
    monkeypatch.setattr(AutoConfig, "from_pretrained", lambda *_, **__: config)
    monkeypatch.setattr(
        model_compatibility.AutoTokenizer, "from_pretrained", lambda *_, **__: tokenizer
    )
    assert list(live_problems(made.recipe, made.origin.family)) == []


def test_merged_keys_may_be_named_again_but_no_key_twice(tmp_path):
    path = tmp_path / "table.yml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_mapping(path)["b"] == {"x": 1, "y": 3}
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3, y: 4}\n")
    with pytest.raises(UserError, match="line 2: key y is there twice"):
        read_mapping(path)
