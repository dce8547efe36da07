"""Make the tiny base before its pretraining: a tokenizer and a random Gemma-2, true in every part.

Run as: python recipes/tiny/init_base.py --out outputs/tiny-base/init
"""

import argparse
from pathlib import Path

from core.errors import entry
from recipes.plugins import quiet  # noqa: F401, before the libraries that it quiets


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/tiny/init_base.py --seed 0",
    )
    parser.add_argument("--out", type=Path, default=Path("outputs/tiny-base/init"))
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the words")
    return parser


def main() -> None:
    """Write the folder that recipes/tiny/base.yml trains."""
    args = parser().parse_args()
    # half a minute to import, and of no use to --help
    from recipes.tiny.random_base import model, tokenizer

    words = tokenizer(args.seed)
    gemma = model(len(words), args.seed)
    gemma.save_pretrained(args.out)
    words.save_pretrained(args.out)
    print(f"{args.out}: {gemma.num_parameters():,} parameters, {len(words)} tokens")


if __name__ == "__main__":
    entry(main)
