"""What a machine lacks for a recipe is said in one sentence, before anything is loaded."""

import sys
from pathlib import Path

import pytest
import torch
import yaml
from axolotl.utils.dict import DictDefault
from bitsandbytes import cextension
from safetensors.torch import save_file

from core.errors import UserError
from core.jsonl import write_json
from recipes.checks import hardware, preflight
from recipes.planner.costs import GIB, GPUS
from recipes.planner.model_shapes import shape_of
from recipes.weights.base_model import require_full_weights
from tests.support.paths import ROOT

OLD = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version from the URL: ..."
)


def recipe(name: str, **more: object) -> DictDefault:
    read = yaml.safe_load((ROOT / f"recipes/{name}").read_text("utf-8"))
    return DictDefault({**read, "axolotl_config_path": f"recipes/{name}", **more})


@pytest.mark.parametrize(
    ("name", "fits", "too_small"),
    [
        ("stage2.yml", "h200", "a100-80"),  # 86 GiB of them on the card that was measured
        ("stage1.yml", "4090", None),
        ("qlora-24gb.yml", "4090", None),
    ],
)
def test_a_card_too_small_is_refused(name: str, fits: str, too_small: str | None) -> None:
    one = recipe(name)
    config = shape_of(Path(name), one, "gemma-2-9b")
    hardware.require_room(one, config, int(GPUS[fits].memory))
    small = int(GPUS[too_small].memory) if too_small else 4 * GIB
    with pytest.raises(UserError, match=r"alone take .* this GPU has .*; python recipes/plan\.py"):
        hardware.require_room(one, config, small)
    spread = recipe(name, deepspeed="recipes/deepspeed/zero3.json")
    hardware.require_room(spread, config, small)  # each GPU holds a part


def test_what_stage_2_holds_is_what_was_measured() -> None:
    one = recipe("stage2.yml")
    held = hardware.least(one, shape_of(Path("x"), one, "gemma-2-9b")) / GIB
    assert held == pytest.approx(86, rel=0.01)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError(OLD), r"\(found version 11040\): update the driver"),
        (
            RuntimeError("Found no NVIDIA driver on your system. Please check"),
            "on a CPU use .*no NV",
        ),
        (AssertionError("Torch not compiled with CUDA enabled"), "on a CPU use .*not compiled"),
    ],
)
def test_why_there_is_no_gpu_is_said(monkeypatch, error: Exception, said: str) -> None:
    def init() -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(UserError, match=said) as refused:
        hardware.require_device(recipe("stage1.yml"))
    assert "\n" not in str(refused.value)


def test_a_flash_attn_that_does_not_load_is_refused(monkeypatch, tmp_path: Path) -> None:
    """A wheel for another torch or CUDA lacks a symbol when it is imported."""
    package = tmp_path / "flash_attn/__init__.py"
    package.parent.mkdir()
    package.write_text("import flash_attn_2_cuda\n")
    (tmp_path / "flash_attn_2_cuda.so").write_bytes(b"\x7fELF")  # cut off
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        UserError, match=r"does not load with torch .*; build it against this torch"
    ):
        hardware.require_attention(recipe("stage1.yml"))
    hardware.require_attention(recipe("stage1.yml", attn_implementation="eager"))
    sys.modules.pop("flash_attn", None)


def test_the_hubs_kernel_is_not_waited_for_offline(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hardware.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set; unset it for the first run"):
        hardware.require_attention(recipe("stage1.yml"))
    (tmp_path / "models--kernels-community--flash-attn2").mkdir()
    hardware.require_attention(recipe("stage1.yml"))


def test_deepspeed_without_nvcc_is_refused(monkeypatch, tmp_path: Path) -> None:
    one = recipe("stage2.yml", deepspeed="recipes/deepspeed/zero2.json")
    for home in (None, str(tmp_path)):
        monkeypatch.setattr(hardware.cpp_extension, "CUDA_HOME", home)
        with pytest.raises(UserError, match="finds no nvcc here; install CUDA"):
            hardware.require_compiler(one)
        hardware.require_compiler(recipe("stage2.yml"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvcc").touch()
    hardware.require_compiler(one)


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "fp8"])
def test_a_base_that_is_quantised_already_is_refused(tmp_path: Path, method: str) -> None:
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    quantised = {"model_type": "gemma2", "quantization_config": {"quant_method": method}}
    write_json(tmp_path / "config.json", quantised)
    one = recipe("tiny/stage2.yml", base_model=str(tmp_path))
    with pytest.raises(UserError, match=rf"quantised already \({method}\), and training"):
        preflight.preflight(one)
    # where a model reads pictures too, its text has settings of its own
    write_json(tmp_path / "config.json", quantised | {"text_config": {"model_type": "gemma2"}})
    with pytest.raises(UserError, match=rf"quantised already \({method}\)"):
        require_full_weights(str(tmp_path), None)


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("qlora-24gb.yml", {}, "qlora-24gb.yml: load_in_4bit needs"),
        ("stage2.yml", {"optimizer": "paged_adamw_8bit"}, "optimizer paged_adamw_8bit needs"),
        ("stage2.yml", {"optimizer": "adamw_torch_8bit"}, None),
        ("stage2.yml", {}, None),
    ],
)
def test_bitsandbytes_for_another_cuda_is_refused(
    monkeypatch, name: str, change: dict[str, str], wanted: str | None
) -> None:
    fault = cextension.ErrorHandlerMockBNBNativeLibrary("no compatible CUDA binary found")
    monkeypatch.setattr(cextension, "lib", fault)
    hardware.require_quantiser(recipe(name, **change))  # on a CPU it does without
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    if wanted is None:
        hardware.require_quantiser(recipe(name, **change))
        return
    with pytest.raises(UserError, match=f"{wanted} .* has no library that loads with CUDA"):
        hardware.require_quantiser(recipe(name, **change))
