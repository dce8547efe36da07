"""The merge takes of a base's files what transformers loads, and all that an adapter saves."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.errors import UserError
from recipes.weights.lora import WEIGHTS, check_fit, read_adapter
from recipes.weights.merging import merge
from tests.support.tiny_models import save_adapter, save_gemma2, save_llama
from tests.support.training_rows import training_row, write_rows

PLAIN = {"format": "pt"}


@pytest.fixture
def recipe(tmp_path):
    """A recipe without its base."""
    write_rows(tmp_path / "rows.jsonl", [training_row(n) for n in range(3)])
    return {"datasets": [{"path": str(tmp_path / "rows.jsonl")}]}


@pytest.fixture
def base(tmp_path):
    return save_gemma2(tmp_path / "base")


def weights(folder):
    return load_file(folder / "model.safetensors")


def consolidated(base):
    save_file({"layers.0.wq.weight": torch.zeros(2)}, base / "consolidated.safetensors", PLAIN)


def head_once_more(base):
    held = weights(base)
    held["lm_head.weight"] = held["model.embed_tokens.weight"].clone()
    save_file(held, base / "model.safetensors", PLAIN)


def old_buffers(base):
    held = weights(base)
    held |= {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(16) for n in range(4)}
    save_file(held, base / "model.safetensors", PLAIN)


def shards(base):
    held = weights(base)
    (base / "model.safetensors").unlink()
    names = sorted(held)
    parts = {"model-00001-of-00002": names[::2], "model-00002-of-00002": names[1::2]}
    for part, some in parts.items():
        save_file({name: held[name] for name in some}, base / f"{part}.safetensors", PLAIN)
    where = {name: f"{part}.safetensors" for part, some in parts.items() for name in some}
    index = {"metadata": {}, "weight_map": where}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    save_file({"other": torch.zeros(2)}, base / "model-00003-of-00002.safetensors", PLAIN)


def stored_wider(base):
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))


@pytest.mark.parametrize("files", [consolidated, head_once_more, old_buffers, shards, stored_wider])
@pytest.mark.parametrize("modules", [["q_proj", "down_proj"], ["q_proj", "lm_head"]])
def test_a_base_is_what_transformers_loads_of_its_files(tmp_path, base, recipe, files, modules):
    files(base)
    adapter = save_adapter(tmp_path / "adapter", base, target_modules=modules)
    out = tmp_path / "out"
    merge(recipe | {"base_model": str(base)}, adapter, out)
    loaded = AutoModelForCausalLM.from_pretrained(base)
    merged = AutoModelForCausalLM.from_pretrained(out)
    old, new = dict(loaded.named_parameters()), dict(merged.named_parameters())
    assert loaded.dtype == merged.dtype
    changed = {name for name in new if name not in old or not old[name].equal(new[name])}
    assert changed == read_adapter(adapter).changed
    assert not set(weights(out)) - new.keys()


def with_new_tokens(folder, base, **config):
    """An adapter of a base to whose vocabulary two tokens were added, as Axolotl adds them."""
    model = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<turn_a>", "<turn_b>"])
    torch.manual_seed(1)
    rows = model.get_input_embeddings().num_embeddings + 2
    model.resize_token_embeddings(rows)
    settings = {"r": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    adapted = get_peft_model(model, LoraConfig(**settings | config))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.03 * torch.randn_like(parameter)
    adapted.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return adapted.eval()


@pytest.mark.parametrize("make", [save_gemma2, save_llama])
@pytest.mark.parametrize(
    "config",
    [{}, {"modules_to_save": ["embed_tokens", "lm_head"]}, {"modules_to_save": ["lm_head"]}],
)
@torch.inference_mode()
def test_added_tokens_and_saved_modules_are_merged(tmp_path, recipe, make, config):
    base = make(tmp_path / "base")
    with torch.inference_mode(mode=False):
        trained = with_new_tokens(tmp_path / "adapter", base, **config)
    merge(recipe | {"base_model": str(base)}, tmp_path / "adapter", tmp_path / "out")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out", attn_implementation="eager")
    assert merged.config.vocab_size == AutoModelForCausalLM.from_pretrained(base).vocab_size + 2
    ids = torch.tensor([[2, 100, merged.config.vocab_size - 1, 200, merged.config.vocab_size - 2]])
    torch.testing.assert_close(merged.eval()(ids).logits, trained(ids).logits, rtol=0, atol=1e-4)


def test_saved_modules_of_another_base_are_refused(tmp_path, base):
    adapter = tmp_path / "adapter"
    with_new_tokens(adapter, base, modules_to_save=["embed_tokens"])
    check_fit(base, read_adapter(adapter))
    other = save_llama(tmp_path / "other", hidden_size=32)
    with pytest.raises(UserError, match=r"adapter: saves .* has none such|adapts .* has none such"):
        check_fit(other, read_adapter(adapter))
    smaller = save_llama(tmp_path / "smaller", vocab_size=600)  # it has more words, not fewer
    with pytest.raises(UserError, match="has none such"):
        check_fit(smaller, read_adapter(adapter))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_adapter_that_diverged_is_refused(tmp_path, base, recipe, value):
    adapter = save_adapter(tmp_path / "adapter", base)
    pairs = load_file(adapter / WEIGHTS)
    next(iter(pairs.values()))[0, 0] = value
    save_file(pairs, adapter / WEIGHTS, PLAIN)
    with pytest.raises(UserError, match="1 of its tensors hold numbers that are not finite"):
        merge(recipe | {"base_model": str(base)}, adapter, tmp_path / "out")


def test_a_base_without_numbers_is_refused(tmp_path, base, recipe):
    adapter = save_adapter(tmp_path / "adapter", base)
    held = weights(base)
    held["model.norm.weight"][0] = float("nan")
    save_file(held, base / "model.safetensors", PLAIN)
    with pytest.raises(UserError, match="gives logits that are no numbers"):
        merge(recipe | {"base_model": str(base)}, adapter, tmp_path / "out")
