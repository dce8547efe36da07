"""The merge changes the layers that carry an adapter, as the adapter says, and nothing else."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.errors import UserError
from recipes.export import main
from recipes.weights.base_model import check_base
from recipes.weights.lora import read_adapter
from recipes.weights.merging import check_weights, distance
from tests.support.training_rows import training_row


@pytest.fixture
def base(chain):
    return chain.place / "recipes/tiny/base"


@pytest.fixture
def adapter(chain):
    return chain.place / "outputs/demo-stage1/trained"


@pytest.fixture
def merged(chain):
    return chain.place / "outputs/demo-stage1/model"


def test_only_layers_with_an_adapter_changed(chain, base, adapter, merged):
    before, after = load_file(base / "model.safetensors"), load_file(merged / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    # all seven linear layers of both blocks
    assert len(changed) == 14
    assert all("_proj.weight" in name for name in changed)
    assert changed == read_adapter(adapter).changed
    assert chain.merge.stdout.startswith(
        "outputs/demo-stage1/model: 14 adapter pairs merged, all other weights bit-equal\n"
    )


def test_each_changed_weight_is_base_plus_scaled_pair(base, adapter, merged):
    before, after = load_file(base / "model.safetensors"), load_file(merged / "model.safetensors")
    pairs = load_file(adapter / "adapter_model.safetensors")
    for name in read_adapter(adapter).changed:
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        delta = 32 / 16 * pairs[f"{stem}.lora_B.weight"] @ pairs[f"{stem}.lora_A.weight"]
        torch.testing.assert_close(after[name], before[name] + delta, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_logits_are_those_of_base_and_adapter(base, adapter, merged):
    def load(folder):
        return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()

    tokenizer = AutoTokenizer.from_pretrained(merged)
    ids = tokenizer.apply_chat_template(
        training_row(5)["messages"], return_dict=False, return_tensors="pt"
    )
    plain = load(base)(ids).logits
    apart = PeftModel.from_pretrained(load(base), adapter).eval()(ids).logits
    joined = load(merged)(ids).logits
    assert (joined - apart).abs().max() < 1e-4
    assert (joined - plain).abs().max() > 0.1  # the adapter does something


def test_the_tokenizer_and_template_are_those_of_training(adapter, merged):
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (merged / name).read_bytes() == (adapter / name).read_bytes()
    assert "### Response:" in (merged / "chat_template.jinja").read_text()
    assert (merged / "generation_config.json").is_file()


def test_the_result_says_what_it_was_made_of(merged):
    record = json.loads((merged / "merge.json").read_text())
    assert (record["recipe"], record["dtype"]) == ("recipes/tiny/stage1.yml", "torch.float32")
    assert record["off_base_and_adapter"] < 1e-5
    assert 0 < record["off_4bit_base_and_adapter"] < 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda w: w["model.embed_tokens.weight"].add_(1e-3), "has no adapter and yet changed"),
        (lambda w: w.pop("model.norm.weight"), "not the base's weights"),
        (lambda w: w.update(extra=torch.zeros(1)), "not the base's weights"),
    ],
)
def test_a_spoilt_merge_is_found(base, adapter, merged, tmp_path, spoil, said):
    weights = load_file(merged / "model.safetensors")
    loaded = set(weights)
    spoil(weights)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match=said):
        check_weights(base, tmp_path, read_adapter(adapter).changed, {}, loaded)


def test_an_unused_pair_is_found(base, adapter):
    with pytest.raises(RuntimeError, match="changed nothing"):
        check_weights(base, base, read_adapter(adapter).changed, {}, set())


def test_half_a_pair_is_refused(adapter, tmp_path):
    pairs = load_file(adapter / "adapter_model.safetensors")
    pairs.pop(next(name for name in pairs if "lora_B" in name))
    save_file(pairs, tmp_path / "adapter_model.safetensors")
    shutil.copy(adapter / "adapter_config.json", tmp_path)
    with pytest.raises(UserError, match="not a plain LoRA adapter"):
        read_adapter(tmp_path)


def test_another_base_is_refused(base, adapter, tmp_path):
    check_base(str(base), None, adapter)
    shutil.copytree(base, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] += 1
    save_file(weights, tmp_path / "base/model.safetensors")
    with pytest.raises(UserError, match=r"not what .* was trained on"):
        check_base(str(tmp_path / "base"), None, adapter)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("recipes/tiny/stage2.yml --adapter outputs/demo-stage1/trained", "trains no adapter"),
        ("recipes/stage1.yml", "no finished adapter; run accelerate launch"),
        ("recipes/none.yml", "no such file"),
        ("bare.yml", "names no base_model, datasets, output_dir"),
    ],
)
def test_what_cannot_be_merged_is_refused_and_nothing_touched(
    chain, merged, monkeypatch, given, said
):
    before = {path: path.stat().st_mtime_ns for path in merged.iterdir()}
    monkeypatch.chdir(chain.place)
    Path("bare.yml").write_text("adapter: lora\n")
    monkeypatch.setattr("sys.argv", ["export.py", *given.split(), "--out", str(merged)])
    with pytest.raises(UserError, match=said):
        main()
    assert {path: path.stat().st_mtime_ns for path in merged.iterdir()} == before


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("outputs/demo-stage1/trained", "outputs/demo-stage1/trained, which is read"),
        ("outputs/demo-stage1", "outputs/demo-stage1/trained, which is read"),
        ("recipes/tiny/base", "recipes/tiny/base, which is read"),
        ("recipes", "recipes/tiny/stage1.yml, which is read"),
        ("data/demo", "data/demo/stage1.jsonl, which is read"),
        ("outputs/demo-stage2/trained", "which this command did not make"),
    ],
)
def test_a_merge_replaces_merges_only(chain, monkeypatch, out, said):
    monkeypatch.chdir(chain.place)
    before = sorted(chain.place.rglob("*"))
    monkeypatch.setattr("sys.argv", ["export.py", "recipes/tiny/stage1.yml", "--out", out])
    with pytest.raises(UserError, match=said):
        main()
    assert sorted(chain.place.rglob("*")) == before


def test_distance_ignores_a_shift_of_all_logits():
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    assert distance(logits + 5, logits) == pytest.approx(0, abs=1e-6)
    assert distance(logits * 1.5, logits) == pytest.approx(0.5)
