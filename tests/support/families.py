"""A tokenizer and a configuration of each backbone family, built on the spot: nothing downloaded.

They are small, and true in what the checks ask: special tokens, the kind of BPE, ties and caps.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    Exaone4Config,
    Gemma2Config,
    Gemma3TextConfig,
    GlmConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

TEXTS = (
    "[Conversation]\n화자1: 어제 뭐 했어?\n화자2: 도서관에서 책을 읽었어.\n",
    "[Option]\nA. 비가 왔다.\nB. 눈이 왔다.\nC. 날이 갰다.\n",
    "### Instruction:\n어제\n\n### Response:\nA. 비가 왔다.",
    "user\nassistant\nmodel\nsystem\n",
)
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 700,
}


def wrapped(raw: Tokenizer, special: Sequence[str], **named: str) -> PreTrainedTokenizerFast:
    """A tokenizer with its special tokens, each one id."""
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        additional_special_tokens=[one for one in special if one not in named.values()],
        clean_up_tokenization_spaces=False,
        **named,
    )


def byte_level(special: Sequence[str], **named: str) -> PreTrainedTokenizerFast:
    """BPE over bytes, as Llama-3, Qwen2, GLM-4 and EXAONE have it; letters and breaks apart."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n+|[.:]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(TEXTS * 4, trainer)
    return wrapped(raw, special, **named)


def sentence_piece(special: Sequence[str], prefix: bool, **named: str) -> PreTrainedTokenizerFast:
    """BPE over characters that falls back to bytes; Llama-2's puts a space before every text."""
    steps = [normalizers.Prepend("▁")] if prefix else []
    raw = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    raw.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n+|[.:]"), "isolated")
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    raw.decoder = decoders.Sequence([*parts, *([decoders.Strip(" ", 1, 0)] if prefix else [])])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[*special, *bytes_], show_progress=False
    )
    raw.train_from_iterator(TEXTS * 4, trainer)
    return wrapped(raw, special, **named)


def gemma2() -> tuple[PretrainedConfig, Any]:
    config = Gemma2Config(**SMALL, query_pre_attn_scalar=8, max_position_embeddings=8192)
    return config, gemma_tokenizer()


def gemma3() -> tuple[PretrainedConfig, Any]:
    config = Gemma3TextConfig(**SMALL, query_pre_attn_scalar=8, max_position_embeddings=32768)
    return config, gemma_tokenizer()


def gemma_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    named = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
    return sentence_piece(special, prefix=False, unk_token="<unk>", **named)


def llama3() -> tuple[PretrainedConfig, Any]:
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
    special += ["<|start_header_id|>", "<|end_header_id|>"]
    named = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
    config = LlamaConfig(**SMALL, max_position_embeddings=8192, tie_word_embeddings=False)
    return config, byte_level(special, **named)


def qwen2() -> tuple[PretrainedConfig, Any]:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    named = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    small = {key: value for key, value in SMALL.items() if key != "head_dim"}
    config = Qwen2Config(**small, max_position_embeddings=32768, tie_word_embeddings=False)
    return config, byte_level(special, **named)


def solar() -> tuple[PretrainedConfig, Any]:
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    config = LlamaConfig(**SMALL, max_position_embeddings=4096, tie_word_embeddings=False)
    return config, sentence_piece(["<unk>", "<s>", "</s>"], prefix=True, **named)


def glm4() -> tuple[PretrainedConfig, Any]:
    special = ["<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"]
    config = GlmConfig(**SMALL, max_position_embeddings=131072, pad_token_id=0)
    return config, byte_level(special, eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def exaone4() -> tuple[PretrainedConfig, Any]:
    special = ["[PAD]", "[BOS]", "[EOS]", "[|endofturn|]", "[|system|]", "[|user|]"]
    special += ["[|assistant|]", "[|tool|]"]
    named = {"bos_token": "[BOS]", "eos_token": "[|endofturn|]", "pad_token": "[PAD]"}
    config = Exaone4Config(**SMALL, max_position_embeddings=131072)
    return config, byte_level(special, **named)


FAMILIES: dict[str, Callable[[], tuple[PretrainedConfig, Any]]] = {
    "gemma2": gemma2,
    "gemma3": gemma3,
    "llama3": llama3,
    "qwen2": qwen2,
    "solar": solar,
    "glm4": glm4,
    "exaone4": exaone4,
}
