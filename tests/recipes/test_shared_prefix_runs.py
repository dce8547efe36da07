"""Real runs with shared beginnings: the losses and weights of plain runs, also after a restart."""

import pytest
from safetensors.torch import load_file

from tests.support.tiny_trainings import SHORT, logged, recipe, same_weights, train

SHARED = {
    "plugins": [
        "recipes.plugins.guard.GuardPlugin",
        "recipes.plugins.shared_prefix.SharedPrefixPlugin",
        "recipes.plugins.answer_accuracy.AccuracyPlugin",
    ],
    "shared_prefix": True,
}
# gradients as they are: Adam makes steps of one size of the smallest of them
STEPS = SHORT | {"base_model": "./recipes/tiny/base", "sample_packing": False, "optimizer": "sgd"}
STEPS |= {"max_steps": 3, "save_steps": 3, "learning_rate": 0.02, "lr_scheduler": "constant"}
FULL, QUANTISED = "recipes/tiny/stage2.yml", "recipes/tiny/stage1.yml"
UNEVALUATED = {"plugins": SHARED["plugins"][:2]}


@pytest.fixture(scope="module")
def done(workplace):
    """Eight dialogues in six orders: all in one step, four batches of it, by rows and by trees."""
    full, quantised = (
        STEPS | {"eval_steps": 3},
        STEPS | {"micro_batch_size": 56, "learning_rate": 0.5},
    )
    four = {"gradient_accumulation_steps": 4}
    again = {**SHARED, "shared_prefix_trees": 2, "max_steps": 6, "save_steps": 1, "eval_steps": 6}
    names = [
        recipe(workplace, "by-rows", FULL, full, four, {"micro_batch_size": 12}),
        recipe(workplace, "by-trees", FULL, full, four, SHARED, {"shared_prefix_trees": 2}),
        recipe(workplace, "quantised-rows", QUANTISED, quantised),
        recipe(workplace, "quantised-trees", QUANTISED, quantised, SHARED, UNEVALUATED),
        recipe(workplace, "again", FULL, STEPS, again, {"optimizer": "adamw_torch"}),
    ]
    found = train(workplace, *names, "again<3", names[-1])
    assert found.codes == [0] * 6, found.err[-3000:]
    return workplace


@pytest.mark.parametrize("kind", ["by", "quantised"])
def test_a_run_has_the_losses_and_gradients_of_one_by_rows(done, kind):
    for key in ("loss", "grad_norm"):
        rows, shared = (logged(done / f"{kind}-{way}", key) for way in ("rows", "trees"))
        assert len(rows) == 3
        assert shared == pytest.approx(rows, rel=1e-4)
    assert rows[1] != pytest.approx(rows[3], rel=1e-2)  # it went somewhere


def test_it_ends_with_the_same_weights_and_accuracy(done):
    one, other = (load_file(done / f"by-{way}/model.safetensors") for way in ("rows", "trees"))
    start = load_file(done / "recipes/tiny/base/model.safetensors")
    for name, weight in one.items():
        way = float((weight - start[name]).norm())
        assert float((other[name] - weight).norm()) <= 1e-4 * way + 1e-7
    rows, shared = (logged(done / f"by-{way}", "eval_loss") for way in ("rows", "trees"))
    assert shared == pytest.approx(rows, rel=1e-5)
    rows, shared = (logged(done / f"by-{way}", "eval_accuracy") for way in ("rows", "trees"))
    assert shared == rows != {}


def test_a_run_killed_within_an_epoch_ends_as_one_never_killed(done):
    # it went on after three of an epoch's four batches
    assert logged(done / "again-uninterrupted", "epoch")[3] == pytest.approx(0.75)
    assert same_weights(done / "again", done / "again-uninterrupted")
