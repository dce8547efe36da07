"""llama.cpp's own converter of weights, fetched from the package index and run as it is."""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from core import pinned_packages
from core.errors import UserError
from core.files import atomic_dir, read_text, sha256

PINS = Path("recipes/sharing/llama-cpp.txt")
FOLDER = Path("data/llama.cpp")
SCRIPT = "convert_hf_to_gguf.py"
WITHIN = "vendor/llama.cpp/"  # of the source package
PARTS = (SCRIPT, "conversion/", "gguf-py/gguf/", "LICENSE")


def converter(package: Path | None) -> Path:
    """The folder of the converter; fetched, or unpacked from the source package, where it is not.

    Raises `UserError` where it cannot be had, or the package is not the one that is pinned.
    """
    if (FOLDER / SCRIPT).is_file():
        return FOLDER
    if package is not None:
        _unpack(package)
        return FOLDER
    with tempfile.TemporaryDirectory() as downloads:
        sentence = (
            "pip could not fetch this package, for the reason above; run it again, or give its "
            "source package by --llama-cpp"
        )
        source = ("--no-binary", "llama-cpp-python")
        pinned_packages.download(PINS, Path(downloads), source, sentence)
        [fetched] = Path(downloads).glob("*.tar.gz")
        _unpack(fetched)
    return FOLDER


def _unpack(package: Path) -> None:
    """Take the converter out of the source package, all or nothing."""
    if not package.is_file():
        raise UserError(f"{package}: no such file; name the source package of {PINS}")
    pinned = re.findall("--hash=sha256:([0-9a-f]{64})", read_text(PINS))
    if sha256(package) not in pinned:
        raise UserError(f"{package}: not the source package that {PINS} pins; take that one")
    with tempfile.TemporaryDirectory() as room, tarfile.open(package) as opened:
        kept = [
            member
            for member in opened
            if member.name.partition(WITHIN)[2].startswith(PARTS) and member.isfile()
        ]
        opened.extractall(room, kept, filter="data")
        [source] = Path(room).glob(f"*/{WITHIN}")
        with atomic_dir(FOLDER, SCRIPT) as new:
            shutil.copytree(source, new, dirs_exist_ok=True)


def convert(folder: Path, model: Path, out: Path, kind: str) -> None:
    """Have the converter in a folder write a model as the file `out`, of weights of `kind`.

    Raises `UserError` with the converter's last words where it gives up.
    """
    command = [sys.executable, str(folder / SCRIPT), str(model), "--outtype", kind]
    done = subprocess.run([*command, "--outfile", str(out)], capture_output=True, text=True)
    if done.returncode or not out.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise UserError(
            f"{out.name}: llama.cpp's converter gave up ({said}); does it know the model?"
        )
