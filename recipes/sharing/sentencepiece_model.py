"""A SentencePiece model made of a tokenizer.json, for llama.cpp's converter, which knows no other.

transformers 5 saves a Gemma's tokenizer as tokenizer.json alone; the converter asks for the file
tokenizer.model that it once was. The two join pieces by different rules: one takes the earliest
merge of its list, the other the union of two pieces that has the greatest score. Scores in the
order of the merges make both the same wherever a piece has one merge, or several in a row;
`differences` looks for texts of which they make other tokens all the same.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from transformers import AutoTokenizer
from transformers.utils.sentencepiece_model_pb2_new import ModelProto, TrainerSpec

from core.errors import UserError
from core.files import read_text

SPACE = "▁"


def sentencepiece_model(tokenizer: Path) -> bytes:
    """The SentencePiece model of a tokenizer.json; raises `UserError` where there can be none.

    That is where its model is no BPE with byte fallback that writes spaces as ▁.
    """
    whole = json.loads(read_text(tokenizer))
    bpe, normal = whole["model"], whole.get("normalizer") or {}
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    if bpe.get("type") != "BPE" or not bpe.get("byte_fallback") or normal != spaces:
        raise UserError(
            f"{tokenizer}: no BPE with byte fallback and {SPACE} for spaces, so no SentencePiece "
            "model says the same; put the base's own tokenizer.model next to it"
        )
    added = {one["content"]: one for one in whole["added_tokens"]}
    scores = {"".join(pair): -float(rank) for rank, pair in reversed([*enumerate(bpe["merges"])])}
    least = -float(len(bpe["merges"]))
    words = bpe["vocab"] | {name: one["id"] for name, one in added.items()}
    made = ModelProto()
    for piece, _ in sorted(words.items(), key=lambda word: word[1]):
        made.pieces.add(
            piece=piece,
            score=scores.get(piece, least),
            type=_type(piece, bpe["unk_token"], added.get(piece)),
        )
    _describe(made, bpe["unk_token"])
    return made.SerializeToString()


def _type(piece: str, unknown: str, added: dict[str, Any] | None) -> int:
    """What kind of piece it is to SentencePiece."""
    kinds = ModelProto.SentencePiece
    if piece == unknown:
        return kinds.UNKNOWN
    if added:
        return kinds.CONTROL if added["special"] else kinds.USER_DEFINED
    is_byte = len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
    return kinds.BYTE if is_byte else kinds.NORMAL


def _describe(made: ModelProto, unknown: str) -> None:
    """How pieces are joined, and that a text is taken as it is."""
    spec = made.trainer_spec
    spec.model_type, spec.byte_fallback = TrainerSpec.BPE, True
    spec.vocab_size, spec.unk_piece = len(made.pieces), unknown
    spec.unk_id = next(n for n, one in enumerate(made.pieces) if one.piece == unknown)
    spec.bos_id = spec.eos_id = spec.pad_id = -1  # llama.cpp takes them from tokenizer_config.json
    plain = made.normalizer_spec
    plain.name, plain.add_dummy_prefix = "identity", False
    plain.remove_extra_whitespaces, plain.escape_whitespaces = False, True


def differences(model: Path, texts: Iterable[str]) -> list[str]:
    """The texts of which a folder's tokenizer.model makes other tokens than its tokenizer.json.

    Special words are left to whoever puts turns together, so that texts should hold none.
    """
    ours = AutoTokenizer.from_pretrained(model)
    theirs = SentencePieceProcessor(model_file=str(model / "tokenizer.model"))
    return [
        text
        for text in texts
        if ours(text, add_special_tokens=False).input_ids != theirs.encode(text)
    ]
