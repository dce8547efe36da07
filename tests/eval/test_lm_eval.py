"""lm-evaluation-harness scores the generated task as score.py scores the rows: ids and numbers."""

import json
import sys
from pathlib import Path

import pytest
from lm_eval.__main__ import cli_evaluate
from lm_eval.tasks import TaskManager

from core.errors import UserError
from eval import predictions, score
from eval.answer_tokens import encode, load_tokenizer
from eval.engines.hf import Engine
from eval.lm_eval_task import make
from eval.metrics.accuracy import tally
from eval.options import choose, option_logprobs
from tests.support.lm_eval_cases import MODELS, Case
from tests.support.scored_rows import rows, save_rows
from tests.support.tiny_models import save_llama

TOLERANCE = 1e-4  # nats, float32; measured: 2.5e-5 at most


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness asks pip what is installed, which takes seconds."""
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)


@pytest.fixture(scope="module", params=MODELS, ids=lambda save: save.__name__)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param.__name__)
    return Case(request.param, folder, rows(40), "letter")


def test_the_harness_scores_the_same_ids_and_finds_the_same(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "scored.jsonl"
    score.main([*case.given, "--out", str(out), "--backend", "hf"])
    found, seen = case.harness()
    tokenizer = load_tokenizer(case.model)
    engine = Engine(case.model, dtype="float32", batch_size=9)
    likelihoods, pairs = case.by_id(found), iter(seen)
    scored, _ = predictions.read(out)
    for row in case.rows:
        ids, tokens = encode(tokenizer, row)
        contexts, continuations = zip(*(next(pairs) for _ in tokens), strict=True)
        sequences = [[*c, *more] for c, more in zip(contexts, continuations, strict=True)]
        assert sequences == [[*ids, token] for token in tokens]
        # raw: the letter, and what of the prompt the harness counts with it
        [mine] = engine.continuation_logprobs(contexts[:1], [continuations])
        theirs = likelihoods[row.id]
        assert theirs == pytest.approx([sum(values) for values in mine], rel=0, abs=TOLERANCE)
        if case.kind == "qwen2":
            assert {len(more) for more in continuations} == {1}
        # normalised over the options: what score.py stores
        published = option_logprobs(theirs, row.order)
        assert published == pytest.approx(scored[row.id].logprobs, rel=0, abs=TOLERANCE)
        assert choose(published) == scored[row.id].choice
    right = tally(case.rows, {id_: one.choice for id_, one in scored.items()})
    assert 0 < right.correct < right.n
    assert found["results"][case.name]["acc,none"] == right.accuracy


def test_a_cut_never_falls_into_a_token(case: Case) -> None:
    items = [json.loads(line) for line in (case.task / "ours.jsonl").open(encoding="utf-8")]
    first = {"gemma2": "\nA", "llama": ":\nA", "qwen2": "A"}[case.kind]
    assert {one["choices"][0] for one in items} == {first}


# What happens without one of the printed settings: are the ids still the same, and the numbers?
WITHOUT = {
    "gemma2": ("attn_implementation", True, False),  # the soft-cap is dropped
    "llama": ("add_bos_token", True, True),  # the prompt begins with BOS, which the harness sees
    "qwen2": ("add_bos_token", False, False),  # a BOS is added
}


def test_the_printed_settings_are_needed(case: Case) -> None:
    setting, same_ids, same_numbers = WITHOUT[case.kind]
    found, seen = case.harness()
    other, ids = case.harness(**{setting: None})
    assert (ids == seen) is same_ids
    pairs = zip(case.by_id(found).values(), case.by_id(other).values(), strict=True)
    apart = max(abs(a - b) for one, two in pairs for a, b in zip(one, two, strict=True))
    assert apart < TOLERANCE if same_numbers else apart > 0.1


def test_two_runs_write_the_same_task(case: Case) -> None:
    files = sorted(path.name for path in case.task.iterdir())
    assert files == ["ours.jsonl", "ours.yaml"]
    before = [(case.task / name).read_bytes() for name in files]
    make.main(case.make)
    assert [(case.task / name).read_bytes() for name in files] == before


@pytest.mark.parametrize("method", make.METHODS)
def test_the_printed_command_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    """By the harness's own command line, but without reading the thousands of its own tasks."""
    model, data, out = save_llama(tmp_path / "model"), tmp_path / "dev.jsonl", tmp_path / "task"
    save_rows(data, 6)
    given = ["--model", str(model), "--data", str(data), "--out", str(out)]
    make.main([*given, "--method", method])
    *_, command = capsys.readouterr().out.splitlines()
    found = tmp_path / "found"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--output_path", str(found)])
    read_tasks = TaskManager.initialize_tasks
    monkeypatch.setattr(
        TaskManager,
        "initialize_tasks",
        lambda self, include_path, include_defaults: read_tasks(self, include_path, False),
    )
    cli_evaluate()
    [results] = found.rglob("results_*.json")
    [found] = json.loads(results.read_text(encoding="utf-8"))["results"].values()
    assert found["alias"] == {"letter": "maerak_dev", "option": "maerak_dev_option"}[method]
    assert {f"{metric},none" for metric in make.METRICS[method]} <= found.keys()


@pytest.mark.parametrize(("words", "batch"), [(1500, 16), (262_144, 4)])
def test_the_printed_batch_leaves_room_for_its_logits(
    tmp_path: Path, words: int, batch: int
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": words, "dtype": "float32"}))
    said = make.command(tmp_path, tmp_path, "it", longest=480)
    assert said.endswith(f" --batch_size {batch}")


def test_rows_that_the_harness_cannot_score_are_refused(tmp_path: Path) -> None:
    model, data, out = save_llama(tmp_path / "model"), tmp_path / "test.jsonl", tmp_path / "task"
    save_rows(data, 3, answered=False)
    with pytest.raises(UserError, match=r"test\.jsonl, row 합성-000: has no answer"):
        make.main(["--model", str(model), "--data", str(data), "--out", str(out)])
    assert not out.exists()
