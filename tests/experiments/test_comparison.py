"""The statistics of an experiment against other implementations and by hand; its table."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar as reference

from core.files import sha256
from core.jsonl import write_json, write_records
from core.records import Prediction, Row
from eval import predictions
from eval.options import gold
from experiments.comparison import compare, difference_interval, forest, holm, markdown, mcnemar
from experiments.experiment import BASE, Change, Experiment, Loaded, Variant
from experiments.jobs import Job
from experiments.pieces import Piece
from prep.config import Run
from tests.support.scored_rows import rows


@pytest.mark.parametrize(("won", "lost"), [(0, 5), (3, 7), (12, 12), (40, 61), (1, 0)])
def test_mcnemar_is_that_of_statsmodels(won: int, lost: int) -> None:
    expected = reference([[9, won], [lost, 4]], exact=True).pvalue
    assert mcnemar(won, lost) == pytest.approx(expected)


def test_mcnemar_and_holm_by_hand() -> None:
    assert mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar(0, 0) == 1
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


def test_the_interval_is_scipys_bootstrap_of_groups() -> None:
    rng = np.random.default_rng(5)
    groups = [f"g{number // 3}" for number in range(180)]
    ease = np.repeat(rng.normal(0, 1, 60), 3)
    shares = np.column_stack([rng.normal(ease, 1) > -0.6, rng.normal(ease, 1) > 0]).astype(float)
    gaps = (shares[:, 0] - shares[:, 1]).reshape(60, 3).sum(1)
    expected = bootstrap((gaps / 3,), np.mean, method="percentile", n_resamples=10_000, rng=rng)
    found = difference_interval(shares, groups)
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=0.008)
    # copies within their dialogues add nothing
    more = difference_interval(np.repeat(shares, 4, axis=0), np.repeat(groups, 4).tolist())
    assert more == pytest.approx(tuple(found))
    assert difference_interval(shares[:, [0, 0]], groups) is None
    assert difference_interval(shares[:9], groups[:9]) is None


def job(variant: str, fold: int, seed: int, made: list[Row], right: list[bool] | None) -> Job:
    """A finished scoring of rows, right where told; None is one that is not finished."""
    score = Piece("score", {"of": [variant, fold, seed]})
    training = Piece("train", {"of": [variant, fold, seed]})
    data = Path(f"data/{fold}.jsonl")
    write_records(data, made)
    if right is not None:
        said = []
        for row, hit in zip(made, right, strict=True):
            choice = gold(row) if hit else (gold(row) + 1) % 3
            said.append(Prediction(id=row.record, order=row.order, logprobs=None, choice=choice))
        meta = {
            "method": "greedy",
            "data": {"path": str(data), "sha256": sha256(data), "rows": len(made)},
        }
        predictions.write(score.folder / "predictions.jsonl", said, meta)
        for piece, seconds in ((score, 30.0), (training, 60.0)):
            about = {"machine": "한 기계", "date": "2026-11-28", "commit": "abc"}
            write_json(piece.folder / "done.json", {"seconds": seconds, **about})
    return Job(variant, fold, seed, (training,), score, data)


def experiment(names: list[str]) -> Loaded:
    changes = {name: Change(run={"orders": 3}) for name in names if name != BASE}
    made = Experiment(base="demo-seed1", folds=2, seeds=[1, 2], changes=changes)
    run = Run.model_construct()
    variants = {
        name: Variant(name, changes[name].words if name in changes else "", {}, run, (), {}, {})
        for name in names
    }
    return Loaded("made", Path("made.yml"), made, variants)


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Forty questions of twenty dialogues; the base wrong on ten by both seeds, on ten by one."""
    monkeypatch.chdir(tmp_path)
    made = [row.model_copy(update={"group": f"g{n // 2}"}) for n, row in enumerate(rows(40))]
    folds = [made[:20], made[20:]]
    base = {1: [True] * 5 + [False] * 15, 2: [True] * 10 + [False] * 10}
    better = {1: [True] * 20, 2: [True] * 19 + [False]}
    names = [BASE, "더 나은 것", "same", "half"]
    right = {BASE: base, "더 나은 것": better, "same": base}
    jobs = [
        job(name, fold, seed, folds[fold], right[name][seed])
        for name in right
        for fold in (0, 1)
        for seed in (1, 2)
    ]
    jobs += [job("half", 0, 1, folds[0], base[1]), job("half", 1, 1, folds[1], None)]
    return compare(experiment(names), names, jobs)


def test_the_table_by_hand(found: dict) -> None:
    assert found["missing"] == {"half": "1 of 4 scored"}
    assert (found["questions"], found["groups"]) == (40, 20)
    base, better, same = found["results"].values()
    assert base["by_seed"] == [0.25, 0.5]
    assert base["accuracy"] == 0.375
    assert base["spread"] == pytest.approx(0.25 / 2**0.5, abs=1e-6)
    assert base["minutes"] == 6.0  # four trainings and four scorings
    assert better["accuracy"] == 0.975
    assert better["difference"] == 0.6
    assert (better["won"], better["lost"]) == (30, 0)
    assert better["mcnemar_p"] < 1e-6
    assert better["differs"] is True
    low, high = better["interval95"]
    assert 0.3 < low < 0.6 < high < 0.8
    assert (same["won"], same["lost"], same["difference"]) == (0, 0, 0)
    assert (same["interval95"], same["mcnemar_p"], same["holm_p"]) == (None, 1, 1)
    assert same["differs"] is False


def test_the_markdown_and_the_picture_say_it(found: dict) -> None:
    text = markdown(found)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 5
    assert len({line.count("|") for line in table}) == 1
    assert "| 더 나은 것 | orders: 3 | 97.5 % |" in text
    assert "| **+60.0** |" in text
    assert "* missing: half (1 of 4 scored)" in text
    assert "한 기계, 2026-11-28, abc" in text.replace("; ", ", ")
    names = [label.get_text() for label in forest(found["results"]).axes[0].get_yticklabels()]
    assert names == ["더 나은 것", "same"]


def test_with_the_recipes_own_seed_the_table_has_no_spread(found: dict) -> None:
    for one in found["results"].values():
        one["spread"] = None
    text = markdown(found | {"seeds": []})
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "spread" not in text
    assert "seeds" not in text
    nothing = markdown(
        {"seeds": [], "results": {}, "notes": [], "missing": {"base": "0 of 2 scored"}}
    )
    assert nothing.splitlines()[-1] == "* missing: base (0 of 2 scored)"
