"""Full fine-tuning keeps its small steps, or is refused."""

import os
import re
from types import SimpleNamespace

import optimi
import pytest
import torch
import yaml
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model as accelerate_fsdp2
from axolotl.monkeypatch.accelerate.fsdp2 import fsdp2_prepare_model as axolotl_fsdp2
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.checks import preflight
from recipes.checks.precision import lost_steps, moved, source
from recipes.plugins import guard
from tests.support.paths import ROOT
from tests.support.training_rows import training_row

FULL = {"bf16": True, "optimizer": "adamw_torch", "learning_rate": 2e-5}
FUSED_HEAD = {
    "adapter": "lora",
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_target_modules": ["lm_head"],
    "liger_fused_linear_cross_entropy": True,
    "plugins": ["axolotl.integrations.liger.LigerPlugin"],
}
STAGE2 = yaml.safe_load((ROOT / "recipes/stage2.yml").read_text(encoding="utf-8"))


def test_share_moved_is_that_of_true_bfloat16_steps():
    generator = torch.Generator().manual_seed(0)
    weights = (0.02 * torch.randn(200_000, generator=generator)).to(torch.bfloat16)
    for rate, share in ((2e-6, 0.04), (2e-5, 0.30), (1e-4, 0.88)):
        stepped = weights.clone().add_(torch.where(torch.rand(200_000) < 0.5, rate, -rate))
        assert moved(rate) == pytest.approx(float((stepped != weights).double().mean()), abs=0.01)
        assert moved(rate) == pytest.approx(share, abs=0.01)
    assert moved(1e-3) == 1


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused", "adamw_bnb_8bit"])
@pytest.mark.parametrize("rate", [2e-6, 2e-5, 1e-4, "2.0e-5"])
def test_plain_steps_on_bfloat16_weights_are_refused(optimizer, rate):
    recipe = {**FULL, "optimizer": optimizer, "learning_rate": rate}
    said = rf"a step of {float(rate):g} by {optimizer} moves \d+% of bfloat16 weights"
    assert re.match(said, lost_steps(recipe))


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"optimizer": "optimi_adamw"}, "Kahan summation"),
        ({"optimizer": "optimi_adamw", "optim_args": {"kahan_sum": False}}, None),
        (
            {"optimizer": "adamw_torch_8bit", "optim_args": "bf16_stochastic_round=True"},
            "stochastic rounding",
        ),
        ({"optimizer": "adamw_torch_8bit"}, None),
        ({"deepspeed": "recipes/deepspeed/zero2.json"}, "DeepSpeed's float32 weights"),
        ({"fsdp_version": 2, "fsdp_config": {"offload_params": False}}, None),
        ({"fsdp_config": {"fsdp_version": 2}}, None),
        ({"fsdp_config": {"version": 2}}, None),
        ({"fsdp_config": {"offload_params": False}}, "FSDP's float32 weights"),
        ({"fsdp_version": 1, "fsdp_config": {"x": 1}}, "FSDP's float32 weights"),
        ({"bf16": False}, "float32 weights"),
        ({"adapter": "lora"}, "the adapter's float32 weights"),
        ({}, None),
    ],
)
def test_where_a_recipe_keeps_what_rounding_takes(change, kept):
    recipe = {**FULL, **change}
    assert source(recipe) == kept
    assert (lost_steps(recipe) is None) == (kept is not None)


def test_a_rate_that_moves_every_weight_is_let_through():
    assert lost_steps({**FULL, "learning_rate": 1e-3}) is None


@pytest.mark.parametrize("name", ["stage1.yml", "stage2.yml", "tiny/stage1.yml", "tiny/stage2.yml"])
def test_our_recipes_pass(name):
    recipe = yaml.safe_load((ROOT / "recipes" / name).read_text(encoding="utf-8"))
    assert lost_steps(recipe) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [(FULL, "moves 30% of bfloat16 weights"), (FUSED_HEAD, "lm_head by, which")],
)
def test_the_guard_refuses_before_anything_is_loaded(monkeypatch, capsys, change, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, 141 * 10**9))
    can = {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 1, "compute_capability": "sm_90"}
    monkeypatch.setattr(
        preflight, "gpu_capabilities", lambda: (can, {"torch_version": torch.__version__})
    )
    recipe = {**STAGE2, **change, "base_model": str(ROOT / "recipes/tiny/base")}
    with pytest.raises(SystemExit) as left:
        guard.GuardPlugin().register({**recipe, "attn_implementation": "eager"})
    assert left.value.code == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def one_process(monkeypatch):
    """A group of this process alone, as torchrun would make it; the environment is put back."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:FSDP upcast")
@pytest.mark.parametrize("prepare", [axolotl_fsdp2, accelerate_fsdp2])
def test_weights_under_fsdp2_stay_in_bfloat16(one_process, prepare):
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["Gemma2DecoderLayer"],
        cpu_ram_efficient_loading=False,
    )
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin, device_mesh=None),
        mixed_precision="bf16",
        is_main_process=True,
        torch_device_mesh=None,
    )
    model = AutoModelForCausalLM.from_pretrained(
        ROOT / "recipes/tiny/base", dtype=torch.bfloat16, attn_implementation="eager"
    )
    sharded = list(prepare(accelerator, model).parameters())
    assert all(isinstance(weight, DTensor) for weight in sharded)
    assert {weight.dtype for weight in sharded} == {torch.bfloat16}


@pytest.fixture(scope="module")
def batches():
    """Rows as token ids with their answers' labels, for the tiny base."""
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "recipes/tiny/base")
    texts = ["".join(m["content"] for m in training_row(n)["messages"]) for n in range(4)]
    return [tokenizer(text, return_tensors="pt").input_ids[:, :64] for text in texts]


def walked(batches, dtype: torch.dtype, optimizer: type, steps: int = 40) -> torch.Tensor:
    """How far stage 2's learning rate carries the tiny base's layers, as one vector in float32."""
    model = AutoModelForCausalLM.from_pretrained(
        ROOT / "recipes/tiny/base", dtype=dtype, attn_implementation="eager"
    )
    layers = [p for p in model.model.layers.parameters() if p.ndim == 2]
    with torch.no_grad():
        for weight in layers:  # of a usual size; the tiny base's are four times as large
            weight.mul_(0.02 / weight.float().std())
    before = torch.cat([weight.detach().flatten().float() for weight in layers])
    step = optimizer(
        model.parameters(),
        lr=float(STAGE2["learning_rate"]),
        weight_decay=float(STAGE2["weight_decay"]),
        foreach=False,
    )
    for number in range(steps):
        ids = batches[number % len(batches)]
        model(ids, labels=ids).loss.backward()
        step.step()
        step.zero_grad()
    return torch.cat([weight.detach().flatten().float() for weight in layers]) - before


def test_at_stage_2s_rate_plain_steps_are_lost_and_its_own_are_not(batches):
    """Adam in bfloat16, stage 2's optimizer, and Adam in float32: shares moved, and how alike."""
    plain = walked(batches, torch.bfloat16, torch.optim.AdamW)
    kahan = walked(batches, torch.bfloat16, optimi.AdamW)
    true = walked(batches, torch.float32, torch.optim.AdamW)
    shares = [float((moves != 0).float().mean()) for moves in (plain, kahan, true)]
    assert shares[0] < 0.35
    assert shares[1] > 0.93
    assert shares[2] > 0.99
    alike = [float(torch.cosine_similarity(moves, true, dim=0)) for moves in (plain, kahan)]
    assert alike[0] < 0.6
    assert alike[1] > 0.99
