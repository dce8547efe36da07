"""The head computes labelled tokens alone, and loss and gradients are those of the full head."""

from types import SimpleNamespace

import pytest
import torch
from axolotl.core.trainers import AxolotlORPOTrainer, AxolotlTrainer
from axolotl.utils.dict import DictDefault

from recipes.plugins.labelled_head import HEADS, LabelledHead, cuts_head
from recipes.plugins.resumable import ResumableTrainer
from tests.support.gradients import apart, loss_and_gradients, model_of


def batch_of(learnt=((12, 16), (5, 6))):
    """Two rows of which a few tokens are learnt, the second one padded."""
    ids = torch.randint(3, 128, (2, 16), generator=torch.Generator().manual_seed(1))
    labels = torch.full_like(ids, -100)
    for row, (start, stop) in enumerate(learnt):
        labels[row, start:stop] = ids[row, start:stop]
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


@pytest.mark.parametrize("count", [None, torch.tensor(40)])
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", sorted(HEADS))
def test_loss_and_every_gradient_are_those_of_the_full_head(family, lora, count):
    model, batch, seen = model_of(family, lora), batch_of(), []
    full = loss_and_gradients(model, [batch], count)
    LabelledHead(model)
    model.get_output_embeddings().register_forward_hook(lambda *to: seen.append(to[2].shape))
    assert apart(loss_and_gradients(model, [batch], count), full) < 1e-5
    assert seen == [(1, 5, 128)]


def test_a_batch_names_its_places_itself():
    model, batch = model_of("gemma2"), batch_of()
    LabelledHead(model)
    truth = loss_and_gradients(model, [batch], None)
    ids = batch["input_ids"]
    labels = torch.cat([ids[0, 12:16], ids[1, 5:6]])[None]
    places = torch.tensor([[11, 12, 13, 14, 16 + 4]])
    named = {**batch, "labels": labels, "shift_labels": labels, "learnt_at": places}
    assert apart(loss_and_gradients(model, [named], None), truth) == 0


def test_an_evaluation_gets_all_logits():
    model, batch = model_of("gemma2"), batch_of()
    truth = model.eval()(**batch)
    LabelledHead(model)
    model.train()(**batch)
    found = model.eval()(**batch)
    assert found.logits.equal(truth.logits)
    assert found.loss.equal(truth.loss)
    assert model.train()(batch["input_ids"]).logits.shape == (2, 16, 128)


def test_a_batch_that_learns_nothing_adds_nothing():
    model = model_of("gemma2")
    LabelledHead(model)
    loss, gradients = loss_and_gradients(model, [batch_of(((0, 0), (0, 0)))], torch.tensor(40))
    assert loss == 0
    assert all(gradient.count_nonzero() == 0 for gradient in gradients.values())


@pytest.mark.parametrize(
    ("trainer", "settings", "family", "cuts"),
    [
        (ResumableTrainer, {}, "gemma2", True),
        (AxolotlTrainer, {"liger_fused_linear_cross_entropy": True}, "llama", True),
        (AxolotlTrainer, {}, "olmo", False),  # a family that is not held here
        (AxolotlTrainer, {"cut_cross_entropy": True}, "gemma2", False),
        (AxolotlTrainer, {"context_parallel_size": 2}, "gemma2", False),
        (AxolotlORPOTrainer, {"rl": "orpo"}, "gemma2", False),
    ],
)
def test_the_head_is_cut_where_the_loss_allows_it(trainer, settings, family, cuts):
    made = trainer.__new__(trainer)
    made.model = SimpleNamespace(config=SimpleNamespace(model_type=family))
    assert cuts_head(DictDefault(settings), made) is cuts
