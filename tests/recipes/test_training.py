"""Real runs of tiny recipes: best by accuracy, early stop, resume, full disk, ORPO, freezing."""

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.records import Row
from eval.engines.hf import Engine
from eval.metrics.accuracy import by_category, tally
from recipes.compose import stopping
from recipes.plugins.answer_accuracy import LetterReader, choice, questions
from recipes.plugins.checkpoints import defect, finished
from tests.support import disks
from tests.support.scored_rows import by_letter
from tests.support.tiny_trainings import (
    ASKED,
    BEST,
    EPOCHS,
    FROZEN,
    KEEP_BEST,
    LOGGERS,
    ORDERS,
    SHORT,
    asked_row,
    logged,
    preference,
    recipe,
    same_weights,
    state,
    train,
)
from tests.support.training_rows import training_row, write_rows


@pytest.fixture(scope="module")
def runs(workplace: Path) -> SimpleNamespace:
    """All runs of this file, in one process: what was kept, and what they printed."""
    place = workplace
    rows = {a: [training_row(n, ORDERS[a]) for n in range(8)] for a in "AB"}
    # the file's order is kept: first the answer is always A, then always B
    write_rows(place / "data/turning.jsonl", rows["A"] * 4 + rows["B"] * 8)
    dev = [asked_row(number, *one) for number, one in enumerate(ASKED)]
    write_rows(place / "data/asked.jsonl", dev)
    write_rows(place / "data/preferences.jsonl", [preference(n) for n in range(8)] * 3)
    stage2, orpo = "recipes/tiny/stage2.yml", "recipes/tiny/orpo.yml"
    best = recipe(place, "best", stage2, BEST, KEEP_BEST, LOGGERS)
    frozen = recipe(place, "frozen", stage2, BEST, FROZEN)
    noisy = recipe(place, "noisy", stage2, BEST, FROZEN, {"neftune_noise_alpha": 5})
    patient = stopping("patient", 9, EPOCHS) | EPOCHS | {"metric_for_best_model": "eval_accuracy"}
    write_rows(place / "data/few.jsonl", rows["A"])
    few = {"datasets": [BEST["datasets"][0] | {"path": "data/few.jsonl"}]}
    patient = recipe(place, "patient", stage2, BEST, patient, few)
    pairs = SHORT | {
        "base_model": "./recipes/tiny/base",
        "datasets": [
            {
                "path": "data/preferences.jsonl",
                "ds_type": "json",
                "split": "train",
                "type": "chat_template.argilla",
            }
        ],
        "micro_batch_size": 4,
        "max_steps": 6,
        "save_steps": 3,
    }
    orpo = recipe(place, "orpo", orpo, pairs)
    # the second checkpoint finds its disk full; with more room the run continues from the first
    filled = recipe(place, "filled", stage2, BEST, {"max_steps": 4})
    full = ("filled=2500k", filled, "filled:half", "filled=64m", filled, "filled:continued")
    # killed before its end, it ends all the same; ended, it does not go on
    several = (best, "best<2", best, best, f"{frozen}@100000", frozen, noisy, orpo, patient)
    done = train(place, *several, *(full if disks.ALLOWED else ()))
    return SimpleNamespace(place=place, done=done, dev=dev)


def test_all_runs_ended_as_they_should(runs):
    full = [2, 0] if disks.ALLOWED else []
    assert runs.done.codes == [0, 0, 0, 2, 0, 0, 0, 0, *full], runs.done.err[-3000:]


def test_the_best_checkpoint_by_accuracy_is_kept_and_the_run_stops_early(runs):
    accuracy = logged(runs.place / "best-uninterrupted", "eval_accuracy")
    done = state(runs.place / "best-uninterrupted")
    best = max(accuracy, key=lambda step: (accuracy[step], -step))
    assert accuracy[best] > accuracy[done["global_step"]]
    assert done["best_global_step"] == best
    assert done["global_step"] == best + 4 * 2 < 24  # patience times steps
    assert same_weights(
        runs.place / "best-uninterrupted", runs.place / f"best-uninterrupted/checkpoint-{best}"
    )
    assert not same_weights(
        runs.place / "best-uninterrupted",
        runs.place / f"best-uninterrupted/checkpoint-{done['global_step']}",
    )
    # the loss would have chosen another
    loss = logged(runs.place / "best-uninterrupted", "eval_loss")
    assert min(loss, key=loss.get) != best


def test_a_member_with_patience_is_evaluated_after_each_epoch(runs):
    steps = [step for step in logged(runs.place / "patient", "eval_accuracy") if step]
    assert steps == [2, 4, 6, 8, 10, 12, 14]  # eight rows in batches of four


def test_a_killed_run_stops_where_one_never_killed_does_and_stays_stopped(runs):
    uninterrupted, killed = runs.place / "best-uninterrupted", runs.place / "best"
    assert same_weights(uninterrupted, killed)
    steps = {step: value for step, value in logged(uninterrupted, "eval_accuracy").items() if step}
    found = {step: value for step, value in logged(killed, "eval_accuracy").items() if step}
    assert found == steps


def test_accuracy_while_training_is_that_of_scoring(runs):
    rows = [Row.model_validate(row | {"messages": row["messages"][:-1]}) for row in runs.dev]
    compared = 0
    for checkpoint in sorted((runs.place / "best-uninterrupted").glob("checkpoint-*")):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        engine = Engine(checkpoint, dtype="float32", batch_size=3)
        choices, mass = by_letter(engine, tokenizer, rows)
        step = int(checkpoint.name.split("-")[1])
        history = state(runs.place / "best-uninterrupted")["log_history"]
        (seen,) = [one for one in history if one["step"] == step and "eval_accuracy" in one]
        assert seen["eval_accuracy"] == tally(rows, choices).accuracy
        # each row has a category of its own
        assert {n: t.accuracy for n, t in by_category(rows, choices).items()} == {
            row.category: seen[f"eval_accuracy/{row.category}"] for row in rows
        }
        assert seen["eval_letter_mass"] == pytest.approx(mass, abs=1e-4)
        compared += 1
    assert compared > 4


def test_a_fixed_offset_would_log_another_number(runs):
    best = state(runs.place / "best-uninterrupted")["best_global_step"]
    folder = runs.place / f"best-uninterrupted/checkpoint-{best}"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    ids = [tokenizer.apply_chat_template(r["messages"], return_dict=False) for r in runs.dev]
    prompts = [
        tokenizer.apply_chat_template(
            r["messages"][:-1], add_generation_prompt=True, return_dict=False
        )
        for r in runs.dev
    ]
    asked, letters = questions(ids, [runs.place / "data/asked.jsonl"], tokenizer)
    reader = LetterReader(model.get_output_embeddings(), letters)
    width = max(map(len, ids)) + 3
    batch = torch.tensor([row + [0] * (width - len(row)) for row in ids])
    labels = torch.tensor(
        [
            [-100] * len(prompt) + row[len(prompt) :] + [-100] * (width - len(row))
            for prompt, row in zip(prompts, ids, strict=True)
        ]
    )
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    with torch.inference_mode():
        logits = model(input_ids=batch, attention_mask=mask).logits
    read = reader.read(logits, labels)[:, 0]

    def accuracy(letter_logits):
        right = [
            choice(values, one.order) == one.answer
            for values, one in zip(letter_logits.tolist(), asked, strict=True)
        ]
        return sum(right) / len(right)

    true = logged(runs.place / "best-uninterrupted", "eval_accuracy")[best]
    assert accuracy(read) == true
    # what two earlier systems read: the place 2 or 3 from the batch's end, or from each row's
    for offset in (-2, -3):
        assert accuracy(logits[:, offset, letters]) != true
        ends = torch.tensor([len(row) + offset for row in ids])
        assert accuracy(logits[torch.arange(len(ids)), ends][:, letters]) != true


def test_tensorboard_trackio_and_wandb_get_the_same_keys(runs):
    wanted = {"eval/accuracy", "eval/accuracy/유형0", "eval/accuracy/유형8", "eval/letter_mass"}
    (events,) = (runs.place / "best-uninterrupted").rglob("events.out.tfevents.*")
    board = EventAccumulator(str(events)).Reload()
    assert wanted <= set(board.Tags()["scalars"])
    steps = {one.step: one.value for one in board.Scalars("eval/accuracy")}
    assert steps == pytest.approx(logged(runs.place / "best-uninterrupted", "eval_accuracy"))
    (base, *_) = (runs.place / "trackio").glob("*.db")
    with sqlite3.connect(base) as db:
        lines = [json.loads(one) for (one,) in db.execute("select metrics from metrics")]
    assert any(wanted <= set(line) for line in lines)
    record = next((runs.place / "wandb").glob("offline-run-*/run-*.wandb")).read_bytes()
    assert [key for key in wanted if key.encode() not in record] == []


def errors(runs) -> list[str]:
    return [line for line in runs.done.err.splitlines() if line.startswith("error:")]


def test_a_file_at_its_limit_ends_in_a_sentence_and_the_next_run_continues(runs):
    assert "the model cannot be saved" in errors(runs)[0]
    assert "File too large" in errors(runs)[0]
    assert state(runs.place / "frozen")["global_step"] == 2


@disks.needed
def test_a_full_disk_keeps_the_checkpoint_before_and_the_next_run_continues_from_it(runs):
    _, said = errors(runs)
    assert "the model cannot be saved" in said
    assert "see that output_dir has room, then run the same command again" in said
    half, continued = runs.place / "half", runs.place / "continued"
    assert not (half / "model.safetensors").exists()
    assert defect(half / "checkpoint-2", 1) is None
    assert not finished(half / "checkpoint-4")
    first = "checkpoint-2/model.safetensors"
    assert load_file(half / first).keys() == load_file(continued / first).keys()
    assert (half / first).stat().st_mtime_ns == (
        continued / first
    ).stat().st_mtime_ns  # never rewritten
    assert state(continued)["global_step"] == 4
    assert same_weights(continued, continued / "checkpoint-4")


def test_frozen_weights_stay_and_the_others_move(runs):
    base = load_file(runs.place / "recipes/tiny/base/model.safetensors")
    trained = load_file(runs.place / "frozen/model.safetensors")
    moved = {name for name in base if not base[name].equal(trained[name])}
    assert moved == {name for name in base if name.startswith("model.layers.1.mlp.")} != set()


def test_neftune_disturbs_training_and_no_evaluation(runs):
    plain, noisy = runs.place / "frozen", runs.place / "noisy"
    assert logged(plain, "eval_loss")[0] == logged(noisy, "eval_loss")[0]
    assert logged(plain, "loss")[1] != logged(noisy, "loss")[1]


def test_orpo_learns_to_prefer_the_right_answer(runs):
    odds = logged(runs.place / "orpo", "log_odds_chosen")
    assert sorted(odds) == [1, 2, 3, 4, 5, 6]
    assert odds[6] > odds[1]
    record = json.loads((runs.place / "orpo/run.json").read_text(encoding="utf-8"))
    assert list(record["data"]) == ["data/preferences.jsonl"]
    assert list((runs.place / "data/prepared").glob("*/complete"))
