"""A cross-encoder drawn at random, for tests of what puts chunks in order."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = "소금 장터 우물 시계 자격루 김치 마을 겨울".split()


def save_cross_encoder(
    folder: Path, kind: type = BertForSequenceClassification, labels: int = 1
) -> Path:
    """A BERT drawn at random, and its words."""
    known = {word: k for k, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(known, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(1)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=len(known),
        num_hidden_layers=1,
        max_position_embeddings=64,
        initializer_range=1.0,
        num_labels=labels,
        **size,
    )
    kind(config).save_pretrained(folder)
    return folder
