"""A trainer whose packs are the same after a resume: every epoch has equally many batches.

How many packs the rows of an epoch fill depends on their order. transformers counts the batches of
the first epoch for all: of a longer one the last rows were never seen, and after a shorter one the
last gradients stayed for the next.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from axolotl.core.trainers.base import AxolotlTrainer
from axolotl.utils.samplers import MultipackBatchSampler
from torch.utils.data import BatchSampler, Sampler

Batches = list[list[list[int]]]  # packs of rows


class EvenPacks(BatchSampler):
    """As many batches an epoch as the fullest of the run has; in others a batch is split.

    Each of several processes gets as many of them.
    """

    def __init__(self, order: Any, packs: MultipackBatchSampler, args: Any):
        self.sampler, self.packs = order, packs
        self.batch_size, self.drop_last = packs.batch_size, False
        packs.drop_last, packs._len_across_ranks = False, None
        epochs, each = 0, 1
        while epochs < needed(args, each):
            each = max(each, math.ceil(len(self.batches(epochs)) / args.world_size))
            epochs += 1
        self.count = each * args.world_size
        self.batches(0)

    def batches(self, epoch: int) -> Batches:
        """Those of an epoch, as they come."""
        self.sampler.epoch = epoch
        self.packs.set_epoch(epoch)
        return self.packs.generate_batches()

    def set_epoch(self, epoch: int) -> None:
        """Turn to an epoch."""
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[list[int]]]:
        return iter(split(self.batches(self.sampler.epoch), self.count))


def needed(args: Any, batches: int) -> int:
    """The epochs of a run, where each has so many batches."""
    if args.max_steps > 0:
        return math.ceil(args.max_steps / math.ceil(batches / args.gradient_accumulation_steps))
    return math.ceil(args.num_train_epochs)


def split(batches: Batches, count: int) -> Batches:
    """The same rows in `count` batches: the last that can be parted is, again and again."""
    batches = list(batches)
    while len(batches) < count:
        for place in reversed(range(len(batches))):
            packs = batches[place]
            if len(packs) == 1:  # then a pack is parted
                rows = packs[0]
                parts = [rows[: len(rows) // 2]], [rows[len(rows) // 2 :]]
            else:
                parts = packs[: len(packs) // 2], packs[len(packs) // 2 :]
            if all(map(all_filled, parts)):
                batches[place : place + 1] = parts
                break
        else:
            return batches
    return batches


def all_filled(packs: list[list[int]]) -> bool:
    """Whether there are packs, and each holds a row."""
    return bool(packs) and all(map(bool, packs))


class EpochSampler(Sampler[int]):
    """All rows in an order that follows from the seed and the epoch's number alone.

    Axolotl draws the packs of each epoch from the global random state, which after a resume is
    another one.
    """

    def __init__(self, rows: int, seed: int):
        self.rows, self.seed, self.epoch = rows, seed, 0
        self.packs: MultipackBatchSampler | None = None

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.rows, generator=generator).tolist())

    def set_epoch(self, epoch: int) -> None:
        """Turn to an epoch; packs kept from another one are forgotten."""
        if epoch != self.epoch and self.packs is not None:
            self.packs.set_epoch(epoch)
        self.epoch = epoch


class ResumableTrainer(AxolotlTrainer):
    """Axolotl's trainer with packs that do not depend on where the run was resumed."""

    def _create_multipack_sampler(self, base_sampler: Sampler[int], dataset: Any) -> BatchSampler:
        order = EpochSampler(len(dataset), self.args.seed)
        order.packs = packs = super()._create_multipack_sampler(order, dataset)
        # Axolotl leaves out an epoch's last batch where it has too few packs, even if it is the
        # only one; several GPUs need it, so that none waits for another for ever
        return packs if self.args.world_size > 1 else EvenPacks(order, packs, self.args)
