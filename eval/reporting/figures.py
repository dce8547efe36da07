"""All figures of a report as one JSON value: what the page, the Markdown and DVC are made of."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from eval.metrics.accuracy import chance
from eval.metrics.calibration import brier, confusion, ece, recalls, reliability, rstd
from eval.metrics.significance import differences, intervals, rounded, too_few, verdict
from eval.reporting.breakdowns import Breakdown
from eval.reporting.runs import ScoredRows, ScoredRun


def figures(scored: ScoredRows, breakdowns: Sequence[Breakdown]) -> dict[str, Any]:
    """Shares are 0 to 1, rounded to six decimals; a figure that a method cannot give is null."""
    groups = [row.group for row in scored.rows]
    right = np.column_stack([scored.right(run) for run in scored.runs])
    results = {
        run.name: _result(scored, run, breakdowns) | {"bootstrap95": rounded(interval)}
        for run, interval in zip(scored.runs, intervals(right, groups), strict=True)
    }
    return {
        "chance": _rounded(chance(scored.rows)),
        "rows": len(scored.rows),
        "groups": len(set(groups)),
        "too_few": too_few(groups),
        "results": results,
        "pairs": _pairs([run.name for run in scored.runs], right, groups),
    }


def _result(scored: ScoredRows, run: ScoredRun, breakdowns: Sequence[Breakdown]) -> dict[str, Any]:
    """Everything that is counted of one run alone."""
    right = scored.right(run)
    mass = run.meta.letter_mass
    return {
        "method": run.meta.method,
        **run.result.all.as_dict(),
        "letter_mass": mass and mass.mean,
        "letter_mass_below_half": mass and mass.below_half,
        "no_answer": [
            row.id
            for row, one in zip(scored.rows, run.predictions, strict=True)
            if one.choice is None
        ],
        **_calibration(scored, run, right),
        **_positions(scored, run),
        **{
            one.name: {value: part.as_dict() for value, part in one.tallies(right).items()}
            for one in breakdowns
        },
    }


def _calibration(scored: ScoredRows, run: ScoredRun, right: Sequence[bool]) -> dict[str, Any]:
    """ECE, Brier score and the calibration curve, over the rows that have probabilities."""
    sure, hits, given, golds = [], [], [], []
    for one, values, hit, gold in zip(
        run.predictions, run.probabilities, right, scored.golds, strict=True
    ):
        if values is not None and one.choice is not None:
            sure.append(values[one.choice])
            hits.append(hit)
            given.append(values)
            golds.append(gold)
    if not given:
        return {"ece": None, "brier": None, "calibration": []}
    bins = reliability(sure, hits)
    return {
        "ece": _rounded(ece(bins)),
        "brier": _rounded(brier(given, golds)),
        "calibration": [_rounded(asdict(one)) for one in bins],
    }


def _positions(scored: ScoredRows, run: ScoredRun) -> dict[str, Any]:
    """What was chosen for what is right, by the letter shown and by published place from 1."""
    most = max(len(row.labels) for row in scored.rows)
    places = [str(place + 1) for place in range(most)]
    published = confusion(
        [places[gold] for gold in scored.golds],
        [None if one.choice is None else places[one.choice] for one in run.predictions],
        places,
    )
    found: dict[str, Any] = {"confusion_published": published}
    if run.lettered and any(one.choice is not None for one in run.predictions):
        labels = sorted({label for row in scored.rows for label in row.labels})
        letters = confusion([row.answer for row in scored.rows], scored.shown(run), labels)
        recall = recalls(letters)
        found |= {
            "confusion_letters": letters,
            "recall": _rounded(recall),
            "rstd": _rounded(rstd(recall)),
        }
    return found


def _pairs(names: Sequence[str], right: np.ndarray, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Every two runs compared, all comparisons judged at once."""
    places = list(combinations(range(len(names)), 2))
    return [
        {
            "first": names[a],
            "second": names[b],
            "only_first": int((right[:, a] & ~right[:, b]).sum()),
            "only_second": int((right[:, b] & ~right[:, a]).sum()),
            **found.as_dict(),
            "differs": found.differs,
            "verdict": verdict(found, names[a], names[b], len(right)),
        }
        for (a, b), found in zip(places, differences(right, groups, places), strict=True)
    ]


def _rounded(value: Any) -> Any:
    """Shares to six decimals, also within a dict."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 6) if isinstance(value, float) else value
