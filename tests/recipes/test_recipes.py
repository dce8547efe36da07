"""Recipes fit the installed Axolotl, one another and this project's rules."""

import subprocess
import sys
from pathlib import Path

import optimi
import pytest
import torch
import yaml

from core.errors import UserError
from core.yaml_io import read_mapping as read_recipe
from recipes.check import problems_of
from recipes.checks.recipe_rules import rule_problems
from recipes.checks.schema import schema_problems
from tests.support.paths import ROOT

ACCURACY = "recipes.plugins.answer_accuracy.AccuracyPlugin"
FOLDERS = (ROOT / "recipes", ROOT / "recipes/tiny", ROOT / "recipes/small")
RECIPES = [path for folder in FOLDERS for path in sorted(folder.glob("*.yml"))]

# all that a tiny recipe may say otherwise, and why
CPU = {"bf16", "attn_implementation", "gradient_checkpointing"}
KERNELS = {"lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel"}  # need CUDA
LIGER = {"plugins", "liger_fused_linear_cross_entropy"}  # likewise
PLACES = {"base_model", "revision_of_model", "datasets", "test_datasets", "output_dir"}
SIZE = {"sequence_len", "micro_batch_size", "gradient_accumulation_steps"}
LENGTH = {"num_epochs", "max_steps", "save_strategy", "save_steps", "eval_strategy", "eval_steps"}
RATES = {"learning_rate", "lora_dropout", "weight_decay", "optimizer", "logging_steps"}
# one evaluation on a CPU spoils the gradients of 4-bit weights
NO_EVALUATION = {"eval_sample_packing", "plugins"}
BEST = {"load_best_model_at_end", "metric_for_best_model"}  # the demo keeps its last steps
ALLOWED = CPU | KERNELS | LIGER | PLACES | SIZE | LENGTH | RATES | NO_EVALUATION | BEST


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / "recipes" / name).read_text(encoding="utf-8"))


def test_the_linter_passes_every_recipe():
    names = [path.relative_to(ROOT).as_posix() for path in RECIPES]
    done = subprocess.run(
        [sys.executable, "recipes/check.py", *names], cwd=ROOT, text=True, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, f"{len(names)} recipes are sound\n"), done.stderr
    # no library's warnings; before the small base is made, its family is not known
    warned = [line for line in done.stderr.splitlines() if "recipes/small/base" not in line]
    assert warned == []


@pytest.mark.parametrize("stage", ["stage1.yml", "stage2.yml", "orpo.yml"])
def test_tiny_differs_only_in_named_keys(stage):
    real, tiny = load(stage), load(f"tiny/{stage}")
    differing = {key for key in real | tiny if real.get(key) != tiny.get(key)}
    assert differing - ALLOWED == set()
    assert set(real["plugins"]) - set(tiny["plugins"]) <= {
        "axolotl.integrations.liger.LigerPlugin",
        "recipes.plugins.answer_accuracy.AccuracyPlugin",
    }
    assert set(tiny["plugins"]) <= set(real["plugins"])
    # of the data, only the place differs
    for split in ("datasets", "test_datasets"):
        for mine, other in zip(tiny.get(split, []), real.get(split, []), strict=False):
            assert {k: v for k, v in mine.items() if k != "path"} == {
                k: v for k, v in other.items() if k != "path"
            }


def test_siblings_share_one_key_order():
    order = list(load("stage1.yml"))
    for name in (
        "stage2.yml",
        "qlora-24gb.yml",
        "orpo.yml",
        *(f"tiny/{n}.yml" for n in ("stage1", "stage2", "orpo")),
    ):
        shared = [key for key in load(name) if key in order]
        assert shared == sorted(shared, key=order.index), name


@pytest.mark.parametrize("stage", ["stage1.yml", "stage2.yml"])
def test_hyperparameters_of_tamago(stage):
    recipe = load(stage)
    assert (
        recipe["base_model"]
        == {
            "stage1.yml": "google/gemma-2-9b-it",
            "stage2.yml": "./outputs/cci-stage1/model",
        }[stage]
    )
    wanted = {
        "stage1.yml": {
            "lora_r": 16,
            "lora_alpha": 32,
            "lora_dropout": 0.05,
            "micro_batch_size": 4,
            "gradient_accumulation_steps": 4,
            "optimizer": "adamw_bnb_8bit",
            "learning_rate": 2e-4,  # ours; the team's stands in its member
        },
        "stage2.yml": {
            "micro_batch_size": 3,
            "gradient_accumulation_steps": 5,
            "sample_packing": True,
            "pad_to_sequence_len": True,
            "learning_rate": 2e-5,
        },
    }[stage] | {
        "num_epochs": 5,
        "weight_decay": 0.05,
        "lr_scheduler": "cosine",
        "warmup_steps": 20,
        "gradient_checkpointing": True,
        "seed": 42,
    }
    assert {key: recipe[key] for key in wanted} == wanted


def test_the_first_recipe_needs_the_corpus_alone_and_fits_a_small_card():
    """Its rows come of the stage without external sets, its other keys are stage 1's."""
    recipe, stage1 = load("qlora-24gb.yml"), load("stage1.yml")
    assert recipe["datasets"] == load("stage2.yml")["datasets"]
    run = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["runs"]["cci"]
    assert run["stages"]["stage2"] == [{"source": "cci-2024"}]
    assert recipe["sample_packing"]
    assert recipe["pad_to_sequence_len"]
    differing = {key for key in recipe | stage1 if recipe.get(key) != stage1.get(key)}
    assert differing == {
        *("datasets", "output_dir", "sample_packing", "pad_to_sequence_len", "num_epochs"),
        *("micro_batch_size", "logging_steps"),
        *("warmup_steps", "warmup_ratio"),
    }


def test_stages_keep_the_best_of_each_epoch_by_accuracy():
    for stage in ("stage1.yml", "stage2.yml", "qlora-24gb.yml"):
        recipe = load(stage)
        assert recipe["plugins"][:2] == ["recipes.plugins.guard.GuardPlugin", ACCURACY]
        assert recipe["eval_strategy"] == recipe["save_strategy"] == "epoch"
        assert recipe["load_best_model_at_end"]
        assert recipe["metric_for_best_model"] == "eval_accuracy"
    assert load("tiny/stage1.yml")["plugins"] == ["recipes.plugins.guard.GuardPlugin"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"micro_bach_size": 4}, "knows no key micro_bach_size; did you mean micro_batch_size?"),
        ({"datasets": [{"path": "x", "field_mesages": "m"}]}, "did you mean field_messages?"),
        ({"flash_attention": True}, "key flash_attention is deprecated"),
        ({"micro_batch_size": "four"}, "micro_batch_size: Input should be a valid integer"),
        ({"plugins": ["recipes.gard.GuardPlugin"]}, "cannot be imported"),
        ({"plugins": "recipes.plugins.guard.GuardPlugin"}, "plugins must be a list of names"),
        ({"datasets": "data/x.jsonl"}, "datasets must be a list of mappings, each with a path"),
        ({"datasets": ["data/x.jsonl"]}, "datasets must be a list of mappings"),
        ({"test_datasets": {"path": "x"}}, "test_datasets must be a list of mappings"),
        ({"optimizer": "adamw_bnb8bit"}, "no optimizer adamw_bnb8bit; did you mean adamw_bnb_8bit"),
        ({"lr_scheduler": "cosinus"}, "no lr_scheduler cosinus; did you mean cosine?"),
        ({"chat_template": "gema"}, "no chat_template gema; did you mean gemma?"),
        ({"micro_batch_size": 0}, "micro_batch_size is 0; give a number over 0"),
        ({"learning_rate": -1e-3}, "learning_rate is -0.001; give a number over 0"),
    ],
)
def test_schema_problems_are_found(change, problem):
    found = list(schema_problems(load("tiny/stage2.yml") | change))
    assert any(problem in one for one in found), found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"attn_implementation": "sdpa"}, "soft-cap"),
        ({"excess_length_strategy": "drop"}, "long rows vanish"),
        ({"val_set_size": 0.1}, "test_datasets"),
        ({"chat_template": "gemma"}, "set eot_tokens to [<end_of_turn>]"),
        ({"eot_tokens": ["<end_of_turn>"]}, "eot_tokens differs"),
        ({"base_model": "./outputs/other/model"}, "made by no recipe"),
        ({"plugins": []}, "add recipes.plugins.guard.GuardPlugin"),
    ],
)
def test_rule_problems_are_found(monkeypatch, change, problem):
    monkeypatch.chdir(ROOT)
    path, before = Path("recipes/tiny/stage2.yml"), [load("tiny/stage1.yml")]
    assert list(rule_problems(path, load("tiny/stage2.yml"), before)) == []
    found = list(rule_problems(path, load("tiny/stage2.yml") | change, before))
    assert any(problem in one for one in found), found


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": [{"path": "x"}], "datasets": None},
        {"datasets": None},
        {"datasets": []},
        {"datasets": "x"},
        {"plugins": "recipes.plugins.guard.GuardPlugin"},
        {"base_model": None},
        {"base_model": ["x"]},
        {"chat_template": ["alpaca"]},
        {"learning_rate": "fast"},
        {"optim_args": 3, "bf16": True},
        {"output_dir": 3},
    ],
)
def test_a_recipe_of_another_shape_gets_sentences(tmp_path, change):
    made = {key: value for key, value in (load("tiny/stage2.yml") | change).items() if value}
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump(made))
    others = [one for one in (load("tiny/stage1.yml"),)]
    found = list(problems_of(path, read_recipe(path), others, None, live=False))
    assert found
    assert all(isinstance(one, str) for one in found)


def test_a_misspelt_datasets_gets_its_right_name():
    recipe = load("tiny/stage2.yml")
    recipe["dataset"] = recipe.pop("datasets")
    found = list(problems_of(Path("x.yml"), recipe, [], "", live=False))
    assert found[0] == "Axolotl knows no key dataset; did you mean datasets?"


def test_a_header_with_another_path_is_found(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "recipes/stage1.yml").read_text("utf-8")
    found = list(rule_problems(Path("recipes/my.yml"), load("stage1.yml"), [], text))
    assert ["axolotl.cli.train recipes/my.yml" in one for one in found] == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: \x07\n", "special characters are not allowed; correct the YAML"),
        ("? [a]\n: 1\n", "line 1: found unhashable key; correct the YAML"),
        ("- a\n", "it must be a YAML mapping"),
    ],
)
def test_what_is_no_recipe_is_refused_in_a_sentence(tmp_path, text, said):
    (tmp_path / "x.yml").write_text(text)
    with pytest.raises(UserError, match=said):
        read_recipe(tmp_path / "x.yml")


def test_a_repeated_key_is_refused_with_its_line(tmp_path):
    path = tmp_path / "twice.yml"
    path.write_text("sample_packing: true\nseed: 1\nsample_packing: false\n")
    with pytest.raises(UserError, match=r"twice\.yml, line 3: key sample_packing is there twice"):
        read_recipe(path)


def walked(optimizer: type, dtype: torch.dtype) -> torch.Tensor:
    """How far stage 2's learning rate carries bf16 weights of a usual size in 100 steps."""
    generator = torch.Generator().manual_seed(0)
    start = (torch.randn(4096, generator=generator) * 0.02).to(torch.bfloat16)
    drift = torch.randn(4096, generator=generator) * 1e-3
    weight = torch.nn.Parameter(start.to(dtype).clone())
    rate = float(load("stage2.yml")["learning_rate"])
    steps = optimizer([weight], lr=rate, betas=(0.9, 0.999), weight_decay=0.0, foreach=False)
    for _ in range(100):
        weight.grad = (drift + 1e-3 * torch.randn(4096, generator=generator)).to(dtype)
        steps.step()
    return weight.detach().float() - start.float()


def test_stage2_loses_no_small_update():
    assert load("stage2.yml")["optimizer"] == "optimi_adamw"
    true = walked(torch.optim.AdamW, torch.float32)
    kept = walked(optimi.AdamW, torch.bfloat16)
    lost = walked(torch.optim.AdamW, torch.bfloat16)
    assert (kept - true).norm() / true.norm() < 0.05
    assert (lost - true).norm() / true.norm() > 0.5  # what plain AdamW on bf16 would do
