"""A tokenizer and a random Gemma-2, true in every part, for the tiny base to begin with."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedTokenizerFast

from core.jsonl import write_json
from prep.demo.exercises import exercises
from prep.demo.grammar import BORDER
from prep.demo.synthetic import corpus, proofreading
from prep.render import Renderer, load_prompt
from prep.sources import cci

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPACE = "▁"


def texts(seed: int) -> Iterator[str]:
    """What the tokenizer learns its words from: exercises, questions and instructions, marked."""
    for exercise in exercises(seed, 20_000):
        yield from (message["content"] for message in exercise["messages"])
    for pair in proofreading(seed, 300):
        yield from pair.values()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.json"
        write_json(path, corpus("train", 900, seed) + corpus("train", 900, seed, "broad"))
        questions, _ = cci.read(path, "train")
    for prompt in ("baseline", "reference"):
        renderer = Renderer(load_prompt(prompt))
        for question in questions:
            yield from (message.content for message in renderer.loss(question).messages)
    yield from ["### Instruction:\n", "### Response:\n"] * 1000  # the frame of the alpaca template


def tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """A BPE with byte fallback, like Gemma's: words, particles and digits apart.

    No merge crosses a border between word and particle, because training never sees the two
    together; every other text falls back to syllables and bytes, so that nothing is unknown.
    """
    words = [
        pre_tokenizers.Split(Regex(r"\n+"), "isolated"),
        pre_tokenizers.Split(Regex(r"[.:,?!0-9]"), "isolated"),
        pre_tokenizers.Split(Regex(SPACE), "merged_with_next"),
    ]
    bpe = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    bpe.normalizer = normalizers.Replace(" ", SPACE)
    border = pre_tokenizers.Split(Regex(f"[{BORDER}]"), "removed")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([border, *words])
    bpe.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=SPECIAL + BYTES, min_frequency=5, show_progress=False
    )
    bpe.train_from_iterator(texts(seed), trainer)
    bpe.pre_tokenizer = pre_tokenizers.Sequence(words)
    bpe = without_special(bpe, BYTES)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<start_of_turn>", "<end_of_turn>"],
        clean_up_tokenization_spaces=False,
    )


def without_special(tokenizer: Tokenizer, tokens: Sequence[str]) -> Tokenizer:
    """The same tokenizer, these tokens plain words of its vocabulary, as Gemma's bytes are.

    A trainer takes words given to it for special ones, which are left out of texts and of JSON.
    """
    said = json.loads(tokenizer.to_str())
    said["added_tokens"] = [one for one in said["added_tokens"] if one["content"] not in tokens]
    return Tokenizer.from_str(json.dumps(said))


def model(vocabulary: int, seed: int) -> Gemma2ForCausalLM:
    """A Gemma-2 of 0.8 million parameters: soft-caps, sliding window, tied embeddings as the real.

    Queries and keys start out equal and norms after each block small, so that equal tokens attend
    to each other from the first step: matching is found in hundreds of steps, not in thousands
    (docs/LOG.md holds the search that found this).
    """
    torch.manual_seed(seed)
    config = Gemma2Config(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=512,
        max_position_embeddings=8192,
        initializer_range=0.088,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        dtype="float32",
    )
    config._attn_implementation = "eager"  # sdpa would lose the soft-cap
    gemma = Gemma2ForCausalLM(config)
    with torch.no_grad():
        for layer in gemma.model.layers:
            layer.self_attn.q_proj.weight *= 1.2
            layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
            layer.post_attention_layernorm.weight.fill_(-0.7)  # a Gemma norm scales by 1 + weight
            layer.post_feedforward_layernorm.weight.fill_(-0.7)
    return gemma


def save(folder: Path, seed: int) -> None:
    """Write the folder that recipes/tiny/base.yml trains: both, from one seed."""
    words = tokenizer(seed)
    gemma = model(len(words), seed)
    gemma.save_pretrained(folder)
    words.save_pretrained(folder)
    print(f"{folder}: {gemma.num_parameters():,} parameters, {len(words)} tokens")
