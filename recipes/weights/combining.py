"""Which adapters may become one, the arithmetic that makes it, and how it is written.

| method      | result of the members' changes D = s B A with weights w                    |
|-------------|----------------------------------------------------------------------------|
| linear      | Σ w D, kept exactly: the members' pairs side by side                       |
| ties        | of each D the share `density` that is largest; for each number the sign of |
|             | their sum; the mean of w D over the members that have it (arXiv:2306.01708)|
| dare-linear | Σ w D, of each D a random share `density`, over density (arXiv:2311.03099) |
| dare-ties   | the same share, then ties' signs and means                                 |

It is PEFT's (peft.utils.merge_utils), on the members' full changes. PEFT's `add_weighted_adapter`
works on A and B apart, so that its linear holds products of one member's A and another's B; by
singular values it scales twice; and it takes the first member's rsLoRA over to an alpha that no
longer fits. tests/recipes/test_combine.py shows all three.

All but linear give changes of full rank, of which a pair keeps the largest singular values.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.utils.merge_utils import dare_linear, dare_ties, task_arithmetic, ties
from safetensors.torch import save_file
from torch import Tensor

from core.errors import UserError
from recipes.weights.base_model import RECORD, files, record_of
from recipes.weights.lora import EMBEDDING, LINEAR, WEIGHTS, Adapter
from recipes.weights.merging import TAKEN

METHODS: dict[str, Callable[..., Tensor]] = {
    "linear": task_arithmetic,
    "ties": ties,
    "dare-linear": dare_linear,
    "dare-ties": dare_ties,
}


def combined(changes: Sequence[Tensor], how: Callable[..., Tensor], name: str, seed: int) -> Tensor:
    """One change (out, in) of the members', with random numbers that are the weight's own."""
    drawn = hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(drawn) >> 1)
        return how(list(changes))


def factors(change: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """A (rank, in) and B (out, rank) of the product nearest to a change (Eckart-Young)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, sizes, right = torch.linalg.svd(change.to(device), full_matrices=False)
    root = sizes[:rank].sqrt()
    return (root[:, None] * right[:rank]).cpu(), (left[:, :rank] * root).cpu()


def merged_pairs(
    members: Sequence[Adapter],
    weights: Sequence[float],
    method: str,
    density: float = 1.0,
    rank: int | None = None,
    seed: int = 42,
) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """A and B by module, to be scaled by one, and the share of the squared change that they keep.

    Without `rank`, pairs have the sum of the members' ranks.
    """
    options = {} if method == "linear" else {"density": density}
    how = partial(METHODS[method], weights=torch.tensor(weights), **options)
    pairs, kept, total = {}, 0.0, 0.0
    for name in sorted(members[0].modules):
        found = [member.pair(name) for member in members]
        scales = [
            member.scale(name, len(down)) for member, (down, _) in zip(members, found, strict=True)
        ]
        if method == "linear" and rank is None:
            downs = [down for down, _ in found]
            ups = [w * s * up for w, s, (_, up) in zip(weights, scales, found, strict=True)]
            pairs[name] = torch.cat(downs), torch.cat(ups, dim=1)
            continue
        changes = [s * up @ down for s, (down, up) in zip(scales, found, strict=True)]
        change = combined(changes, how, name, seed)
        pairs[name] = down, up = factors(change, rank or sum(len(down) for down, _ in found))
        total += float(change.square().sum())
        kept += float((up @ down).square().sum())
    return pairs, kept / total if total else 1.0


def check_members(members: Sequence[Adapter]) -> dict[str, Any]:
    """The record of the base that all members share; raises `UserError` where they do not fit."""
    first, *others = members
    for member in members:
        for what, names in (
            ("magnitudes (DoRA)", member.magnitudes),
            ("full weights", member.full),
        ):
            if names:
                raise UserError(
                    f"{member.folder}: trains {what}, which are no sum of changes; "
                    "merge it into its base by recipes/export.py and let it vote as a model"
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
            f"{folder}: no {RECORD} that names its base, so nobody knows which base it was trained "
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
        target_modules=sorted(pairs),  # by full name, so that no other layer is meant
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
