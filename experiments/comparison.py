"""What an experiment found: accuracies and differences to the base, in a table and a picture.

A change differs from the base where two things agree: the 95 % interval of the difference, over
draws of dialogues or passages (paired: base and change are counted on the same draw), leaves 0 out,
and McNemar's exact test over questions, corrected by Holm for all changes, gives p of at most 0.05.
With several seeds a question counts by the share of them that are right.
"""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from core.files import atomic_file
from core.jsonl import write_json
from core.layout import METRICS
from core.look import BLUE, FAINT, INK, ORANGE, svg
from core.records import Row
from eval.metrics.accuracy import chance
from eval.metrics.significance import (
    DECIMALS,
    LEVEL,
    Interval,
    intervals,
    resampled,
    rounded,
    too_few,
)
from eval.options import gold
from eval.predictions import join, read
from eval.rows import read_rows
from experiments.experiment import BASE, Loaded
from experiments.jobs import Job

Key = tuple[str, str, str]  # source, split, record


@dataclass(frozen=True)
class Answers:
    """A variant's scored questions: rows, the fold of each, and whether each seed is right."""

    rows: dict[Key, Row]
    folds: dict[Key, int]
    right: dict[Key, dict[int | None, bool]]
    seconds: float

    def share(self, key: Key) -> float:
        """How many of the seeds are right on a question, 0 to 1."""
        return statistics.fmean(self.right[key].values())

    @property
    def by_seed(self) -> list[float]:
        """The accuracy of each seed."""
        seeds = next(iter(self.right.values()))
        return [statistics.fmean(one[seed] for one in self.right.values()) for seed in seeds]


def answers(jobs: Sequence[Job]) -> Answers:
    """What the finished jobs of one variant predicted; its seconds are those of all its pieces."""
    made = Answers({}, {}, defaultdict(dict), _seconds(jobs))
    for job in jobs:
        rows = read_rows(job.data)
        path = job.score.folder / "predictions.jsonl"
        choices = join(path, read(path)[0], rows, job.data)
        for row in rows:
            key = (row.source, row.split, row.record)
            made.rows[key], made.folds[key] = row, job.fold
            made.right[key][job.seed] = choices[row.record] == gold(row)
    return made


def _seconds(jobs: Sequence[Job]) -> float:
    pieces = {piece.folder: piece for job in jobs for piece in (*job.trainings, job.score)}
    return sum((piece.done or {"seconds": 0.0})["seconds"] for piece in pieces.values())


def compare(loaded: Loaded, names: Sequence[str], jobs: Sequence[Job]) -> dict[str, Any]:
    """All figures as one JSON value; a variant with a job to do is missing, and so is all else
    where the base is."""
    own = {name: [job for job in jobs if job.variant == name] for name in names}
    done = {name: sum(bool(job.score.done) for job in own[name]) for name in names}
    count = loaded.experiment.folds * max(1, len(loaded.experiment.seeds))
    missing = {name: f"{done[name]} of {count} scored" for name in names if done[name] < count}
    found: dict[str, Any] = {
        "experiment": loaded.name,
        "base": loaded.experiment.base,
        "folds": loaded.experiment.folds,
        "seeds": loaded.experiment.seeds,
        "missing": missing,
        "notes": [],
        "results": {},
    }
    if BASE in missing:
        return found
    known = {name: answers(own[name]) for name in names if name not in missing}
    base = known[BASE]
    groups = [row.group for row in base.rows.values()]
    found |= {"questions": len(groups), "groups": len(set(groups))}
    found["chance"] = round(chance([*base.rows.values()]), DECIMALS)
    if few := too_few(groups):
        found["notes"].append(few)
    for name, one in known.items():
        found["results"][name] = _result(loaded, name, one)
        if name != BASE:
            found["results"][name] |= paired(one, base)
            if moved := sum(base.folds.get(key, fold) != fold for key, fold in one.folds.items()):
                found["notes"].append(
                    f"{name}: {moved} questions are in another fold than in the base"
                )
    changes = [one for name, one in found["results"].items() if name != BASE]
    for one, p in zip(changes, holm([one["mcnemar_p"] for one in changes]), strict=True):
        one["holm_p"] = round(p, DECIMALS)
        one["differs"] = bool(
            p <= LEVEL
            and one["interval95"]
            and not one["interval95"][0] <= 0 <= one["interval95"][1]
        )
    finished = [job.score.done for name in known for job in own[name]]
    found["measured"] = {
        key: sorted({one[key] for one in finished if one and one[key]})
        for key in ("machine", "date", "commit")
    }
    return found


def _result(loaded: Loaded, name: str, one: Answers) -> dict[str, Any]:
    shares = np.array([[one.share(key)] for key in one.rows])
    seeds = one.by_seed
    return {
        "change": loaded.variants[name].words,
        "accuracy": round(float(shares.mean()), DECIMALS),
        "accuracy95": rounded(intervals(shares, [row.group for row in one.rows.values()])[0]),
        "by_seed": [round(value, DECIMALS) for value in seeds],
        "spread": round(statistics.stdev(seeds), DECIMALS) if len(seeds) > 1 else None,
        "minutes": round(one.seconds / 60, 1),
    }


def paired(one: Answers, base: Answers) -> dict[str, Any]:
    """A change against the base, over the questions of both."""
    keys = [key for key in one.rows if key in base.rows]
    shares = np.array([[one.share(key), base.share(key)] for key in keys])
    gaps = shares[:, 0] - shares[:, 1]
    won, lost = int((gaps > 0).sum()), int((gaps < 0).sum())
    interval = difference_interval(shares, [one.rows[key].group for key in keys])
    return {
        "questions": len(keys),
        "difference": round(float(gaps.mean()), DECIMALS),
        "interval95": rounded(interval),
        "won": won,
        "lost": lost,
        "mcnemar_p": round(mcnemar(won, lost), DECIMALS),
    }


def difference_interval(shares: np.ndarray, groups: Sequence[str]) -> Interval | None:
    """95 % percentile interval of the first column's mean less the second's, over drawn groups.

    None where there are too few groups, and where the two are right on the same questions.
    """
    if too_few(groups) or not (shares[:, 0] != shares[:, 1]).any():
        return None
    means = resampled(shares, groups)
    low, high = np.quantile(means[:, 0] - means[:, 1], [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(low), float(high))


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p of so many questions won and lost, were both as likely: McNemar (1947)."""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number: Holm (1979), Scandinavian Journal of Statistics 6."""
    return multipletests(p, method="holm")[1].tolist() if len(p) else []


def write(found: Mapping[str, Any]) -> None:
    """Write the table as JSON, Markdown and a picture, and print it."""
    path = METRICS / "ablations" / f"{found['experiment']}.json"
    write_json(path, found)
    text = markdown(found)
    with atomic_file(path.with_suffix(".md")) as file:
        file.write(text)
    if len(found["results"]) > 1:
        with atomic_file(path.with_suffix(".svg"), binary=True) as file:
            file.write(svg(lambda: forest(found["results"])))
    print(f"\n{text}\n{path}")


def markdown(found: Mapping[str, Any]) -> str:
    """The table for a document; under it what is missing, and where it was measured."""
    several = len(found["seeds"]) > 1
    columns = ["", "changed", "accuracy", "95 %", "to the base", "95 %", "won : lost", "p", "Holm"]
    columns += ["spread of seeds"] * several + ["minutes"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    for name, one in found["results"].items():
        cells = [name, one["change"] or "–", _percent(one["accuracy"]), _ends(one["accuracy95"])]
        if name == BASE:
            cells += ["–"] * 5
        else:
            bold = "**" * one["differs"]
            cells += [f"{bold}{100 * one['difference']:+.1f}{bold}", _ends(one["interval95"], "+")]
            cells += [f"{one['won']} : {one['lost']}"]
            cells += [f"{one[key]:.2g}" for key in ("mcnemar_p", "holm_p")]
        if several:
            cells.append(f"{100 * one['spread']:.1f}")
        cells.append(f"{one['minutes']:.1f}")
        lines.append(_line(cells))
    if not found["results"]:
        lines = ["The base is not finished, so there is nothing to compare with."]
    else:
        seeds = f", seeds {', '.join(map(str, found['seeds']))}" if found["seeds"] else ""
        lines += [
            "",
            f"Base {found['base']}; {found['questions']} questions in {found['groups']} dialogues "
            f"or passages, {found['folds']} folds{seeds}; chance {_percent(found['chance'])}. "
            "Differences in points of accuracy, intervals over dialogues or passages; bold: the "
            "interval leaves 0 out, and p of McNemar's exact test, corrected by Holm, is at most "
            "0.05. Minutes are those of all its trainings and scorings, also where shared.",
        ]
        measured = "; ".join(", ".join(one) for one in found["measured"].values() if one)
        lines += ["", f"<sub>{measured}</sub>"]
    notes = [*found["notes"], *(f"missing: {k} ({v})" for k, v in found["missing"].items())]
    return "\n".join([*lines, *[""] * bool(notes), *(f"* {note}" for note in notes)]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ends(ends: Sequence[float] | None, sign: str = "") -> str:
    return " to ".join(f"{100 * end:{sign}.1f}" for end in ends) if ends else "–"


def forest(results: Mapping[str, Any]) -> Figure:
    """Differences to the base with their intervals, the first on top; in colour what differs."""
    shown = {name: one for name, one in results.items() if name != BASE}
    made = Figure(figsize=(7.0, 0.9 + 0.32 * len(shown)), layout="constrained")
    axes = made.subplots()
    for place, one in enumerate(shown.values()):
        colour = BLUE if one["differs"] else INK
        if one["interval95"]:
            axes.hlines(place, *one["interval95"], color=colour, linewidth=2, alpha=0.55)
        axes.plot(one["difference"], place, "o", color=colour, markersize=5)
    axes.axvline(0, color=ORANGE, linewidth=1, linestyle="--", zorder=0)
    axes.set_yticks(range(len(shown)), [*shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=""))
    axes.set_xlabel("points of accuracy more than the base, 95 % interval")
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return made
