"""Real runs do what their recipe asks, or end in one sentence before anything is saved."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from safetensors.torch import load_file, save_file

from tests.support.paths import ROOT
from tests.support.training_rows import training_row, write_rows

PART = {"ds_type": "json", "type": "chat_template", "field_messages": "messages"}
ROWS = [{"path": "data/nine.jsonl", **PART}]
RUN = {
    "base_model": "./recipes/tiny/base",
    "plugins": ["recipes.plugins.guard.GuardPlugin"],
    "datasets": ROWS,
    "test_datasets": None,
    "eval_steps": None,
    "eval_sample_packing": None,
    "sample_packing": False,
    "pad_to_sequence_len": False,
    "max_steps": None,
    "micro_batch_size": 4,
    "warmup_steps": 0,
    "logging_steps": 1,
    "save_steps": 100,
    "dataset_num_proc": 1,
}
EPOCHS = RUN | {"num_epochs": 3}
PACKED = {"sample_packing": True, "pad_to_sequence_len": True, "sequence_len": 96}
LORA = {"adapter": "lora", "lora_r": 4, "lora_alpha": 8} | {
    # the fused kernels would stay in the process for the runs that follow
    f"lora_{part}_kernel": False
    for part in ("mlp", "qkv", "o")
}
# by name: a recipe, and the sentence that it ends in
GOOD = {
    "partial": EPOCHS | {"warmup_steps": None, "warmup_ratio": 0.5},
    "packed": EPOCHS | PACKED | {"micro_batch_size": 2, "gradient_accumulation_steps": 2},
}
BAD = {
    "warmup": (RUN | {"max_steps": 4, "warmup_steps": 9}, "of 4 steps the first 9 warm up"),
    "typo": (
        RUN | LORA | {"max_steps": 2, "lora_target_modules": ["q_porj"]},
        "no q_porj; did you mean q_proj?",
    ),
    "frozen": (RUN | {"max_steps": 2, "unfrozen_parameters": ["model.layers.7"]}, "model has no"),
    "endless": (
        RUN | {"max_steps": 2, "datasets": [ROWS[0] | {"train_on_eos": "none"}]},
        "does not learn an answer to its end",
    ),
    "broken": (
        RUN | {"max_steps": 2, "base_model": "./broken"},
        "step 0: 1 of the model's weights hold numbers that are not finite",
    ),
    "diverging": (
        RUN | {"max_steps": 6, "learning_rate": 1e30, "lr_scheduler": "constant"},
        "and nothing of it is saved; lower learning_rate",
    ),
    # finite until the very step after which it would be saved
    "overflowing": (
        RUN
        | {"max_steps": 6, "optimizer": "sgd", "learning_rate": 3e38, "weight_decay": 1e5}
        | {"lr_scheduler": "constant", "save_steps": 1},
        "weights hold numbers that are not finite",
    ),
}


@pytest.fixture(scope="module")
def runs(workplace: Path) -> SimpleNamespace:
    """All runs of this file, in one process."""
    write_rows(workplace / "data/nine.jsonl", [training_row(n) for n in range(9)])
    base = workplace / "recipes/tiny/base"
    for path in base.iterdir():
        (workplace / "broken").mkdir(exist_ok=True)
        (workplace / "broken" / path.name).write_bytes(path.read_bytes())
    weights = load_file(base / "model.safetensors")
    weights["model.embed_tokens.weight"][3, 5] = float("nan")  # a token that no row has
    save_file(weights, workplace / "broken/model.safetensors", {"format": "pt"})
    like = yaml.safe_load((workplace / "recipes/tiny/stage2.yml").read_text(encoding="utf-8"))
    for name, keys in (GOOD | {name: keys for name, (keys, _) in BAD.items()}).items():
        made = {key: value for key, value in (like | keys).items() if value is not None}
        text = yaml.safe_dump(made | {"output_dir": f"./asked/{name}"})
        (workplace / f"{name}.yml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "tests/support/train_recipes.py",
            *(f"{name}.yml" for name in [*GOOD, *BAD]),
        ],
        cwd=workplace,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        text=True,
        capture_output=True,
    )
    codes = [int(line.split()[1]) for line in done.stdout.splitlines() if line[:4] == "CODE"]
    said = [line.partition("error: ")[2] for line in done.stderr.splitlines() if "error: " in line]
    return SimpleNamespace(place=workplace / "asked", codes=codes, said=said, err=done.stderr)


def history(folder: Path) -> tuple[dict, list[dict]]:
    (state,) = folder.glob("checkpoint-*/trainer_state.json")
    found = json.loads(state.read_text(encoding="utf-8"))
    return found, [one for one in found["log_history"] if "loss" in one]


def test_all_runs_ended_as_they_should(runs):
    assert runs.codes == [0] * len(GOOD) + [2] * len(BAD), runs.err[-3000:]
    assert "Traceback" not in runs.err
    assert len(runs.said) == len(BAD)


def test_each_epoch_counts_its_last_batch(runs):
    state, logged = history(runs.place / "partial")
    assert (state["max_steps"], state["global_step"], state["epoch"]) == (9, 9, 3.0)  # 4 + 4 + 1
    rates = [one["learning_rate"] for one in logged]
    assert max(rates) == rates[5] == 1e-3  # half of nine steps, rounded up, warm up


def test_packed_epochs_end_with_the_recipe_s(runs):
    state, logged = history(runs.place / "packed")
    assert (state["global_step"], state["epoch"]) == (state["max_steps"], 3.0)
    assert len(logged) == state["max_steps"]
    assert state["max_steps"] % 3 == 0


@pytest.mark.parametrize("name", BAD)
def test_a_run_that_cannot_be_right_ends_in_a_sentence_and_saves_nothing(runs, name):
    assert BAD[name][1] in runs.said[list(BAD).index(name)]
    assert list((runs.place / name).rglob("*.safetensors")) == []
