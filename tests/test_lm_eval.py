"""lm-evaluation-harness scores the generated task as score.py scores the rows: ids and numbers."""

import json
import sys
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.__main__ import cli_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import simple_parse_args_string
from tokenizers.processors import TemplateProcessing

from eval import predictions, score
from eval.accuracy import tally
from eval.engine_hf import Engine
from eval.letters import encode, load_tokenizer
from eval.lm_eval import make
from eval.options import choose, option_logprobs
from prep.errors import UserError
from prep.records import Row
from tests.scoring import save_rows
from tests.tiny_models import TEMPLATE, save_gemma2, save_llama, save_qwen2, save_tokenizer

TOLERANCE = 1e-4  # nats, float32; measured: 2.5e-5 at most
TAILLESS = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "[INST]{{ message['content'] }}[/INST]{% else %}{{ message['content'] + '<eos>' }}"
    "{% endif %}{% endfor %}"
)


def gemma2(folder: Path) -> Path:
    """Soft-cap and sliding window; the prompt ends with a line break that is a token."""
    return save_gemma2(folder)


def llama(folder: Path) -> Path:
    """The prompt ends with ":\n", one token, and the tokenizer adds BOS, as Llama-3's does."""
    return save_with_bos(save_llama(folder), TEMPLATE, joins=True)


def qwen2(folder: Path) -> Path:
    """The prompt ends without white space and has no BOS, which the tokenizer would add."""
    return save_with_bos(save_qwen2(folder), TAILLESS)


def save_with_bos(folder: Path, template: str, joins: bool = False) -> Path:
    tokenizer = save_tokenizer(folder, template, joins=joins)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    tokenizer.save_pretrained(folder)
    return folder


class Case:
    """A model, rows, what score.py makes of them, and the generated task."""

    def __init__(self, save: Any, folder: Path) -> None:
        self.name = save.__name__
        self.model, self.data = save(folder / "model"), folder / "test.jsonl"
        self.rows: list[Row] = save_rows(self.data, 40)
        self.scored = folder / "scored.jsonl"
        given = ["--model", str(self.model), "--data", str(self.data)]
        score.main([*given, "--out", str(self.scored), "--backend", "hf"])
        self.task = folder / "task"
        make.main([*given, "--out", str(self.task)])
        command = make.command(self.model, self.task, "maerak_test").split()
        self.settings = simple_parse_args_string(command[command.index("--model_args") + 1])

    def harness(self, **changes: Any) -> tuple[dict[str, Any], list[tuple[list[int], list[int]]]]:
        """The harness's results, and the token ids of each context and continuation it scored."""
        seen = []

        class Watched(HFLM):
            def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> Any:
                seen.extend((context, continuation) for _, context, continuation in requests)
                return super()._loglikelihood_tokens(requests, **kwargs)

        settings = self.settings | {"device": "cpu", "batch_size": 16} | changes
        found = lm_eval.simple_evaluate(
            Watched(**settings),
            tasks=["maerak_test"],
            task_manager=TaskManager(include_path=str(self.task), include_defaults=False),
            bootstrap_iters=0,
        )
        return found, seen


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness asks pip what is installed, which takes seconds."""
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)


@pytest.fixture(scope="module", params=[gemma2, llama, qwen2], ids=lambda save: save.__name__)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, tmp_path_factory.mktemp(request.param.__name__))


def by_id(found: dict[str, Any]) -> dict[str, list[float]]:
    """The harness's log-likelihoods of each item's letters, in the order shown."""
    samples = found["samples"]["maerak_test"]
    return {one["doc"]["id"]: [answer[0] for [answer] in one["resps"]] for one in samples}


def test_the_harness_scores_the_same_ids_and_finds_the_same(case: Case) -> None:
    found, seen = case.harness()
    tokenizer = load_tokenizer(case.model)
    engine = Engine(case.model, dtype="float32", batch_size=9)
    likelihoods, pairs = by_id(found), iter(seen)
    scored, _ = predictions.read(case.scored)
    for row in case.rows:
        ids, letters = encode(tokenizer, row)
        contexts, continuations = zip(*(next(pairs) for _ in letters), strict=True)
        whole = [[*c, *more] for c, more in zip(contexts, continuations, strict=True)]
        assert whole == [[*ids, letter] for letter in letters]
        # raw: the letter, and what of the prompt the harness counts with it
        [mine] = engine.continuation_logprobs(contexts[:1], [continuations])
        theirs = likelihoods[row.id]
        assert theirs == pytest.approx([sum(values) for values in mine], rel=0, abs=TOLERANCE)
        if case.name == "qwen2":
            assert {len(more) for more in continuations} == {1}
        # normalised over the options: what score.py stores
        published = option_logprobs(theirs, row.order)
        assert published == pytest.approx(scored[row.id].logprobs, rel=0, abs=TOLERANCE)
        assert choose(published) == scored[row.id].choice
    right = tally(case.rows, {id_: one.choice for id_, one in scored.items()})
    assert 0 < right.correct < right.n
    assert found["results"]["maerak_test"]["acc,none"] == right.accuracy


def test_a_cut_never_falls_into_a_token(case: Case) -> None:
    items = [json.loads(line) for line in (case.task / "maerak_test.jsonl").open(encoding="utf-8")]
    first = {"gemma2": "A", "llama": ":\nA", "qwen2": "A"}[case.name]
    assert {one["choices"][0] for one in items} == {first}


# What happens without one of the printed settings: are the ids still the same, and the numbers?
WITHOUT = {
    "gemma2": ("attn_implementation", True, False),  # the soft-cap is dropped
    "llama": ("add_bos_token", True, True),  # the prompt begins with BOS, which the harness sees
    "qwen2": ("add_bos_token", False, False),  # a BOS is added
}


def test_the_printed_settings_are_needed(case: Case) -> None:
    setting, same_ids, same_numbers = WITHOUT[case.name]
    found, seen = case.harness()
    other, ids = case.harness(**{setting: None})
    assert (ids == seen) is same_ids
    pairs = zip(by_id(found).values(), by_id(other).values(), strict=True)
    apart = max(abs(a - b) for one, two in pairs for a, b in zip(one, two, strict=True))
    assert apart < TOLERANCE if same_numbers else apart > 0.1


def test_two_runs_write_the_same_task(case: Case) -> None:
    files = sorted(path.name for path in case.task.iterdir())
    assert files == ["maerak_test.jsonl", "maerak_test.yaml"]
    before = [(case.task / name).read_bytes() for name in files]
    make.main(["--model", str(case.model), "--data", str(case.data), "--out", str(case.task)])
    assert [(case.task / name).read_bytes() for name in files] == before


def test_the_printed_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the harness's own command line, but without reading the thousands of its own tasks."""
    model, data, out = save_llama(tmp_path / "model"), tmp_path / "dev.jsonl", tmp_path / "task"
    save_rows(data, 6)
    make.main(["--model", str(model), "--data", str(data), "--out", str(out), "--name", "ours"])
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
    assert "acc,none" in json.loads(results.read_text(encoding="utf-8"))["results"]["ours"]


def test_rows_that_the_harness_cannot_score_are_refused(tmp_path: Path) -> None:
    model, data, out = save_llama(tmp_path / "model"), tmp_path / "test.jsonl", tmp_path / "task"
    save_rows(data, 3, answered=False)
    with pytest.raises(UserError, match=r"test\.jsonl, row 합성-000: has no answer"):
        make.main(["--model", str(model), "--data", str(data), "--out", str(out)])
    assert not out.exists()
