"""Rows and a random base, small enough to be trained on in a test."""

import json
from pathlib import Path

THINGS = ("우산", "자전거", "김치찌개", "기타", "노트북", "강아지", "등산", "도서관")


def training_row(number: int, order: tuple[int, ...] = (0, 1, 2)) -> dict:
    """A row as prep writes it: which of three things was spoken of; the right one is option 0."""
    thing = [THINGS[(number + step) % len(THINGS)] for step in (0, 3, 5)]
    options = "\n".join(f"{'ABC'[k]}. {thing[i]} 이야기" for k, i in enumerate(order))
    answer = "ABC"[order.index(0)]
    user = f"[Conversation]\n화자1: 어제 {thing[0]} 봤어?\n화자2: 응, 봤어.\n\n[Option]\n{options}"
    return {
        "id": f"t-{number}~{''.join('ABC'[i] for i in order)}",
        "record": f"t-{number}",
        "source": "test",
        "split": "train",
        "group": f"g-{number}",
        "category": "원인",
        "prompt": "reference@1",
        "messages": [
            {"role": "user", "content": user},
            {"role": "assistant", "content": f"{answer}. {thing[0]} 이야기"},
        ],
        "labels": ["A", "B", "C"],
        "order": list(order),
        "answer": answer,
    }


def chat_row(number: int) -> dict:
    """A row without options, of two turns."""
    thing = THINGS[number % len(THINGS)]
    said = [f"{thing} 좋아해?", f"네, {thing} 좋아합니다.", "왜?", "어릴 때부터 좋아했습니다."]
    roles = ["user", "assistant"] * 2
    return {
        "id": f"c-{number}",
        "record": f"c-{number}",
        "source": "chat",
        "split": "train",
        "group": f"c-{number}",
        "category": None,
        "prompt": None,
        "messages": [{"role": r, "content": s} for r, s in zip(roles, said, strict=True)],
        "labels": None,
        "order": None,
        "answer": None,
    }


def write_rows(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def random_base(folder: Path) -> None:
    """A random Gemma-2 of 2 layers with a BPE tokenizer that knows Gemma's special tokens."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n+|[.:]"), "isolated"),
            pre_tokenizers.Split("▁", "merged_with_next"),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    rows = [training_row(n) for n in range(16)] + [chat_row(n) for n in range(16)]
    texts = [message["content"] for row in rows for message in row["messages"]]
    texts += ["### Instruction:\n\n### Response:\n", "user\nmodel\n", *[" A"] * 9]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=special + bytes_, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        chat_template="{{ bos_token }}{{ messages[0]['content'] }}",
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=16,
        max_position_embeddings=1024,
        initializer_range=0.15,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    Gemma2ForCausalLM(config).save_pretrained(folder)
