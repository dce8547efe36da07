"""Merge the adapters of several members into one, by linear, TIES or DARE arithmetic.

Run as: python recipes/combine.py --adapter outputs/a outputs/b --method linear --out outputs/mix

recipes/weights/combining.py says what the methods do. Members are refused unless they were
trained on the same base, adapt the same layers and speak by the same tokenizer and template. What
comes out is an adapter as a recipe trains it; `python recipes/export.py RECIPE --adapter OUT` puts
it into the base.
"""

import argparse
import math
from pathlib import Path

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import atomic_dir, sha256
from core.jsonl import read_json, write_json

METHODS = ("linear", "ties", "dare-linear", "dare-ties")  # those of recipes/weights/combining.py


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Merge the adapters of several members into one.",
        epilog="example:\n  python recipes/combine.py --adapter outputs/a outputs/b --method ties "
        "--density 0.5 --out outputs/mix",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--adapter", type=Path, nargs="+", required=True, help="members' folders")
    parser.add_argument("--method", choices=METHODS, default="linear")
    parser.add_argument(
        "--weights", type=float, nargs="+", help="by member (default: 1 for ties, else the mean's)"
    )
    parser.add_argument("--density", type=float, help="share of each change kept, not for linear")
    parser.add_argument("--rank", type=int, help="of the result (default: sum of the members')")
    parser.add_argument("--seed", type=int, default=42, help="of what DARE drops")
    parser.add_argument("--out", type=Path, required=True, help="folder of the merged adapter")
    return parser


def arguments() -> argparse.Namespace:
    """The command line, checked; raises `UserError` for numbers that make no sense."""
    args = parser().parse_args()
    count = len(args.adapter)
    if count < 2 or len({path.resolve() for path in args.adapter}) < count:
        raise UserError("--adapter: name two or more different folders")
    # ties' mean divides by the members already
    args.weights = args.weights or [1.0 if args.method.endswith("ties") else 1 / count] * count
    if len(args.weights) != count or not all(map(math.isfinite, args.weights)):
        raise UserError(f"--weights: give {count} numbers, one for each adapter")
    if (args.density is None) != (args.method == "linear"):
        raise UserError("--density: needed for ties and dare, and of no use for linear")
    args.density = 1.0 if args.density is None else args.density
    if not 0 < args.density <= 1:
        raise UserError(f"--density {args.density:g}: give a share over 0 and up to 1")
    if args.rank is not None and args.rank < 1:
        raise UserError(f"--rank {args.rank}: give a whole number from 1")
    return args


def main() -> None:
    """Merge, and put the result in its place only when it is complete."""
    args = arguments()
    # half a minute to import, and of no use to --help
    from recipes.weights.base_model import RECORD
    from recipes.weights.combining import check_members, merged_pairs, save
    from recipes.weights.lora import WEIGHTS, read_adapter

    members = [read_adapter(folder) for folder in args.adapter]
    record = check_members(members)
    pairs, kept = merged_pairs(
        members, args.weights, args.method, args.density, args.rank, args.seed
    )
    if (args.out / RECORD).is_file() and "members" not in read_json(args.out / RECORD):
        raise UserError(f"{args.out}: holds a training, not a mix of adapters; name a new folder")
    with atomic_dir(args.out, RECORD, args.adapter) as part:
        record |= {
            "members": [
                {"adapter": str(m.folder), "sha256": sha256(m.folder / WEIGHTS), "weight": w}
                for m, w in zip(members, args.weights, strict=True)
            ],
            "method": args.method,
            "density": args.density,
            "seed": args.seed,
            "rank": save(pairs, members[0], part),
            "kept": kept,
        }
        write_json(part / RECORD, record)
    print(
        f"{args.out}: {len(pairs)} pairs of {len(members)} members by {args.method}, "
        f"rank {record['rank']}, {kept:.1%} of the change kept"
    )


if __name__ == "__main__":
    entry(main)
