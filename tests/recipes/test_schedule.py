"""The steps of a run and its highest rate are those that the recipe asks for."""

import pytest
import torch
from axolotl.utils.dict import DictDefault
from transformers import Trainer, TrainingArguments

from core.errors import UserError
from recipes.plugins.as_asked import check_rate, check_steps, counted, peak_rate


def trainer(folder, **arguments):
    """A real trainer of a model of one weight."""
    settings = {"output_dir": str(folder), "learning_rate": 1e-3, "report_to": [], "use_cpu": True}
    arguments = TrainingArguments(**settings | arguments)
    return Trainer(torch.nn.Linear(1, 1), arguments, eval_dataset=[{"input": [0.0]}])


def recipe(**keys):
    return DictDefault(
        {"axolotl_config_path": "r.yml", "learning_rate": "1e-3", "gradient_accumulation_steps": 1}
        | keys
    )


@pytest.mark.parametrize(
    ("keys", "batches", "steps"),
    [
        ({"num_epochs": 5}, 2, 10),
        ({"num_epochs": 5, "gradient_accumulation_steps": 5}, 13, 15),
        ({"num_epochs": 0.5}, 7, 4),
        ({"num_epochs": 5, "max_steps": 3}, 2, 3),
    ],
)
def test_steps_are_epochs_by_full_batches(keys, batches, steps):
    check_steps(recipe(**keys), steps, batches)
    for other in (steps - 1, steps + 1):
        with pytest.raises(UserError, match=rf"asks for {steps} steps .* would take {other}"):
            check_steps(recipe(**keys), other, batches)


def test_transformers_counts_unless_the_recipe_does():
    assert counted(recipe(num_epochs=2)) == {"max_steps": -1}
    assert counted(recipe(max_steps=7)) == {}
    assert counted(recipe(max_steps=7, warmup_ratio=0.1)) == {"warmup_steps": 0.1}
    assert counted(recipe(max_steps=7, warmup_ratio=0.1, warmup_steps=1)) == {"warmup_steps": 1}


@pytest.mark.parametrize(
    "schedule",
    [
        "linear",
        "cosine",
        "cosine_with_restarts",
        "polynomial",
        "constant_with_warmup",
        "inverse_sqrt",
    ],
)
def test_a_warm_up_as_long_as_the_run_is_refused(tmp_path, schedule):
    for warmup, steps, peak in ((0, 8, 1e-3), (7, 8, 1e-3), (8, 8, 7 / 8e3), (20, 8, 0.35e-3)):
        one = trainer(tmp_path, lr_scheduler_type=schedule, warmup_steps=warmup)
        if schedule == "inverse_sqrt" and not warmup:
            continue  # it takes none for 10,000
        assert peak_rate(one, steps) == pytest.approx(peak)
        if peak == 1e-3:
            check_rate(recipe(), one, steps)
            continue
        with pytest.raises(UserError, match=rf"of {steps} steps the first {warmup} warm up"):
            check_rate(recipe(), one, steps)


@pytest.mark.parametrize("schedule", ["constant", "reduce_lr_on_plateau"])
def test_a_schedule_without_a_warm_up_has_its_rate_from_the_start(tmp_path, schedule):
    one = trainer(tmp_path, lr_scheduler_type=schedule, eval_strategy="steps")
    assert peak_rate(one, 3) == 1e-3
    check_rate(recipe(), one, 3)


def test_looking_at_a_schedule_leaves_that_of_the_run_alone(tmp_path):
    one = trainer(tmp_path, lr_scheduler_type="cosine", warmup_steps=2)
    one.create_optimizer_and_scheduler(8)
    made = one.lr_scheduler
    peak_rate(one, 8)
    assert one.lr_scheduler is made
    assert made.last_epoch == 0
