"""Merge the adapters of several members into one, by linear, TIES or DARE arithmetic.

Run as: python recipes/combine.py --adapter outputs/a outputs/b --method linear --out outputs/mix

recipes/weights/adapter_math.py says what the methods do. Members are refused unless they were
trained on the same base, adapt the same layers and speak by the same tokenizer and template. What
comes out is an adapter as a recipe trains it; `python recipes/merge.py RECIPE --adapter OUT` puts
it into the base.
"""

import argparse
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor

from core.errors import UserError, entry
from core.files import atomic_dir, sha256
from core.jsonl import read_json, write_json
from recipes.merge import TAKEN
from recipes.plugins import quiet  # noqa: F401, before the libraries that it quiets
from recipes.weights.adapter_math import merged_pairs
from recipes.weights.base_model import RECORD, files, record_of
from recipes.weights.lora import EMBEDDING, LINEAR, WEIGHTS, Adapter, read_adapter

METHODS = ("linear", "ties", "dare-linear", "dare-ties")  # those of recipes/weights/adapter_math.py


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


def check_members(members: Sequence[Adapter]) -> dict[str, Any]:
    """The record of the base that all members share; raises `UserError` where they do not fit."""
    first, *others = members
    for member in members:
        for what, found in (("magnitudes (DoRA)", member.magnitudes), ("weights", member.whole)):
            if found:
                raise UserError(
                    f"{member.folder}: trains whole {what}, which are no sum of changes; "
                    "merge it into its base by recipes/merge.py and let it vote as a model"
                )
    bases = [trained_on(member.folder) for member in members]
    speech = [files(member.folder, "tokenizer*", "chat_template.jinja") for member in members]
    for member, base, spoken in zip(others, bases[1:], speech[1:], strict=True):
        if base != bases[0]:
            raise UserError(
                f"{member.folder}: trained on another base than {first.folder}; "
                "merge adapters of one base only"
            )
        if odd := sorted(member.modules ^ first.modules):
            raise UserError(
                f"{member.folder}: adapts other layers than {first.folder}, for instance "
                f"{odd[0]}; train both with the same lora_target_modules"
            )
        if spoken != speech[0]:
            raise UserError(
                f"{member.folder}: another tokenizer or chat template than {first.folder}; "
                "train both with the same chat_template"
            )
    return {"base": bases[0]}


def trained_on(folder: Path) -> dict[str, str]:
    """The base that an adapter was trained on; raises `UserError` where nobody wrote it down."""
    record = record_of(folder)
    if record is None or not isinstance(record.get("base"), dict):
        raise UserError(
            f"{folder}: no {RECORD} that tells its base, so nobody knows which base it was trained "
            "on; train it by a recipe of this repository"
        )
    return record["base"]


def save(pairs: dict[str, tuple[Tensor, Tensor]], like: Adapter, folder: Path) -> int:
    """Write pairs into a folder as plain LoRA with alpha = r; returns r, the largest rank.

    A pair of smaller rank is filled up with zeros.
    """
    rank = max(len(down) for down, _ in pairs.values())
    tensors = {}
    for name, (down, up) in pairs.items():
        parts = EMBEDDING if name in like.embeddings else LINEAR
        more = rank - len(down)
        filled = (
            torch.nn.functional.pad(down, (0, 0, 0, more)),
            torch.nn.functional.pad(up, (0, more)),
        )
        for part, tensor in zip(parts, filled, strict=True):
            tensors[f"base_model.model.{name}.{part}"] = tensor.contiguous()
    config = LoraConfig(
        base_model_name_or_path=like.config.base_model_name_or_path,
        revision=like.config.revision,
        task_type=like.config.task_type,
        target_modules=sorted(pairs),  # by whole name, so that no other layer is meant
        fan_in_fan_out=like.config.fan_in_fan_out,
        inference_mode=True,
        r=rank,
        lora_alpha=rank,
    )
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config.save_pretrained(folder)
    for pattern in TAKEN:
        for path in sorted(like.folder.glob(pattern)):
            shutil.copyfile(path, folder / path.name)
    return rank


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
    """Merge, and put the result in its place only when it is whole."""
    args = arguments()
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
