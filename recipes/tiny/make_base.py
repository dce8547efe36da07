"""Pretrain the tiny base from scratch and install it, with a manifest of how it came about.

Run as: python recipes/tiny/make_base.py

It is the demo's stand-in for a downloaded model. A run that was killed continues where it stopped.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import atomic_dir, sha256
from core.jsonl import write_json

EXERCISES = Path("data/tiny-base/exercises.jsonl")
INIT = Path("outputs/tiny-base/init")
TRAINED = Path("outputs/tiny-base/trained")
BASE = Path("recipes/tiny/base")
RECIPE = Path("recipes/tiny/base.yml")
KEPT = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
MANIFEST = "manifest.json"
LIMIT = 5_000_000  # bytes that may be committed
SEED = 0  # of the first weights and of the texts that the tokenizer learns its words from


def run(*command: str) -> None:
    """Run a command to its end; raises `UserError` where it fails."""
    if code := subprocess.run(command).returncode:
        raise UserError(f"{' '.join(command)}: ended with code {code}; its reason stands above")


def install() -> None:
    """Put the trained files and their manifest in recipes/tiny/base, in one move."""
    with atomic_dir(BASE, MANIFEST, [TRAINED]) as new:
        for name in KEPT:
            shutil.copyfile(TRAINED / name, new / name)
        size = sum(path.stat().st_size for path in new.iterdir())
        if size > LIMIT:
            raise UserError(f"{TRAINED}: {size:,} bytes, over the {LIMIT:,} that may be committed")
        packages = ("axolotl", "torch", "transformers", "tokenizers", "accelerate")
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout
        manifest = {
            "command": "make tiny-base",
            "licence": "Apache-2.0",
            "seeds": {"exercises": 2024, "weights": SEED, "order": "the curriculum's"},
            "commit": commit.strip(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
            "exercises_sha256": sha256(EXERCISES),
            "recipe_sha256": sha256(RECIPE),
            "files_sha256": {name: sha256(new / name) for name in KEPT},
        }
        write_json(new / MANIFEST, manifest)
    print(f"{BASE}: {size:,} bytes; {json.dumps(manifest['versions'])}")


def main() -> None:
    """Make exercises and a random model, train it, install it."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/tiny/make_base.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    run(sys.executable, "prep/demo/exercises.py", "--out", str(EXERCISES))
    # half a minute to import, and of no use to --help
    from recipes.tiny.random_base import save

    save(INIT, SEED)
    run("accelerate", "launch", "-m", "axolotl.cli.train", str(RECIPE))
    install()


if __name__ == "__main__":
    entry(main)
