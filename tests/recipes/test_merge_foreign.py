"""recipes/export.py merges an adapter that was trained elsewhere, by its base alone."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from core.errors import UserError
from core.jsonl import read_json, write_json
from recipes import export
from recipes.weights import merging
from tests.support.tiny_models import save_adapter, save_gemma2


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("base"))


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """An adapter as PEFT alone writes it: no tokenizer, no record of a run."""
    folder = save_adapter(tmp_path / "lora", base)
    for file in folder.iterdir():
        if not file.name.startswith("adapter"):
            file.unlink()
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["export.py", *map(str, arguments)])
    export.main()


@torch.inference_mode()
@pytest.mark.parametrize("named", [True, False])
def test_an_adapter_without_a_recipe_is_merged(
    named: bool, base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "--adapter", adapter, *(["--base", base] if named else []))
    merged = tmp_path / "lora-model"
    ids = torch.tensor([[5, 9, 11]])
    eager = {"attn_implementation": "eager"}
    apart = AutoModelForCausalLM.from_pretrained(base, **eager)
    apart = PeftModel.from_pretrained(apart, adapter)(ids).logits
    full = AutoModelForCausalLM.from_pretrained(merged, **eager)(ids).logits
    torch.testing.assert_close(full, apart, rtol=0, atol=1e-4)
    assert (merged / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    said = json.loads((merged / "merge.json").read_text("utf-8"))
    assert (said["recipe"], said["base"]) == (None, str(base))


def test_what_cannot_be_merged_without_a_recipe_is_said(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="name the recipe that was trained, or an adapter by"):
        run(monkeypatch)
    with pytest.raises(UserError, match=r"no adapter_config.json in it; name the folder"):
        run(monkeypatch, "--adapter", tmp_path)
    (tmp_path / "r.yml").write_text("adapter: lora\n", "utf-8")
    with pytest.raises(UserError, match="names its own base; leave out --base"):
        run(monkeypatch, tmp_path / "r.yml", "--base", base)
    config = adapter / "adapter_config.json"
    said = json.loads(config.read_text("utf-8"))
    config.write_text(json.dumps({**said, "base_model_name_or_path": None}), "utf-8")
    with pytest.raises(UserError, match=r"adapter_config.json: names no base; name it by --base"):
        run(monkeypatch, "--adapter", adapter)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(
        UserError, match=r"no finished adapter; save it as adapter_model.safetensors"
    ):
        run(monkeypatch, "--adapter", adapter, "--base", base)
    assert not (tmp_path / "lora-model").exists()


def test_a_base_that_is_quantised_already_is_not_merged_into(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = shutil.copytree(base, tmp_path / "four")
    quantised = {"quantization_config": {"quant_method": "gptq"}}
    write_json(done / "config.json", read_json(done / "config.json") | quantised)
    with pytest.raises(UserError, match=r"quantised already \(gptq\), and .*name the model they"):
        run(monkeypatch, "--adapter", adapter, "--base", done)
    assert not (tmp_path / "lora-model").exists()


def test_a_base_too_large_for_the_gpu_is_merged_by_the_cpu(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    size = sum(file.stat().st_size for file in base.glob("*.safetensors"))
    assert merging.device_for(base) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for memory, device in ((2 * size, "cuda"), (size, "cpu")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda memory=memory: (0, memory))
        assert merging.device_for(base) == device
    assert "too large for this GPU" in capsys.readouterr().out
