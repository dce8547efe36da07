"""The letters are read at the place that predicts them, in float32, whatever stands around."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from axolotl.utils.dict import DictDefault
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, EvalPrediction

from core.errors import UserError
from core.records import Row
from eval.engines.hf import Engine
from eval.metrics.accuracy import by_category, tally
from recipes.plugins.answer_accuracy import (
    AccuracyPlugin,
    LetterReader,
    ShownQuestion,
    choice,
    first_learnt,
    letter,
    metrics,
    questions,
)
from tests.support.paths import ROOT
from tests.support.scored_rows import by_letter
from tests.support.training_rows import chat_row, training_row, write_rows

LETTERS = [7, 3, 5]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(0, 6)), min_size=1),
    st.booleans(),
)
def test_the_first_learnt_place_is_found_whatever_the_padding(rows, left):
    width = max(prompt + answer + pad for prompt, answer, pad in rows)
    labels = torch.full((len(rows), width), -100)
    starts = []
    for row, (prompt, answer, _) in enumerate(rows):
        start = width - answer if left else prompt
        labels[row, start : start + answer] = 4
        starts.append(start)
    assert first_learnt(labels).tolist() == starts


def head(dtype: torch.dtype = torch.float32) -> torch.nn.Linear:
    generator = torch.Generator().manual_seed(0)
    made = torch.nn.Linear(16, 12, bias=False).requires_grad_(False)
    made.weight.copy_(torch.randn(12, 16, generator=generator))
    return made.to(dtype).eval()


def hidden(rows: int, tokens: int) -> torch.Tensor:
    return torch.randn(rows, tokens, 16, generator=torch.Generator().manual_seed(1))


def test_letters_are_read_before_each_answer():
    made, states = head(), hidden(2, 6)
    reader = LetterReader(made, LETTERS)
    logits = 30 * torch.tanh(made(states) / 30)  # Gemma-2's soft-cap comes after the head
    labels = torch.tensor([[-100, -100, 7, 1, -100, -100], [-100, -100, -100, -100, 3, 1]])
    read = reader.read((logits,), labels)
    assert read.shape == (2, 2, 3)
    for row, place in enumerate((1, 3)):
        wanted = (states[row, place] @ made.weight.T)[LETTERS]
        assert torch.allclose(read[row, 0], wanted, atol=1e-5)
        assert read[row, 0].argsort().equal(logits[row, place, LETTERS].argsort())
        shares = logits[row, place].softmax(-1)[LETTERS]
        assert torch.allclose(read[row, 1], shares, atol=1e-6)


def test_letters_that_tie_in_half_precision_do_not_when_read():
    made, states = head(torch.bfloat16), hidden(1, 2).bfloat16() * 20
    made.weight[3] = made.weight[7] * (1 + 1 / 256)
    made.weight[3, 0] += 1 / 64
    reader = LetterReader(made, LETTERS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = made(states)
        read = reader.read(logits, torch.tensor([[-100, 7]]))[0, 0]
    true = (states[0, 0].double() @ made.weight.double().T)[LETTERS]
    assert read.dtype == torch.float32
    assert read.double() == pytest.approx(true, abs=1e-4)
    off = (logits[0, 0, LETTERS].double() - true).abs().max()
    assert off > 100 * (read.double() - true).abs().max()


def test_nothing_is_kept_while_training():
    made = head().train()
    reader = LetterReader(made, LETTERS)
    made(hidden(1, 2))
    assert reader.fine is None


@pytest.mark.parametrize("logits", [(), None])
def test_a_model_without_logits_is_refused(logits):
    with pytest.raises(UserError, match="gives no logits in an evaluation"):
        LetterReader(head(), LETTERS).read(logits, torch.tensor([[-100, 7]]))


@pytest.mark.parametrize("labels", [[7, 1], [-100, -100]])
def test_a_row_without_prompt_or_answer_is_refused(labels):
    made = head()
    reader = LetterReader(made, LETTERS)
    with pytest.raises(UserError, match="nothing predicts it"):
        reader.read(made(hidden(1, 2)), torch.tensor([labels]))


def seen(*rows: tuple[int, list[float]]) -> EvalPrediction:
    """Rows as the trainer gathers them: the learnt letter, and the logits of all letters."""
    logits = np.array([values for _, values in rows])
    shares = np.exp(logits) / 10
    labels = np.array([[-100, -100, token, 1, -100] for token, _ in rows])
    return EvalPrediction(predictions=np.stack([logits, shares], axis=1), label_ids=labels)


def test_accuracy_is_counted_by_category_over_each_rows_own_options():
    asked = [
        ShownQuestion("원인", 0, (0, 1, 2)),
        ShownQuestion("동기", 1, (1, 0)),  # the third letter is none of its options
        None,
        ShownQuestion("원인", 2, (2, 0, 1)),
    ]
    made = metrics(
        seen((7, [2.0, 1, 0]), (3, [0, 1, 5]), (9, [0, 0, 0]), (5, [3, 0, 1])), asked, LETTERS
    )
    assert made.pop("letter_mass") == pytest.approx(
        np.mean([np.exp([2, 1, 0]).sum(), np.exp([0, 1]).sum(), np.exp([3, 0, 1]).sum()]) / 10
    )
    assert made == {"accuracy": 2 / 3, "accuracy/동기": 1.0, "accuracy/원인": 0.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_letters_without_a_probability_are_no_choice(value):
    asked = [ShownQuestion("원인", 0, (0, 1, 2)), ShownQuestion("원인", 0, (0, 1, 2))]
    with pytest.raises(UserError, match="none can be chosen"):
        metrics(seen((7, [2.0, 1, 0]), (7, [value, 1, 0])), asked, LETTERS)


def test_of_equal_letters_the_option_published_first_is_chosen():
    assert choice([1.0, 1.0, 0.0], (2, 0, 1)) == 1
    assert choice([1.0, 1.0, 1.0], (0, 1, 2)) == 0


def test_rows_that_are_missing_or_elsewhere_are_refused():
    asked = [ShownQuestion("원인", 0, (0, 1, 2)), ShownQuestion("원인", 1, (0, 1, 2))]
    with pytest.raises(UserError, match="saw 1 of 2 rows; set dataloader_drop_last: false"):
        metrics(seen((7, [2.0, 1, 0])), asked, LETTERS)
    with pytest.raises(UserError, match="in another order than their file"):
        metrics(seen((3, [2.0, 1, 0]), (7, [2.0, 1, 0])), asked, LETTERS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test_datasets": None}, "no questions to measure accuracy on"),
        ({"rl": "orpo"}, "no questions to measure accuracy on"),
        ({"sample_packing": True}, "set eval_sample_packing: false"),
    ],
)
def test_recipes_that_show_no_questions_are_refused(capsys, change, said):
    recipe = {"axolotl_config_path": "recipe.yml", "test_datasets": [{"path": "x"}]}
    AccuracyPlugin().register(recipe)
    with pytest.raises(SystemExit) as left:
        AccuracyPlugin().register(recipe | change)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_axolotl_is_set_to_load_the_best_even_by_epochs(tmp_path):
    recipe = DictDefault(output_dir=str(tmp_path), load_best_model_at_end=True)
    assert AccuracyPlugin().get_training_args(recipe) == {
        "load_best_model_at_end": True,
        "restore_callback_states_from_checkpoint": True,
        "eval_on_start": True,
    }
    (tmp_path / "checkpoint-3").mkdir()
    resumed = AccuracyPlugin().get_training_args(DictDefault(output_dir=str(tmp_path)))
    assert not resumed["eval_on_start"]
    assert not resumed["load_best_model_at_end"]


@pytest.fixture(scope="module")
def tokenizer(workplace):
    made = AutoTokenizer.from_pretrained(workplace / "recipes/tiny/base")
    made.chat_template = (
        "{{ bos_token }}{% for m in messages %}### {{ m['role'] }}:\n{{ m['content'] }}"
        "{{ eos_token if m['role'] == 'assistant' else '\n' }}{% endfor %}"
        "{{ '### assistant:\n' if add_generation_prompt }}"
    )
    return made


def test_questions_are_found_again_by_their_tokens(tmp_path, tokenizer):
    rows = [training_row(0, (1, 0, 2)), chat_row(0), training_row(1, (0, 2, 1))]
    write_rows(tmp_path / "dev.jsonl", rows)
    ids = [tokenizer.apply_chat_template(row["messages"], return_dict=False) for row in rows]
    asked, letters = questions(ids[::-1], [tmp_path / "dev.jsonl"], tokenizer)
    assert asked == [ShownQuestion("원인", 0, (0, 2, 1)), None, ShownQuestion("원인", 1, (1, 0, 2))]
    assert [tokenizer.decode([one]).strip() for one in letters] == ["A", "B", "C"]


def test_a_file_without_questions_is_refused(tmp_path, tokenizer):
    write_rows(tmp_path / "dev.jsonl", [chat_row(0)])
    with pytest.raises(UserError, match="no question with options"):
        questions([], [tmp_path / "dev.jsonl"], tokenizer)


def test_a_letter_that_melts_into_its_text_is_refused(tokenizer):
    row = training_row(0)
    melting = SimpleNamespace(
        apply_chat_template=tokenizer.apply_chat_template, decode=lambda ids: "A. "
    )
    assert letter(row, "C", tokenizer, "row 1") == tokenizer.convert_tokens_to_ids("C")
    with pytest.raises(UserError, match="row 1: the letter A is not one token of its own"):
        letter(row, "A", melting, "row 1")


def test_two_processes_measure_what_one_scores(tmp_path, workplace, tokenizer):
    base = workplace / "recipes/tiny/base"
    shutil.copytree(base, tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    orders = [(0, 1, 2), (1, 0, 2), (1, 2, 0), (0, 2, 1), (2, 0, 1)]
    # each row has a category of its own; five rows leave the last batch of two processes uneven
    made = [training_row(n, order) | {"category": f"유형{n}"} for n, order in enumerate(orders)]
    write_rows(tmp_path / "base/rows.jsonl", made)
    two = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    paths = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [
            sys.executable,
            *two,
            str(ROOT / "tests/support/two_processes.py"),
            str(tmp_path / "base"),
        ],
        env=os.environ | paths | {"OMP_NUM_THREADS": "1"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])

    rows = [Row.model_validate(row | {"messages": row["messages"][:-1]}) for row in made]
    engine = Engine(tmp_path / "base", dtype="float32", batch_size=5)
    choices, mass = by_letter(engine, tokenizer, rows)
    assert found.pop("processes") == 2
    assert found.pop("eval_letter_mass") == pytest.approx(mass, abs=1e-4)
    assert found.pop("eval_accuracy") == tally(rows, choices).accuracy
    assert found == {
        f"eval_accuracy/{name}": one.accuracy for name, one in by_category(rows, choices).items()
    }
