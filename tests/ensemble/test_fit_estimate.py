"""The estimate of fitted weights: no group is divided between a fit and what it is judged on."""

import math
import random
from collections import Counter
from pathlib import Path

import pytest
from sklearn.model_selection import KFold

from core.jsonl import write_records
from core.records import Prediction
from ensemble import fit
from ensemble.fit import by_accuracy
from eval.options import gold
from tests.support.out_of_fold_case import Study
from tests.support.scored_rows import rows


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_the_estimate_does_not_see_what_it_judges(study: Study) -> None:
    # members of pure chance: a fit on the judged questions would pick the luckiest of them
    files = [path for n in range(12) for path in study.member(f"m{n}", 1 / 3)]
    found = study.fit("greedy", *files)
    held = fit.out_of_fold.read(files, study.data, dev=False)
    inside = fit.weighed(found, held.members, []) == held.gold
    assert inside.mean() > 0.42
    assert found.fitted.estimate["fitted"] < 0.42


def groups_seen(study: Study, monkeypatch: pytest.MonkeyPatch) -> list[Counter[str]]:
    """How many rows of each group each fit of the command sees, the last fit first.

    Groups of one to five rows, their rows far apart; the category of a row names its group.
    """
    sizes = [1 + n % 5 for n in range(40)]
    names = sorted((k, f"g{n}") for n, size in enumerate(sizes) for k in range(size))
    study.rows = [
        row.model_copy(update={"split": "dev", "group": name, "category": name})
        for row, (_, name) in zip(rows(len(names)), names, strict=True)
    ]
    study.data = study.data[:1]
    write_records(study.data[0], study.rows)
    made = [
        Prediction(id=row.id, order=row.order, logprobs=None, choice=gold(row))
        for row in study.rows
    ]
    study.save(study.folder / "a.jsonl", made, study.data[0], "a")
    seen: list[Counter[str]] = []

    def watched(members, gold_, categories):
        seen.append(Counter(categories))
        return by_accuracy(members, gold_, categories)

    monkeypatch.setitem(fit.FITS, "weighted", watched)
    study.fit("weighted", study.folder / "a.jsonl", more=("--dev",))
    return seen


def divides(seen: list[Counter[str]]) -> bool:
    """Whether a fit sees a part of a group; the first sees everything."""
    everything, *folds = seen
    assert len(folds) == fit.FOLDS
    assert sum(folds, Counter()) == Counter({k: 4 * n for k, n in everything.items()})
    return any(fold[name] not in (0, everything[name]) for fold in folds for name in everything)


def test_no_group_is_divided_between_a_fit_and_what_it_is_judged_on(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not divides(groups_seen(study, monkeypatch))


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
def test_a_splitter_blind_to_groups_would_be_seen(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sklearn.model_selection.GroupKFold", KFold)
    assert divides(groups_seen(study, monkeypatch))


def test_what_only_a_judged_group_could_teach_is_not_in_the_estimate(study: Study) -> None:
    # of two members one is right on all of a group and the other wrong; which, nothing else tells
    rng = random.Random(0)
    trusted = {f"g{n}": rng.choice("ab") for n in range(48)}
    study.rows = [
        row.model_copy(update={"split": "dev", "group": f"g{n % 48}", "category": f"g{n % 48}"})
        for n, row in enumerate(study.rows)
    ]
    study.data = study.data[:1]
    write_records(study.data[0], study.rows)
    for name in "ab":
        made = []
        for row in study.rows:
            right = trusted[row.group] == name
            picked = gold(row) if right else (gold(row) + 1) % 3
            logprobs = [math.log(0.15)] * 3
            logprobs[picked] = math.log(0.7)
            made.append(Prediction(id=row.id, order=row.order, logprobs=logprobs, choice=picked))
        study.save(study.folder / f"{name}.jsonl", made, study.data[0], name)
    files = [study.folder / f"{name}.jsonl" for name in "ab"]
    found = study.fit("stacking", *files, more=("--dev",))
    assert found.fitted.estimate["fitted"] < 0.75
    held = fit.out_of_fold.read(files, study.data, dev=True)
    inside = fit.weighed(found, held.members, [row.category for row in held.rows]) == held.gold
    assert inside.mean() > 0.95
