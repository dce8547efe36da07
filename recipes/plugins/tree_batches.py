"""Rows that begin alike in one batch, in which each distinct beginning stands once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from axolotl.utils.samplers import MultipackBatchSampler

from core.errors import UserError
from core.prefix_tree import Ids, Pack, pack, trees
from recipes.plugins.labelled_head import IGNORED
from recipes.plugins.resumable import Batches, EpochSampler, EvenPacks


class TreeBatches(EvenPacks):
    """Batches of whole trees, as many each epoch; a tree is parted only to fill up their number.

    A batch holds trees of `tokens` at most, or where `count` is given so many trees. Raises
    `UserError` where there are fewer rows than processes.
    """

    def __init__(self, rows: Sequence[Ids], args: Any, tokens: int, count: int | None) -> None:
        self.trees = trees(rows, tokens)
        sizes = [1 if count else tree.tokens for tree in self.trees]
        order = EpochSampler(len(sizes), args.seed)
        order.packs = MultipackBatchSampler(
            order,
            batch_size=1,
            batch_max_len=count or tokens,
            lengths=np.array(sizes),
            bin_size=len(sizes),
            num_processes=1,
        )
        super().__init__(order, order.packs, args)
        if self.count > len(rows):  # a process without one would leave the others waiting
            raise UserError(
                f"shared_prefix: {len(rows)} rows cannot be shared out to {args.world_size} "
                "processes; start fewer"
            )
        self.batch_size = None  # each batch has a number of rows of its own

    def batches(self, epoch: int) -> Batches:
        """Rows of an epoch's batches, each as one pack."""
        return [
            [[row for tree in one for row in self.trees[tree].rows] for one in batch]
            for batch in super().batches(epoch)
        ]

    def __iter__(self) -> Any:
        return (pack for batch in super().__iter__() for pack in batch)


def path(packed: Pack, last: int) -> np.ndarray:
    """Where in a pack the tokens of the sequence that ends at `last` stand, from its first on."""
    ends = np.asarray(packed.ends[: last + 1])
    return np.flatnonzero(ends > last)


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rows of `input_ids` and `labels` as one sequence without repeats.

    A token that several rows go on from has the labels of all of them: `learnt_at` (1, labels) are
    places in the sequence, `shift_labels` what is learnt there, one for each label of each row.
    """
    packed = pack([row["input_ids"] for row in rows])
    places, targets = [], []
    for row, last in zip(rows, packed.last, strict=True):
        labels = np.asarray(row["labels"])[1:]
        learnt = np.flatnonzero(labels != IGNORED)
        places.append(path(packed, last)[learnt])
        targets.append(labels[learnt])
    learnt_at, labels = (torch.from_numpy(np.concatenate(one))[None] for one in (places, targets))
    return {
        "input_ids": torch.tensor([packed.ids]),
        "position_ids": torch.tensor([packed.positions]),
        "labels": labels,
        "shift_labels": labels,
        "learnt_at": learnt_at,
        "tree": packed,
    }
