"""Export the full weights that a recipe's training led to: outputs/NAME/model.

Run as: python recipes/export.py recipes/stage1.yml

An adapter is merged into its base by recipes/merge.py. Of full fine-tuning the finished files are
linked, without its checkpoints, optimizer states and logs; a link takes no room.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from core.errors import UserError, entry
from core.files import atomic_dir
from core.layout import exported
from core.yaml_io import read_mapping

NEEDED = ("config.json", "tokenizer_config.json")
KEPT = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model")  # no log, which training adds to


def link(trained: Path, out: Path) -> None:
    """Link the files of a finished training into `out`, all or nothing.

    Raises `UserError` where the training has not finished.
    """
    missing = [name for name in NEEDED if not (trained / name).is_file()]
    if missing or not any(trained.glob("*.safetensors")):
        what = missing[0] if missing else "model.safetensors"
        raise UserError(f"{trained}: no {what}; train the recipe to its end first")
    with atomic_dir(out, NEEDED[0], [trained]) as part:
        for path in sorted({path for pattern in KEPT for path in trained.glob(pattern)}):
            os.link(path, part / path.name)


def main() -> int:
    """Merge or link, as the recipe says."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/export.py outputs/best-polar/recipe.yml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", type=Path, help="the recipe that was trained")
    args = parser.parse_args()
    recipe = read_mapping(args.recipe)
    if not recipe.get("output_dir"):
        raise UserError(f"{args.recipe}: names no output_dir; name the recipe that was trained")
    if recipe.get("adapter"):
        merge = Path(__file__).with_name("merge.py")
        return subprocess.run([sys.executable, merge, args.recipe]).returncode
    trained = Path(recipe["output_dir"])
    out = exported(trained)
    link(trained, out)
    print(f"{out}: the files of {trained}, linked")
    return 0


if __name__ == "__main__":
    entry(main)
