"""Which adapters may become one, and how that one is written."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor

from core.errors import UserError
from recipes.weights.base_model import RECORD, files, record_of
from recipes.weights.lora import EMBEDDING, LINEAR, WEIGHTS, Adapter
from recipes.weights.merging import TAKEN


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
