"""The tokenizer that a GGUF file of a Gemma holds, as transformers' own.

transformers 5.16 makes of such a file a tokenizer that splits texts into characters, because the
file has pieces and scores but no merges. They follow from these: Gemma's BPE joins two pieces
wherever their union is a piece, those of the greatest score first.
"""

from pathlib import Path
from typing import Any

from axolotl.utils.chat_templates import get_chat_template
from gguf import GGUFReader, TokenType
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

SPACE = "▁"


def tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a GGUF file, with Gemma's chat template."""
    reader = GGUFReader(path)

    def field(name: str) -> Any:
        return reader.fields[f"tokenizer.ggml.{name}"].contents()

    pieces, scores, types = field("tokens"), field("scores"), field("token_type")
    ids = {piece: place for place, piece in enumerate(pieces)}
    bpe = Tokenizer(
        models.BPE(ids, merges(pieces, scores, types), byte_fallback=True, unk_token="<unk>")
    )
    bpe.normalizer = normalizers.Replace(" ", SPACE)
    bpe.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    bpe.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    bpe.add_special_tokens(added(pieces, types, TokenType.CONTROL))
    bpe.add_tokens(added(pieces, types, TokenType.USER_DEFINED))
    begin = pieces[field("bos_token_id")]
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, ids[begin])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=begin,
        eos_token=pieces[field("eos_token_id")],
        pad_token=pieces[field("padding_token_id")],
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        chat_template=get_chat_template("gemma"),
    )


def added(pieces: list[str], types: list[int], kind: TokenType) -> list[AddedToken]:
    """The pieces of one kind as tokens that are found before all others."""
    return [
        AddedToken(piece, normalized=False, special=kind == TokenType.CONTROL)
        for piece, one in zip(pieces, types, strict=True)
        if one == kind
    ]


def merges(pieces: list[str], scores: list[float], types: list[int]) -> list[tuple[str, str]]:
    """Every split of a piece into two pieces, by the piece's score from the greatest down.

    Of one piece, the split whose left part has the lowest id comes first.
    """
    normal = {
        piece: place
        for place, (piece, kind) in enumerate(zip(pieces, types, strict=True))
        if kind == TokenType.NORMAL
    }
    found = []
    for piece, place in normal.items():
        halves = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        known = [(normal[a], normal[b], a, b) for a, b in halves if a in normal and b in normal]
        found += [(-scores[place], *split) for split in sorted(known)]
    return [(left, right) for *_, left, right in sorted(found, key=lambda one: one[0])]
