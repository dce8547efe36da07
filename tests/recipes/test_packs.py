"""Every epoch of a packed run shows every row once, in as many batches as the trainer counts."""

from types import SimpleNamespace

import numpy as np
import pytest
from axolotl.utils.samplers import MultipackBatchSampler

from recipes.plugins.resumable import EpochSampler, EvenPacks, needed, split


def packs(rows=64, capacity=288, size=2, **arguments):
    """Real packs of rows whose lengths make epochs of different size."""
    lengths = np.random.default_rng(0).integers(capacity // 6, capacity // 2, rows)
    order = EpochSampler(rows, 42)
    order.packs = MultipackBatchSampler(
        order, size, capacity, lengths, bin_size=200, num_processes=1
    )
    settings = {"max_steps": -1, "num_train_epochs": 8, "gradient_accumulation_steps": 1}
    settings |= {"world_size": 1}
    return EvenPacks(order, order.packs, SimpleNamespace(**settings | arguments)), lengths


@pytest.mark.parametrize("size", [1, 2, 3, 12])
def test_all_epochs_are_alike_in_length_and_show_each_row_once(size):
    made, lengths = packs(size=size)
    natural = [len(made.batches(epoch)) for epoch in range(8)]
    assert len(made) == max(natural)
    assert size > 1 or len(set(natural)) > 1
    for epoch in range(8):
        made.set_epoch(epoch)
        batches = list(made)
        assert len(batches) == len(made)
        assert sorted(row for batch in batches for pack in batch for row in pack) == list(range(64))
        assert all(lengths[pack].sum() <= 288 for batch in batches for pack in batch)
        assert batches == list(made)


def test_each_process_gets_as_many_batches():
    made, _ = packs(size=1, world_size=4)
    assert len(made) % 4 == 0
    assert len(made) >= len(packs(size=1)[0])
    for epoch in range(8):
        made.set_epoch(epoch)
        assert len(list(made)) == len(made)


def test_a_fullest_epoch_stays_as_it_was_packed():
    made, _ = packs()
    fullest = max(range(8), key=lambda epoch: len(made.batches(epoch)))
    plain = made.batches(fullest)
    made.set_epoch(fullest)
    assert list(made) == plain


def test_a_run_of_one_epoch_asks_no_other():
    made, _ = packs(max_steps=12, num_train_epochs=1)
    assert len(made) == len(made.batches(0))


@pytest.mark.parametrize(
    ("steps", "accumulation", "batches", "epochs"),
    [(70, 1, 74, 1), (75, 1, 74, 2), (19, 5, 91, 1), (20, 5, 91, 2), (-1, 5, 91, 5)],
)
def test_a_run_s_epochs_follow_from_its_steps(steps, accumulation, batches, epochs):
    arguments = SimpleNamespace(
        max_steps=steps, num_train_epochs=5, gradient_accumulation_steps=accumulation
    )
    assert needed(arguments, batches) == epochs


def test_a_batch_is_parted_by_packs_and_then_by_rows():
    assert split([[[1, 2], [3]], [[4]]], 3) == [[[1, 2]], [[3]], [[4]]]
    assert split([[[1, 2], [3]], [[4]]], 4) == [[[1]], [[2]], [[3]], [[4]]]
    assert split([[[1]]], 3) == [[[1]]]
