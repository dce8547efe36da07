"""lm-evaluation-harness finds what `score.py --method option` finds, by each normalisation."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.jsonl import write_records
from core.records import Message, Row
from eval import predictions, score
from eval.answer_tokens import load_tokenizer
from eval.engines.hf import Engine
from eval.lm_eval_task import after_prompt, make
from eval.methods.likelihood import Option
from eval.metrics.accuracy import tally
from eval.options import gold
from tests.support.lm_eval_cases import MODELS, TAILLESS, Case
from tests.support.scored_rows import listed, rows
from tests.support.tiny_models import save_llama, save_tokenizer

TOLERANCE = 5e-4  # nats, float32; measured: 1.1e-4 at most, of a text of 20 tokens and -166 nats
# of lengths far apart, and where Latin and Hangul are mixed in bytes other than in characters
TEXTS = (
    "비",
    "OK",
    "KTX를 탔다.",
    "bus No. 32",
    "감기에 걸렸다.",
    "DVD and CD, a radio",
    "어제 비를 흠뻑 맞았기 때문에 감기에 걸렸다.",
    "도시락은 내가 쌀게",
)
NORMALISED = {"acc": "sum", "acc_norm": "characters", "acc_bytes": "bytes"}
END = {"gemma2": "\n", "llama": ":\n", "qwen2": ""}  # of the prompt, counted with each text


def unlike(count: int) -> list[Row]:
    """Scoring rows of two to five different options."""
    rng = random.Random(1)
    made = []
    for number, row in enumerate(rows(count)):
        labels = list("ABCDE"[: 2 + number % 4])
        options = rng.sample(TEXTS, len(labels))
        changed = {
            "messages": [Message(role="user", content=f"보기\n{listed(options)}")],
            "labels": labels,
            "order": rng.sample(range(len(labels)), len(labels)),
            "options": options,
            "answer": rng.choice(labels),
        }
        made.append(row.model_copy(update=changed))
    return made


@pytest.fixture(scope="module", params=MODELS, ids=lambda save: save.__name__)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param.__name__)
    return Case(request.param, folder, unlike(40), "option")


@pytest.fixture(scope="module")
def found(case: Case) -> tuple[dict[str, Any], list[tuple[list[int], list[int]]]]:
    with pytest.MonkeyPatch.context() as patch:  # it asks pip what is installed: seconds
        patch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
        return case.harness()


def test_it_scores_the_same_ids_and_finds_the_same_likelihoods(case: Case, found: Any) -> None:
    results, seen = found
    tokenizer = load_tokenizer(case.model)
    engine = Engine(case.model, dtype="float32", batch_size=9)
    asked = [Option().ask(tokenizer, row) for row in case.rows]
    mine = Option().answers(engine, tokenizer, asked)
    theirs, pairs = case.by_id(results), iter(seen)
    for one, answer in zip(asked, mine, strict=True):
        values, [prompt], [texts] = theirs[one.row.id], one.prompts, one.continuations
        sequences = [context + more for context, more in (next(pairs) for _ in values)]
        end = bool(END[case.kind])
        assert sequences == [prompt + text for text in texts] + [prompt] * end
        alone = [value - (values[-1] if end else 0.0) for value in values[: len(texts)]]
        assert alone == pytest.approx(answer.scores, rel=0, abs=TOLERANCE)
    assert next(pairs, None) is None


@pytest.mark.parametrize("metric", NORMALISED)
def test_each_metric_is_the_accuracy_of_that_normalisation(
    case: Case, found: Any, tmp_path: Path, metric: str
) -> None:
    out = tmp_path / "scored.jsonl"
    how = ["--method", "option", "--normalise", NORMALISED[metric]]
    score.main([*case.given, *how, "--out", str(out), "--backend", "hf"])
    scored, _ = predictions.read(out)
    samples = case.samples(found[0])
    right = {row.id: scored[row.id].choice == gold(row) for row in case.rows}
    assert {id_: one[metric] for id_, one in samples.items()} == right
    total = tally(case.rows, {id_: one.choice for id_, one in scored.items()})
    assert 0 < total.correct < total.n
    assert found[0]["results"][case.name][f"{metric},none"] == total.accuracy


def test_on_these_rows_metrics_differ_and_so_do_prompt_and_text(case: Case, found: Any) -> None:
    samples = case.samples(found[0]).values()
    marks = [tuple(one[metric] for one in samples) for metric in NORMALISED]
    assert len(set(marks)) == 3
    # lm-eval's own acc_norm of the choices as they stand
    naive = []
    for one in samples:
        choices = one["doc"]["choices"][: len(one["doc"]["options"])]
        norms = [one["resps"][k][0][0] / len(text) for k, text in enumerate(choices)]
        naive.append(float(norms.index(max(norms)) == one["doc"]["gold"]))
    assert (tuple(naive) == marks[1]) is (END[case.kind] == "")


def test_the_harness_own_metrics_are_used_where_they_are_right(case: Case) -> None:
    end = END[case.kind]
    items = [json.loads(line) for line in (case.task / "ours.jsonl").open(encoding="utf-8")]
    for row, one in zip(case.rows, items, strict=True):
        assert one["options"] == row.options
        assert one["choices"] == [end + text for text in row.options] + ([end] if end else [])
        assert row.options[one["gold"]] == row.options[row.labels.index(row.answer)]
    names = sorted(path.name for path in case.task.iterdir() if path.is_file())
    text = (case.task / "ours.yaml").read_text(encoding="utf-8")
    if end:
        assert names == ["after_prompt.py", "ours.jsonl", "ours.yaml"]
        assert text.endswith("process_results: !function after_prompt.choose\n")
    else:
        assert names == ["ours.jsonl", "ours.yaml"]
        assert "process_results" not in yaml.safe_load(text)


def test_choices_by_hand() -> None:
    # end of the prompt: -2; texts alone: -2, -2.4, -9 over 1, 2, 6 characters and 3, 2, 14 bytes
    doc = {"options": ["비", "OK", "아주 긴 글"]}
    scored = [(-4.0, False), (-4.4, False), (-11.0, False), (-2.0, True)]
    found = [after_prompt.choose({**doc, "gold": gold}, scored) for gold in range(3)]
    assert [one["acc"] for one in found] == [1, 0, 0]
    assert [one["acc_norm"] for one in found] == [0, 1, 0]  # -2, -1.2, -1.5
    assert [one["acc_bytes"] for one in found] == [0, 0, 1]  # -0.667, -1.2, -0.643
    alone = [(value + 2, greedy) for value, greedy in scored[:3]]
    assert found == [after_prompt.choose({**doc, "gold": gold}, alone) for gold in range(3)]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"options": None}, "row 합성-000: carries no option texts"),
        (
            {"options": ["비", "눈 ", "해"]},
            "prompt and option '눈 ' become other tokens than those",
        ),
        ({"messages": [Message(role="user", content="비" * 600)]}, "but the model takes 512"),
    ],
)
def test_rows_that_it_would_score_otherwise_are_refused(
    tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    model, out = save_llama(tmp_path / "model"), tmp_path / "task"
    save_tokenizer(model, TAILLESS.replace("] + '<eos>'", "] | trim + '<eos>'"))
    data = tmp_path / "test.jsonl"
    write_records(data, [row.model_copy(update=changed) for row in rows(1)])
    given = ["--model", str(model), "--data", str(data), "--out", str(out)]
    with pytest.raises(UserError, match=rf"test\.jsonl, .*{sentence}"):
        make.main([*given, "--method", "option"])
    assert not out.exists()
