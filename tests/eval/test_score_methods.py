"""score.py by every method: real tiny models from the command line to the files it writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.jsonl import read_records, write_records
from core.records import Prediction, Row
from eval import predictions, score
from eval.answer_tokens import load_tokenizer
from eval.engines.hf import Engine
from eval.methods.base import Failure, predict
from eval.methods.likelihood import Letter
from eval.methods.permutations import combined
from tests.support.scored_rows import save_orders, save_rows
from tests.support.tiny_models import save_gemma2, save_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save_orders(tmp_path / "dev.jsonl", save_rows(tmp_path / "dev.jsonl", 12), "all")
    return tmp_path / "dev.jsonl"


def run(model: Path, data: Path, *options: str) -> tuple[dict[str, Prediction], dict[str, Any]]:
    out = data.with_name("p.jsonl")
    fixed = ["--model", str(model), "--data", str(data), "--out", str(out), "--backend", "hf"]
    score.main([*fixed, *options])
    meta = json.loads(out.with_name("p.meta.json").read_text("utf-8"))
    assert meta.pop("time")["rows_per_second"] > 0
    return predictions.read(out)[0], meta


@pytest.mark.parametrize("option", ["sum", "characters", "bytes", "tokens", "pmi"])
def test_option_texts(model: Path, data: Path, option: str) -> None:
    chosen = ["--method", "pmi"] if option == "pmi" else ["--method", "option"]
    if option not in ("pmi", "sum"):
        chosen += ["--normalise", option]
    found, meta = run(model, data, *chosen)
    assert meta["method"] == chosen[1]
    assert meta.get("normalise") == (None if option == "pmi" else option)
    assert "letter_mass" not in meta
    letter, _ = run(model, data)
    assert list(found) == list(letter)
    assert all(sum(map(pow_e, one.logprobs)) == pytest.approx(1) for one in found.values())
    assert [one.choice for one in found.values()] != [one.choice for one in letter.values()]


def pow_e(value: float) -> float:
    return 2.718281828459045**value


@pytest.mark.parametrize(("kind", "how"), [("cyclic", "mean"), ("all", "mean"), ("all", "vote")])
def test_permutations_are_the_orders_scored_one_by_one(
    model: Path, data: Path, kind: str, how: str
) -> None:
    found, meta = run(model, data, "--permutations", kind, "--combine", how)
    assert (meta["permutations"], meta["combine"]) == (kind, how)
    assert meta["data"]["path"] == str(data)
    assert meta["orders"]["path"] == str(data.with_name("dev.orders.jsonl"))
    rows = read_records(data.with_name("dev.orders.jsonl"), Row)
    rotations = ("~ABC", "~BCA", "~CAB")
    tokenizer, method = load_tokenizer(model), Letter()
    engine = Engine(model, dtype="float32", batch_size=1)
    each: dict[str, list[Prediction]] = {}
    for row in rows:
        if kind == "all" or row.id.endswith(rotations):
            [answer] = method.answers(engine, tokenizer, [method.ask(tokenizer, row)])
            each.setdefault(row.record, []).append(predict(row, answer))
    for id_, one in found.items():
        alone = combined(id_, each[id_], how)
        assert (one.choice, one.order) == (alone.choice, [0, 1, 2])
        assert one.logprobs == pytest.approx(alone.logprobs, rel=0, abs=1e-4)


def test_pride_moves_every_row_by_the_same_prior(model: Path, data: Path) -> None:
    plain, _ = run(model, data)
    free, meta = run(model, data, "--pride", "0.2")
    assert meta["pride"] == {"share": 0.2, "seed": 42, "dialogues": 3, "questions": 3}
    prior = meta["pride_prior"]["3"]
    assert sum(map(pow_e, prior)) == pytest.approx(1, abs=1e-5)
    for id_, one in free.items():
        moved = [plain[id_].logprobs[k] - of for k, of in zip(one.order, prior, strict=True)]
        got = [one.logprobs[k] for k in one.order]
        shift = moved[0] - got[0]
        assert [value - shift for value in moved] == pytest.approx(got, abs=1e-4)
    again, other = run(model, data, "--pride", "0.2", "--seed", "1")
    assert other["pride_prior"] != meta["pride_prior"]
    assert again != free


def test_replies_of_a_model_that_knows_no_answer_are_all_failures(model: Path, data: Path) -> None:
    for method in (["greedy"], ["cot"], ["self-consistency", "--samples", "2"]):
        found, meta = run(model, data, "--method", *method, "--max-tokens", "6")
        assert {(one.choice, one.logprobs) for one in found.values()} == {(None, None)}
        failures = read_records(data.with_name("p.jsonl.failures"), Failure)
        replies = 12 * meta.get("samples", 1)
        assert len(failures) == replies == sum(meta["failures"]["replies"].values())
        assert meta["failures"]["unanswered"] == 12
        assert (meta["method"], meta["max_tokens"]) == (method[0], 6)
        assert [path.name for path in data.parent.glob("p*.jsonl")] == ["p.jsonl"]
    run(model, data)
    assert not data.with_name("p.jsonl.failures").exists()


def test_self_consistency_repeats_itself_and_says_how(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies are real; what is read of them is made up, a random model answering nothing."""
    monkeypatch.setattr("eval.methods.generated.read_text", lambda text, *_: len(text) % 3)
    monkeypatch.setattr(Engine, "generate", ended(Engine.generate))
    options = ["--method", "self-consistency", "--reply", "text", "--samples", "5"]
    options += ["--max-tokens", "4", "--temperature", "1.5"]
    found, meta = run(model, data, *options)
    assert (meta["samples"], meta["temperature"], meta["seed"]) == (5, 1.5, 42)
    assert meta["failures"] == {"unanswered": 0, "replies": {}}
    assert found == run(model, data, *options, "--batch-size", "3")[0]
    assert found != run(model, data, *options, "--seed", "7")[0]
    assert len({tuple(one.logprobs) for one in found.values()}) > 2
    mean, _ = run(model, data, *options, "--permutations", "cyclic")
    assert [one.order for one in mean.values()] == [[0, 1, 2]] * 12


def ended(generate: Any) -> Any:
    def complete(*args: Any, **kwargs: Any) -> list[list[tuple[list[int], bool]]]:
        return [[(ids, True) for ids, _ in row] for row in generate(*args, **kwargs)]

    return complete


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--samples", "4"], "--samples needs --method self-consistency, not letter"),
        (["--normalise", "bytes"], "--normalise needs --method option, not letter"),
        (["--method", "pmi", "--normalise", "sum"], "--normalise needs --method option"),
        (["--method", "option", "--pride"], "--pride needs --method letter"),
        (["--max-tokens", "4"], "--max-tokens needs --method greedy or cot or self-consist"),
        (["--combine", "vote"], "--combine needs --permutations cyclic or all"),
        (["--pride", "--permutations", "all"], "--pride is for rows scored in one order"),
        (["--pride", "2"], "--pride must be a share above 0, at most 1"),
        (
            ["--method", "cot", "--permutations", "all", "--combine", "mean"],
            "cot has no log-probabilities to average; use --combine vote",
        ),
        (["--method", "self-consistency", "--samples", "0"], "--samples must be above 0"),
        (["--method", "self-consistency", "--temperature", "nan"], "--temperature must be above"),
        (["--method", "self-consistency", "--temperature", "inf"], "must be above 0 and finite"),
    ],
)
def test_options_that_do_not_go_together(
    options: list[str], said: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(Path("nowhere"), data, *options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_rows_that_cannot_be_asked_are_refused(model: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"orders.jsonl: shows 합성-000 in several orders; .*--perm"
    ):
        run(model, data.with_name("dev.orders.jsonl"))
    rows = read_records(data, Row)
    write_records(data, [row.model_copy(update={"options": None}) for row in rows])
    with pytest.raises(UserError, match=r"dev.jsonl, row 합성-000: carries no option texts"):
        run(model, data, "--method", "option")
    with pytest.raises(UserError, match=r"row 합성-000: \d+ tokens, but the model takes 512"):
        run(save_gemma2(tmp_path / "g"), data, "--method", "cot")
