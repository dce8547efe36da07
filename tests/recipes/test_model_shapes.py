"""A backbone's shape is the published one, and is found from a recipe."""

from pathlib import Path

import pytest
import yaml
from transformers import AutoConfig

from core.errors import UserError
from recipes.planner.dry_run import dry_run
from recipes.planner.model_shapes import shape_name, shape_of, shapes
from tests.support.paths import ROOT

SMALL = {"micro_batch_size": 2, "sequence_len": 128, "optimizer": "adamw_torch"}
PUBLISHED = {  # thousands of millions of parameters
    "gemma-2-9b": 9.24,
    "gemma-3-270m": 0.268,
    "llama-3-8b": 8.03,
    "qwen2-7b": 7.62,
    "qwen2.5-32b": 32.76,
    "qwen2.5-7b": 7.62,
    "solar-10.7b": 10.73,
    "eeve-korean-10.8b": 10.80,
    "glm-4-9b": 9.40,
    "exaone-4.0-32b": 32.00,
}


@pytest.mark.parametrize("name", shapes())
def test_backbones_have_the_parameters_they_are_known_for(name):
    # two of the layers are enough: all are alike
    published = shapes()[name]
    layers = published["num_hidden_layers"]
    two = AutoConfig.for_model(**published | {"num_hidden_layers": 2})
    step = dry_run(two, SMALL | {"bf16": True, "attn_implementation": "flash_attention_2"})
    parameters = step.linear + step.kept + (layers - 2) * step.largest_layer
    assert parameters / 1e9 == pytest.approx(PUBLISHED[name], abs=0.006)


@pytest.mark.parametrize("name", shapes())
def test_transformers_reads_every_value_of_a_shape(name):
    config = shape_of(Path("x.yml"), {"base_model": "any"}, name)
    published = dict(shapes()[name])
    local = published.pop("rope_local_base_freq", None)
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    assert rope["rope_theta"] == published.pop("rope_theta")
    assert config.rope_parameters.get("sliding_attention", {}).get("rope_theta") == local
    assert {key: getattr(config, key) for key in published} == published


def test_the_stage_before_lends_its_backbone():
    path = ROOT / "recipes/stage2.yml"
    config = shape_of(path, yaml.safe_load(path.read_text(encoding="utf-8")))
    assert (config.model_type, config.num_hidden_layers) == ("gemma2", 42)


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("google/gemma-2-9b-it", "gemma-2-9b"),  # by its family's file
        ("yanolja/EEVE-Korean-Instruct-10.8B-v1.0", "eeve-korean-10.8b"),
        ("owner/Qwen2.5-32B-Instruct", "qwen2.5-32b"),  # by its own name
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3-8b"),
        ("upstage/SOLAR-10.7B-v1.0", "solar-10.7b"),
        ("x2bee/POLAR-14B-v0.2", None),
        ("owner/strange", None),
    ],
)
def test_a_base_on_the_hub_has_its_family_s_shape(base, name):
    assert shape_name(base) == name


def test_a_neighbour_that_is_no_recipe_is_no_matter(tmp_path):
    (tmp_path / "list.yml").write_text("- 1\n")
    (tmp_path / "broken.yml").write_text("a: [\n")
    (tmp_path / "other.yml").write_text("services: {}\n")
    recipe = {"base_model": "google/gemma-2-9b-it"}
    assert shape_of(tmp_path / "recipe.yml", recipe).num_hidden_layers == 42


def test_what_cannot_be_planned_is_said(tmp_path):
    with pytest.raises(UserError, match=r"owner/strange is not known here; add --config"):
        shape_of(Path("x.yml"), {"base_model": "owner/strange"})
    with pytest.raises(UserError, match=r"POLAR-14B-v0.2 is not known here; add --config"):
        shape_of(Path("x.yml"), {"base_model": "x2bee/POLAR-14B-v0.2"})
    (tmp_path / "config.json").write_text('{"model_type": "strange"}')
    with pytest.raises(UserError, match="none that transformers knows"):
        shape_of(Path("x.yml"), {"base_model": str(tmp_path)})
