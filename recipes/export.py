"""Put the whole weights that a composed recipe's training led to into the folder beside it.

Run as: python recipes/export.py outputs/members/NAME/recipe.yml

An adapter is merged into its base by recipes/merge.py. Of full fine-tuning the finished files are
linked, without the checkpoints, optimizer states and logs beside them; a link takes no room.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from core.errors import UserError, entry
from core.files import atomic_dir
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
        epilog="example: python recipes/export.py outputs/members/best-polar/recipe.yml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", type=Path, help="a recipe that recipes/compose.py wrote")
    args = parser.parse_args()
    recipe, out = read_mapping(args.recipe), args.recipe.parent / "model"
    if recipe.get("adapter"):
        merge = Path(__file__).with_name("merge.py")
        return subprocess.run([sys.executable, merge, args.recipe, "--out", out]).returncode
    link(Path(str(recipe.get("output_dir"))), out)
    print(f"{out}: the files of {recipe['output_dir']}, linked")
    return 0


if __name__ == "__main__":
    entry(main)
