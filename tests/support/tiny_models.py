"""Tiny language models and a tokenizer, built on the spot for tests: nothing downloaded.

All but the one that is taught are random. Their weights are drawn wide, so that the letters'
probabilities differ clearly and a comparison of two engines means something; the soft-cap and the
sliding window are set where they bite.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from core.records import Message
from eval.answer_tokens import split_answers

TEXTS = (
    "### 지시문:\n다음 대화를 읽고 물음에 답하세요.\n",
    "1: 어제 산책하다가 비를 흠뻑 맞았어.\n2: 그래서 감기에 걸렸구나.\n",
    "1: 주말에 등산 갈래?\n2: 좋아, 도시락은 내가 쌀게.\n",
    "보기\nA. 화자 1은 우산이 없었다.\nB. 화자 2는 산을 싫어한다.\nC. 둘은 도서관에 있다.\n",
    "원인 후행사건 전제 동기 반응 가운데 알맞은 것을 고르세요.\n",
)
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '### Response:\n' + message['content'] + eos_token }}"
    "{% else %}{{ '### Instruction:\n' + message['content'] + '\n\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}"
)


def save_tokenizer(
    folder: Path,
    template: str | None = TEMPLATE,
    special: tuple[str, ...] = (),
    size: int = 512,
    joins: bool = False,
    texts: Sequence[str] = TEXTS,
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on a few Korean lines and save it with its chat template.

    With `joins` a line break is one token with the sign before it (":\n"), as in Llama-3 and Qwen.
    """
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if joins:
        words = pre_tokenizers.Split(Regex(r"[^\s\p{L}\p{N}]+[\r\n]*|\s?\p{L}+|\s+|."), "isolated")
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        raw.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_])
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "<eos>", "<bos>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([*texts] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>"
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_gemma2(folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """A random Gemma-2 whose soft-caps and 16-token sliding window change its output."""
    torch.manual_seed(seed)
    config = Gemma2Config(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        query_pre_attn_scalar=4,
        attn_logit_softcapping=4.0,
        final_logit_softcapping=12.0,
        sliding_window=16,
        max_position_embeddings=512,
        initializer_range=0.25,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    return _save(Gemma2ForCausalLM(config).to(dtype), folder)


UNTIED = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "initializer_range": 0.25,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
    "tie_word_embeddings": False,
}


def save_llama(
    folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32, **config: object
) -> Path:
    """A random Llama with grouped-query attention and a head of its own."""
    torch.manual_seed(seed)
    config = LlamaConfig(**UNTIED | {"num_hidden_layers": 3} | config)
    return _save(LlamaForCausalLM(config).to(dtype), folder)


def save_qwen2(folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """A random Qwen2, whose queries, keys and values have biases."""
    torch.manual_seed(seed)
    config = Qwen2Config(**UNTIED, num_hidden_layers=2)
    return _save(Qwen2ForCausalLM(config).to(dtype), folder)


def save_taught(folder: Path, taught: Sequence[tuple[Message, str]]) -> Path:
    """A Llama that has learnt by heart what to reply to each message, and to end there.

    A message taught with several replies gets each as often as it was taught.
    """
    texts = [text for message, reply in taught for text in (message.content, reply)]
    tokenizer = save_tokenizer(folder, size=1024, texts=texts)
    ids, labels = [], []
    for message, reply in taught:
        prompt, [tail] = split_answers(tokenizer, [message], [reply], folder.name)
        ids.append(torch.tensor([*prompt, *tail]))
        labels.append(torch.tensor([-100] * len(prompt) + tail))
    padded = pad_sequence(ids, batch_first=True)
    wanted = pad_sequence(labels, batch_first=True, padding_value=-100)
    torch.manual_seed(0)
    settings = {"vocab_size": len(tokenizer), "max_position_embeddings": 2048}
    settings |= {"initializer_range": 0.05, "num_hidden_layers": 2}
    model = LlamaForCausalLM(LlamaConfig(**UNTIED | settings))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batches = [part for _ in range(70) for part in torch.randperm(len(taught)).split(7)]
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, len(batches))
    for part in batches:
        model(input_ids=padded[part], labels=wanted[part]).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        slower.step()
    model.save_pretrained(folder)
    return folder


def save_adapter(folder: Path, base: Path, seed: int = 1, **config: object) -> Path:
    """An adapter of all linear layers of a base, its numbers drawn at random, and the tokenizer."""
    torch.manual_seed(seed)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    settings = {"r": 4, "lora_alpha": 16, "target_modules": layers, "task_type": "CAUSAL_LM"}
    model = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    adapted = get_peft_model(model, LoraConfig(**settings | config))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.03 * torch.randn_like(parameter)
    adapted.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def _save(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return folder
