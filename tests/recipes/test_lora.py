"""Each method of the LoRA family merges into what it computed, or is refused by name."""

import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from core.errors import UserError
from recipes.weights.lora import WEIGHTS, check_fit, read_adapter
from recipes.weights.merging import merge
from tests.support.tiny_models import save_adapter, save_gemma2, save_llama, save_qwen2
from tests.support.training_rows import training_row, write_rows

LAYERS = ["q_proj", "v_proj", "down_proj"]
HEAD = [*LAYERS, "lm_head"]
EMBEDDINGS = [*LAYERS, "embed_tokens"]
# by base: PEFT's settings, and whether head and embeddings part
CASES = {
    "LoRA": ("gemma2", {}, False),
    "rsLoRA": ("gemma2", {"use_rslora": True}, False),
    "DoRA": ("gemma2", {"use_dora": True}, False),
    "DoRA with rsLoRA": ("gemma2", {"use_dora": True, "use_rslora": True}, False),
    "ranks by layer": (
        "gemma2",
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
        False,
    ),
    "tied head": ("gemma2", {"target_modules": HEAD}, True),
    "tied embeddings": ("gemma2", {"target_modules": EMBEDDINGS}, True),
    "tied head by DoRA": ("gemma2", {"target_modules": HEAD, "use_dora": True}, True),
    "both tied ends": ("gemma2", {"target_modules": [*EMBEDDINGS, "lm_head"]}, True),
    "full tied head": ("gemma2", {"modules_to_save": ["lm_head"]}, True),
    "full tied embeddings": ("gemma2", {"modules_to_save": ["embed_tokens"]}, True),
    "head": ("llama", {"target_modules": HEAD}, False),
    "embeddings by rsLoRA": ("llama", {"target_modules": EMBEDDINGS, "use_rslora": True}, False),
    "biases": ("qwen2", {"bias": "all"}, False),
    "biases of the pairs' layers": ("qwen2", {"bias": "lora_only"}, False),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    place = tmp_path_factory.mktemp("bases")
    return {
        "gemma2": save_gemma2(place / "gemma2"),
        "llama": save_llama(place / "llama"),
        "qwen2": save_qwen2(place / "qwen2"),
    }


@pytest.fixture
def recipe(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [training_row(n) for n in range(3)])
    return {"datasets": [{"path": str(tmp_path / "rows.jsonl")}]}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()


@torch.inference_mode()
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings")
@pytest.mark.parametrize("case", CASES)
def test_merged_is_base_and_adapter(bases, recipe, tmp_path, case):
    family, config, parted = CASES[case]
    base = bases[family]
    adapter = save_adapter(tmp_path / "adapter", base, **config)
    measured = merge({**recipe, "base_model": str(base)}, adapter, tmp_path / "merged")
    assert measured["untied"] == ("lm_head.weight" if parted else None)

    ids = torch.arange(20, 60)[None]
    apart = PeftModel.from_pretrained(load(base), adapter).eval()(ids).logits
    merged = load(tmp_path / "merged")(ids).logits
    torch.testing.assert_close(merged, apart, rtol=0, atol=1e-4 * float(apart.std()))
    assert (load(base)(ids).logits - apart).std() > 0.02 * apart.std()
    config = json.loads((tmp_path / "merged/config.json").read_text())
    assert config["tie_word_embeddings"] is (family == "gemma2" and not parted)


@pytest.mark.parametrize(
    ("config", "scale"), [({}, 16 / 4), ({"use_rslora": True}, 16 / 2), ({"r": 9}, 16 / 9)]
)
def test_the_scale_is_alpha_over_r_or_its_root(bases, tmp_path, config, scale):
    adapter = read_adapter(save_adapter(tmp_path, bases["llama"], **config))
    for module in adapter.modules:
        down, up = adapter.pair(module)
        assert adapter.scale(module, len(down)) == pytest.approx(scale)
        assert len(down) == up.shape[1] == config.get("r", 4)


def test_dora_is_its_formula(bases, recipe, tmp_path):
    base = bases["llama"]
    adapter = save_adapter(tmp_path / "adapter", base, use_dora=True)
    merge({**recipe, "base_model": str(base)}, adapter, tmp_path / "merged")
    learnt = load_file(adapter / WEIGHTS)
    before, after = (
        load_file(folder / "model.safetensors") for folder in (base, tmp_path / "merged")
    )
    name = "model.layers.1.self_attn.q_proj"
    stem = f"base_model.model.{name}"
    sum_ = before[f"{name}.weight"] + 4 * (
        learnt[f"{stem}.lora_B.weight"] @ learnt[f"{stem}.lora_A.weight"]
    )
    magnitude = learnt[f"{stem}.lora_magnitude_vector"]
    formula = magnitude[:, None] * sum_ / sum_.norm(dim=1, keepdim=True)
    torch.testing.assert_close(after[f"{name}.weight"], formula, rtol=0, atol=1e-6)


def configured(folder, **change):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"peft_type": "IA3"}, "a IA3 adapter; only LORA can be merged"),
        ({"use_dora": True}, "differ about DoRA"),
        ({"lora_bias": True}, r"gives its pairs a bias \(lora_bias\)"),
        ({"ensure_weight_tying": True}, "which a merge would add twice"),
        ({"init_lora_weights": "pissa"}, "starts by pissa, which changes weights of the base"),
        ({"layer_replication": [[0, 1], [0, 2]]}, "repeats layers"),
    ],
)
def test_what_cannot_be_merged_is_refused_by_name(bases, tmp_path, change, said):
    adapter = save_adapter(tmp_path, bases["llama"])
    with pytest.raises(UserError, match=said):
        read_adapter(configured(adapter, **change))


def test_a_foreign_tensor_is_refused_by_name(bases, tmp_path):
    adapter = save_adapter(tmp_path, bases["llama"])
    weights = load_file(adapter / WEIGHTS)
    save_file({**weights, "prompt_embeddings": torch.zeros(1)}, adapter / WEIGHTS)
    with pytest.raises(UserError, match="prompt_embeddings is no part of a LoRA adapter"):
        read_adapter(adapter)
    shutil.rmtree(adapter)
    with pytest.raises(UserError, match=f"no {WEIGHTS}; name the folder of a finished adapter"):
        read_adapter(adapter)


def test_an_adapter_of_another_backbone_is_refused(bases, tmp_path):
    adapter = read_adapter(save_adapter(tmp_path, bases["gemma2"]))
    check_fit(bases["gemma2"], adapter)
    with pytest.raises(UserError, match=r"adapts model\.layers\.0\.\S+ of \d+ x \d+, and .* none"):
        check_fit(bases["llama"], adapter)
