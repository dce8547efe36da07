"""The fused loss is the loss, soft-cap and gradients included, for every weight that it sees."""

import json
import os
import subprocess
import sys

import pytest
import torch

from recipes.checks.recipe_rules import unseen_head
from tests.support.paths import ROOT
from tests.support.tiny_models import save_gemma2, save_llama

SCRIPT = ROOT / "tests/support/fused_loss_run.py"
COMPILED = pytest.param(
    {},
    id="compiled",
    marks=pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU: Liger's kernels only ran interpreted"
    ),
)
INTERPRETED = pytest.param({"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}, id="interpreted")


@pytest.fixture(scope="module", params=[INTERPRETED, COMPILED])
def said(request, tmp_path_factory):
    """What the script prints, of the same kernels by one way or the other."""
    place = tmp_path_factory.mktemp("models")
    save_gemma2(place / "gemma2")
    save_llama(place / "llama")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(place)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **request.param},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", ["gemma2", "llama", "full head"])
def test_loss_and_gradients_of_a_model_are_the_same(said, case):
    found = said[case]
    assert found["fused"] == pytest.approx(found["plain"], rel=1e-6)
    assert found["gradients_off"] < 1e-5
    assert found["untrained"] == []


def test_the_kernel_is_right_for_gemmas_vocabulary(said):
    for cap in ("", ", no cap"):
        found = said[f"256,000 words{cap}"]
        assert found["fused"] == pytest.approx(found["plain"], rel=1e-6)
        assert found["gradients_off"] < 1e-4
    # the cap is what the loss is about here, so it cannot have been left out
    assert said["256,000 words, no cap"]["plain"] > 1.5 * said["256,000 words"]["plain"]
    found = said["256,000 words, bf16"]
    assert found["fused"] == pytest.approx(found["plain"], rel=1e-3)
    assert found["gradients_off"] < 1e-2


def test_an_adapter_of_the_head_would_learn_nothing(said):
    found = said["adapted head"]
    assert len(found["untrained"]) == 2
    assert all(".lm_head.lora_" in name for name in found["untrained"])
    assert found["fused"] != pytest.approx(found["plain"], rel=1e-4)


FUSED = {"adapter": "qlora", "liger_fused_linear_cross_entropy": True}


@pytest.mark.parametrize("targets", [["q_proj", "lm_head"], "lm_head", r".*\.(q_proj|lm_head)"])
def test_so_such_a_recipe_is_refused(targets):
    assert "passes the adapter of lm_head by" in unseen_head(
        {**FUSED, "lora_target_modules": targets}
    )
    assert unseen_head({"adapter": "qlora", "lora_target_modules": targets}) is None


@pytest.mark.parametrize(
    "recipe",
    [
        {"lora_target_linear": True},  # Axolotl leaves the head out
        {"lora_target_modules": ["q_proj"], "lora_modules_to_save": ["lm_head"]},
        {"adapter": None},
    ],
)
def test_others_are_not(recipe):
    assert unseen_head({**FUSED, **recipe}) is None
