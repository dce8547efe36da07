"""The guard renders rows, compares what Axolotl made of them, and refuses what cannot be right."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import axolotl.train
import pytest
import torch
from axolotl.utils.dict import DictDefault
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, TrainerControl, TrainerState, TrainingArguments

from core.errors import UserError
from recipes.plugins import guard
from recipes.plugins.checkpoints import OwnBest, say_if_unsaved
from recipes.plugins.resumable import EpochSampler
from recipes.plugins.tokenization import check_letter, compare, key, render
from tests.support.training_rows import THINGS, chat_row, training_row, write_rows


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe with its data and a base folder, in the current directory."""
    monkeypatch.chdir(tmp_path)
    write_rows(Path("rows.jsonl"), [training_row(0)])
    Path("base").mkdir()
    save_file({"weight": torch.zeros(1)}, "base/model.safetensors")
    Path("base/config.json").write_text("{}")
    Path("base/tokenizer.json").write_text("{}")
    return DictDefault(
        axolotl_config_path="member.yml",
        base_model="./base",
        plugins=["recipes.plugins.guard.GuardPlugin"],
        datasets=[{"path": "rows.jsonl"}],
        excess_length_strategy="raise",
        sequence_len=512,
        attn_implementation="eager",
        bf16=False,
        micro_batch_size=2,
        gradient_accumulation_steps=1,
        num_epochs=1,
        learning_rate=1e-3,
        output_dir="./out",
        seed=42,
    )


def test_a_run_ends_with_one_sentence_before_anything_is_written(workplace, run):
    rows = workplace / "data/demo/stage1.jsonl"
    kept = rows.rename(rows.with_suffix(".away"))
    arguments = ("recipes/tiny/stage1.yml", "--output-dir", "outputs/none")
    done = run("-m", "axolotl.cli.train", *arguments)
    kept.rename(rows)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert said == [
        "error: data/demo/stage1.jsonl: no such file; run python prep/build.py --run demo first"
    ]
    assert "Traceback" not in done.stderr
    assert not (workplace / "outputs/none").exists()


def test_axolotl_ran_under_the_guard(chain):
    for stage in ("demo-stage1", "demo-stage2"):
        record = json.loads((chain.place / "outputs" / stage / "trained/run.json").read_text())
        assert sorted(record) == ["base", "data", "files", "processes", "recipe"]


def test_a_killed_run_ends_like_one_never_killed(chain, run):
    uninterrupted = chain.place / "outputs/demo-stage2/trained"
    killed = chain.place / "outputs/demo-killed"
    shutil.copytree(uninterrupted, killed)
    (killed / "model.safetensors").unlink()
    for step in (4, 6, 7):
        shutil.rmtree(killed / f"checkpoint-{step}")
    done = run(*chain.train2, "--output-dir", "outputs/demo-killed")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (killed / "checkpoint-6").is_dir()
    one, other = (
        load_file(uninterrupted / "model.safetensors"),
        load_file(killed / "model.safetensors"),
    )
    assert [name for name in one if not one[name].equal(other[name])] == []


def test_the_same_recipe_gives_the_same_bytes(chain, run):
    again = run(*chain.train1, "--output_dir", "again")
    assert again.returncode == 0, again.stderr[-3000:]
    weights = "adapter_model.safetensors"
    first = (chain.place / "outputs/demo-stage1/trained" / weights).read_bytes()
    assert (chain.place / "again" / weights).read_bytes() == first


def test_an_interrupted_run_ends_as_one(recipe, monkeypatch):
    monkeypatch.setattr(axolotl.train, "setup_signal_handler", None)
    before = signal.getsignal(signal.SIGINT)
    guard.GuardPlugin().register(recipe)
    try:
        axolotl.train.setup_signal_handler(recipe, None)
        with pytest.raises(SystemExit) as left:
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert left.value.code == 130


HOLDS = """
import sys, time
from pathlib import Path
from recipes.plugins.guard import alone
lock = alone(Path("rows/0123"))
print("holds", flush=True)
time.sleep(float(sys.argv[1]))
"""


def test_runs_that_share_rows_make_them_one_after_another(tmp_path):
    command = [sys.executable, "-c", HOLDS]
    started = {"cwd": tmp_path, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "600"], **started) as first:
        assert "holds\n" in first.stdout
        with subprocess.Popen([*command, "0"], **started) as second:
            assert (
                "rows/0123: waiting for another run, which makes the same rows\n" in second.stdout
            )
            first.kill()  # whose rows are then made anew
            assert "holds\n" in second.stdout
    assert second.returncode == 0


def test_the_seed_and_the_epoch_decide_the_order():
    def order(seed, epoch):
        sampler = EpochSampler(50, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    orders = [order(1, 0), order(1, 1), order(2, 0)]
    assert all(sorted(one) == list(range(50)) for one in orders)
    assert order(1, 1) == orders[1]
    assert len({tuple(one) for one in orders}) == 3


@pytest.fixture(scope="module")
def tokenizer(chain):
    return AutoTokenizer.from_pretrained(chain.place / "outputs/demo-stage1/trained")


def rendered(tmp_path, tokenizer, row, limit=512, **options):
    write_rows(tmp_path / "rows.jsonl", [row])
    return render([tmp_path / "rows.jsonl"], tokenizer, limit, **options)


def test_rows_are_rendered_and_compared(tmp_path, tokenizer):
    made = rendered(tmp_path, tokenizer, training_row(0, (1, 0, 2)))
    assert (made.count, list(made.letters)) == (1, ["B"])
    ids = tokenizer.apply_chat_template(training_row(0, (1, 0, 2))["messages"], return_dict=False)
    (start,) = made.starts.values()
    assert tokenizer.decode(ids[start:]) == "B. 우산 이야기<eos>"
    labels = [-100] * start + ids[start:]
    compare(made, columns([ids], [labels]))
    for broken, said in (
        (columns([ids], [ids]), "before the answer's letter"),
        (columns([ids[:-1]], [labels[:-1]]), "unlike its chat template"),
        (columns([], []), "1 conversations, but Axolotl would train on 0"),
    ):
        with pytest.raises(UserError, match=said):
            compare(made, broken)


def columns(ids, labels):
    """Tokenised rows, by column."""
    return {"input_ids": ids, "labels": labels}


def edited(row, **messages):
    said = [m | {"content": messages.get(m["role"], m["content"])} for m in row["messages"]]
    return row | {"messages": said}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (training_row(0) | {"messages": training_row(0)["messages"][:1]}, "meant for scoring"),
        (edited(training_row(0), assistant="우산 이야기"), "not the letter A"),
        (edited(training_row(0), assistant="B. 우산 이야기"), "not the letter A"),
        (training_row(0) | {"answer": None}, "not the letter None"),
        (edited(training_row(0), user="<bos>우산"), "2 times <bos>"),
        (edited(chat_row(0), user="우산 " * 300), "over the recipe's sequence_len of 512"),
    ],
)
def test_unfit_rows_are_refused_by_name(tmp_path, tokenizer, row, said):
    with pytest.raises(UserError, match=said) as refused:
        rendered(tmp_path, tokenizer, row)
    assert f"rows.jsonl, row {row['id']}: " in str(refused.value)


def test_a_letter_must_be_one_token_everywhere(tokenizer):
    plain, spaced = tokenizer.convert_tokens_to_ids(["A", "▁A"])
    letters = {}
    check_letter(training_row(0), plain, letters, tokenizer, "row 1")
    assert letters == {"A": plain}
    with pytest.raises(UserError, match=f"row 2: the letter A is token {spaced} here and {plain}"):
        check_letter(training_row(1), spaced, letters, tokenizer, "row 2")


def test_a_prompt_that_melts_into_its_answer_is_refused(tmp_path, tokenizer):
    tokenizer = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    tokenizer.chat_template = tokenizer.chat_template.replace("### Response:\n", "기")
    row = edited(training_row(0), assistant="타")
    with pytest.raises(UserError, match="prompt's tokens change when the answer follows"):
        rendered(tmp_path, tokenizer, row)


def preference(**change):
    """A preference row as prep writes it, options in the order B, A, C."""
    row = training_row(0, (1, 0, 2))
    user, right = row["messages"]
    wrong = {"role": "assistant", "content": f"A. {THINGS[3]} 이야기"}
    kept = ("id", "source", "split", "group", "category", "labels", "order", "answer")
    texts = {"template": "reference@1", "system": None, "chosen": [user, right]}
    row = {key: row[key] for key in kept} | texts | {"rejected": [user, wrong], "wrong": 1}
    return row | change


def test_both_answers_of_a_preference_are_rendered_and_compared(tmp_path, tokenizer):
    made = rendered(tmp_path, tokenizer, preference(), preferred=True)
    assert (made.count, sorted(made.letters)) == (2, ["A", "B"])
    ids, labels = {}, {}
    for side in ("chosen", "rejected"):
        ids[side] = tokenizer.apply_chat_template(preference()[side], return_dict=False)
        start = made.starts[key(ids[side])]
        labels[side] = [-100] * start + ids[side][start:]
    tokenised = {
        f"{side}_{column}": [values[side]]
        for side in ids
        for column, values in (("input_ids", ids), ("labels", labels))
    }
    compare(made, guard.answers(tokenised))
    with pytest.raises(UserError, match="before the answer's letter"):
        compare(made, guard.answers(tokenised | {"rejected_labels": [ids["rejected"]]}))
    with pytest.raises(UserError, match="2 conversations, but Axolotl would train on 0"):
        compare(made, guard.answers({name: [] for name in tokenised}))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (training_row(0), "no chosen and rejected answer"),
        (preference(wrong=0), "row t-0~BAC: wrong 0 is the option of the answer B"),
        (preference(answer="D"), "row t-0~BAC: answer D is not among the labels"),
        (preference(order=[1, 0]), r"row t-0~BAC: order \[1, 0\] is no permutation"),
        (preference(rejected=preference()["chosen"]), "the same answer"),
        (
            preference(
                rejected=[preference()["chosen"][0], {"role": "assistant", "content": "C. 말"}]
            ),
            "'C', not the letter A",
        ),
        (
            preference(
                rejected=[preference()["chosen"][0], {"role": "assistant", "content": "A" * 600}]
            ),
            "over the recipe's sequence_len of 512",
        ),
    ],
)
def test_unfit_preferences_are_refused_by_name(tmp_path, tokenizer, row, said):
    with pytest.raises(UserError, match=said) as refused:
        rendered(tmp_path, tokenizer, row, preferred=True)
    assert "rows.jsonl, row t-0" in str(refused.value)


@pytest.mark.parametrize("start", [None, "moved/checkpoint-4"])
def test_a_run_that_moved_finds_its_best_in_its_own_folder(start):
    state = TrainerState(best_model_checkpoint="./before/checkpoint-2")
    arguments = TrainingArguments(output_dir="elsewhere" if start else "moved")
    OwnBest(start).on_train_begin(arguments, state, TrainerControl())
    assert state.best_model_checkpoint == "moved/checkpoint-2"
    fresh = TrainerState()
    OwnBest(None).on_train_begin(arguments, fresh, TrainerControl())
    assert fresh.best_model_checkpoint is None


def test_what_cannot_be_saved_ends_in_a_sentence():
    def fail(error):
        raise error

    lost = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")
    for error in (OSError(28, "No space left on device"), lost):
        with pytest.raises(UserError, match="the model cannot be saved"):
            say_if_unsaved(fail)(error)
    with pytest.raises(RuntimeError, match="CUDA"):
        say_if_unsaved(fail)(RuntimeError("CUDA error"))
    assert say_if_unsaved(lambda: 7)() == 7
