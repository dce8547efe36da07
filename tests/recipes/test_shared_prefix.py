"""What rows share is computed once, and loss and gradients are those of each row by itself.

The truth is transformers' own eager attention and full head, one row after another.
"""

import random
from types import SimpleNamespace

import pytest
import torch
from axolotl.integrations.cut_cross_entropy.args import CutCrossEntropyArgs
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from transformers import AutoConfig

from core.errors import UserError
from core.prefix_tree import pack, trees
from core.tree_attention import FAMILIES, TreeMasks
from recipes.plugins import branch_attention
from recipes.plugins.labelled_head import LabelledHead
from recipes.plugins.shared_prefix import (
    AGAINST,
    SharedPrefixPlugin,
    model_problems,
    refuse,
    take_trees,
)
from recipes.plugins.tree_batches import TreeBatches, collate, path
from tests.support.gradients import apart, loss_and_gradients, model_of

WINDOW = 12  # shorter than a prompt


def rows_of(dialogues=2):
    """Rows on some dialogues: questions in orders, one twice, answers that begin alike."""
    rng = random.Random(3)

    def some(count):
        return [rng.randrange(3, 128) for _ in range(count)]

    def row(prompt, answer):
        return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}

    head, rows = some(5), []
    for _ in range(dialogues):
        talk = head + some(rng.randrange(15, 25))
        for _ in range(3):
            question = talk + some(rng.randrange(3, 9))
            rows += [row(question + some(5), some(3)) for _ in range(2)]
    prompt = rows[0]["input_ids"][:-3]
    rows += [rows[1], row(prompt, some(2)), row(prompt[:-2], some(1))]
    # two turns of which both are learnt, and a row that another begins with
    first, second = row(talk, some(3)), row(some(4), some(3))
    rows += [first, {key: first[key] + second[key] for key in first}]
    rng.shuffle(rows)
    return rows


def alone(rows):
    """Each row as a batch of its own."""
    return [{key: torch.tensor([value]) for key, value in row.items()} for row in rows]


def learnt(rows):
    return torch.tensor(sum(label != -100 for row in rows for label in row["labels"]))


def sharing(model):
    LabelledHead(model)
    take_trees(model)
    return model


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_loss_and_every_gradient_are_those_of_separate_rows(family, lora, monkeypatch):
    monkeypatch.setattr(branch_attention, "PIECE", 16)  # so that one dialogue is many pieces
    model, rows = model_of(family, lora, WINDOW), rows_of()
    truth = loss_and_gradients(model, alone(rows), learnt(rows))
    batch = collate(rows)
    assert batch["input_ids"].numel() < 0.6 * sum(len(row["input_ids"]) for row in rows)
    found = loss_and_gradients(sharing(model), [batch], learnt(rows))
    assert apart(found, truth) < 1e-5


def test_so_they_are_where_activations_are_computed_again():
    rows = rows_of()
    model = model_of("gemma2", window=WINDOW)
    truth = loss_and_gradients(model, alone(rows), learnt(rows))
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert apart(loss_and_gradients(sharing(model), [collate(rows)], learnt(rows)), truth) < 1e-5


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_the_loss_is_so_by_the_kernel_of_a_gpu(monkeypatch):
    """The kernel's mask and arithmetic, uncompiled; on a CPU PyTorch has no gradients of it."""
    monkeypatch.setattr("recipes.plugins.shared_prefix.masks_of", TreeMasks)
    rows, model = rows_of(), model_of("gemma2", window=WINDOW)
    truth, _ = loss_and_gradients(model, alone(rows), learnt(rows))
    with torch.no_grad():
        found = sharing(model)(**collate(rows), num_items_in_batch=learnt(rows)).loss
    assert float(found) == pytest.approx(float(truth), rel=1e-5)


def test_bfloat16_is_as_far_from_float32_as_separate_rows_are():
    rows = rows_of()
    truth = loss_and_gradients(model_of("gemma2", window=WINDOW), alone(rows), learnt(rows))
    model = model_of("gemma2", window=WINDOW).bfloat16()
    separate = loss_and_gradients(model, alone(rows), learnt(rows))
    shared = loss_and_gradients(sharing(model), [collate(rows)], learnt(rows))
    assert 1e-3 < apart(shared, truth) < 1.5 * apart(separate, truth)


def test_an_evaluation_between_two_steps_is_as_before():
    rows = rows_of()
    model = model_of("gemma2", window=WINDOW)
    [batch] = alone(rows[:1])
    truth = model.eval()(**batch)
    loss_and_gradients(sharing(model.train()), [collate(rows)], learnt(rows))
    found = model.eval()(**batch)
    assert found.logits.equal(truth.logits)
    model.train()
    first, second = (loss_and_gradients(model, [collate(rows)], learnt(rows)) for _ in range(2))
    assert apart(first, second) == 0


def test_a_path_leads_through_a_pack():
    sequences = [row["input_ids"] for row in rows_of()]
    packed = pack(sequences)
    for sequence, last in zip(sequences, packed.last, strict=True):
        places = path(packed, last)
        assert [packed.ids[place] for place in places] == sequence
        assert [packed.positions[place] for place in places] == [*range(len(sequence))]


def test_rows_of_a_dialogue_are_a_tree_and_rows_of_a_template_are_not():
    rows = [row["input_ids"] for row in rows_of(dialogues=4)]
    found = trees(rows, 10_000)
    assert len(found) == 4
    assert sorted(row for tree in found for row in tree.rows) == [*range(len(rows))]
    for tree in found:
        assert tree.tokens == len(pack([rows[row] for row in tree.rows]).ids)
    small = trees(rows, 60)
    assert all(tree.tokens <= 60 for tree in small)
    assert len(small) > 4


def batches(rows, tokens=150, count=None, **changes):
    settings = {"max_steps": -1, "num_train_epochs": 5, "gradient_accumulation_steps": 1}
    settings |= {"seed": 42, "world_size": 1} | changes
    return TreeBatches(rows, SimpleNamespace(**settings), tokens, count)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("count", [None, 3])
def test_every_epoch_has_each_row_once_in_as_many_batches(processes, count):
    rows = [row["input_ids"] for row in rows_of(dialogues=20)]
    made = batches(rows, count=count, world_size=processes)
    assert len(made) % processes == 0
    seen = []
    for epoch in range(5):
        made.set_epoch(epoch)
        found = list(made)
        assert len(found) == len(made)
        assert sorted(row for batch in found for row in batch) == [*range(len(rows))]
        if count is None:
            assert all(len(pack([rows[row] for row in batch]).ids) <= 150 for batch in found)
        assert found == list(made)
        seen.append(found)
    assert seen[0] != seen[1]  # dialogues meet others


def test_a_number_of_trees_is_a_batch():
    rows = [row["input_ids"] for row in rows_of(dialogues=12)]
    found = list(batches(rows, tokens=10_000, count=4, num_train_epochs=1))
    assert len(found) == 3
    assert {len(trees([rows[row] for row in batch], 10_000)) for batch in found} == {4}


def test_fewer_rows_than_processes_are_refused():
    rows = [row["input_ids"] for row in rows_of(dialogues=1)]
    assert len(list(batches(rows, world_size=len(rows)))) == len(rows)
    with pytest.raises(UserError, match="cannot be shared out to 99 processes; start fewer"):
        batches(rows, world_size=99)


def refused(**recipe):
    with pytest.raises(SystemExit) as left:
        SharedPrefixPlugin().register({"axolotl_config_path": "r.yml", **recipe})
    return left.value.code == 2


@pytest.mark.parametrize("key", sorted(AGAINST))
def test_a_recipe_that_cannot_share_is_refused_by_one_sentence(key, capsys):
    assert key in AxolotlInputConfig.model_fields | CutCrossEntropyArgs.model_fields
    assert refused(shared_prefix=True, **{key: "orpo" if key == "rl" else True})
    said = capsys.readouterr().err
    assert f"r.yml: shared_prefix does not go with {key} (" in said
    assert said.count("\n") == 1
    SharedPrefixPlugin().register({key: True})  # without it nothing is asked


def test_a_number_of_trees_alone_is_refused(capsys):
    assert refused(shared_prefix_trees=2)
    assert "set shared_prefix: true" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("family", "settings", "said"),
    [
        ("olmo", {}, "models of the family olmo"),
        ("llama", {"attention_dropout": 0.1}, "attention_dropout"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "rope_type of dynamic",
        ),
    ],
)
def test_a_model_that_cannot_share_is_refused(family, settings, said):
    config = AutoConfig.for_model(family, **settings)
    assert said in next(model_problems(config))
    assert list(model_problems(AutoConfig.for_model("gemma2"))) == []


def test_refusals_name_the_recipe():
    with pytest.raises(UserError, match=r"^r.yml: shared_prefix does not go with olmo$"):
        refuse(DictDefault({"axolotl_config_path": "r.yml"}), iter(["with olmo"]))
