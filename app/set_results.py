"""The runs of a set of predictions: who is how good, where two differ, what most of them miss."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from app.project import Project
from core.bilingual import Both
from core.errors import UserError
from core.layout import PREDICTIONS, vote_of
from core.records import Row
from eval import predictions
from eval.metrics.accuracy import Accuracy, wilson
from eval.metrics.significance import Difference, Interval, differences, intervals, verdict
from eval.reporting.runs import ItemView, ScoredRows, items, load, questions_of

Kind = Literal["missed", "most", "flips", "differ"]


@dataclass(frozen=True)
class RunLine:
    """A run in the table: `interval` is over dialogues where there are enough, else over items."""

    name: str
    model: str
    score: Accuracy
    interval: Interval
    categories: dict[str, Accuracy]
    mass: float | None
    unanswered: int


@dataclass(frozen=True)
class SetResults:
    """The runs of a set that can be compared; `refused` says, a sentence each, what is not shown.

    `data` is the file that was scored.
    """

    data: Path
    scored: ScoredRows
    items: list[ItemView]
    refused: list[str]

    @property
    def names(self) -> list[str]:
        """The runs, the best first."""
        return [line.name for line in self.lines]

    @cached_property
    def lines(self) -> list[RunLine]:
        """The table of runs, the best first."""
        groups = [row.group for row in self.scored.rows]
        right = np.column_stack([self.scored.right(run) for run in self.scored.runs])
        lines = []
        for run, found in zip(self.scored.runs, intervals(right, groups), strict=True):
            score, mass = run.result.all, run.meta.letter_mass
            lines.append(
                RunLine(
                    run.name,
                    str((run.meta.model_extra or {}).get("model") or ""),
                    score,
                    found or Interval(*wilson(score.correct, score.n)),
                    run.result.categories,
                    mass and mass.mean,
                    run.result.failures,
                )
            )
        return sorted(lines, key=lambda line: (-line.score.correct, line.name))

    @property
    def categories(self) -> list[str]:
        """The categories of the rows."""
        return list(self.scored.runs[0].result.categories)

    def place(self, name: str) -> int:
        """Which of an item's answers are those of a run; raises `UserError` for no run."""
        names = [run.name for run in self.scored.runs]
        if name not in names:
            raise UserError(
                Both(
                    f"no run {name or '(none)'}; choose one of {', '.join(names)}",
                    f"런 {name or '(없음)'}: 없는 이름입니다. {', '.join(names)} 가운데 고르세요",
                )
            )
        return names.index(name)

    def verdict(self, first: str, second: str) -> Both:
        """Whether two of the runs differ, in a sentence: that of a report on all of them."""
        a, b = self.place(first), self.place(second)
        found = self._differences[min(a, b), max(a, b)]
        one, other = (first, second) if a < b else (second, first)
        return verdict(found, one, other, len(self.scored.rows))

    @cached_property
    def _differences(self) -> dict[tuple[int, int], Difference]:
        """Every two runs compared, all comparisons judged at once, as eval/report.py does."""
        right = np.column_stack([self.scored.right(run) for run in self.scored.runs])
        pairs = list(combinations(range(len(self.scored.runs)), 2))
        groups = [row.group for row in self.scored.rows]
        return dict(zip(pairs, differences(right, groups, pairs), strict=True))

    def listed(self, kind: Kind, first: str, second: str, category: str = "") -> list[ItemView]:
        """Items by kind, those that most runs miss first.

        `missed`: by the first. `most`: by one run at least. `flips`: one of the two is right.
        `differ`: the two chose different options; of a vote and a member, the answers it changed.
        """
        a, b = self.place(first), self.place(second)
        keeps: dict[Kind, Callable[[ItemView], bool]] = {
            "missed": lambda one: not one.answers[a].right,
            "most": lambda one: bool(one.wrong),
            "flips": lambda one: one.answers[a].right != one.answers[b].right,
            "differ": lambda one: one.answers[a].choice != one.answers[b].choice,
        }
        found = [one for one in self.items if keeps[kind](one)]
        return [one for one in found if category in ("", one.row.category)]

    def item(self, record: str) -> ItemView:
        """An item by its record's id; raises `UserError` for none."""
        found = next((one for one in self.items if one.row.record == record), None)
        if found is None:
            raise UserError(
                Both(
                    f"{self.data}: no question {record}; load the page again",
                    f"{self.data}: 문항 {record}: 없는 ID입니다. 화면을 새로 고치세요",
                )
            )
        return found

    def model(self, name: str) -> str:
        """The model that made a run's predictions, or "" where the sidecar names none."""
        return next((line.model for line in self.lines if line.name == name), "")


def read(project: Project, name: str) -> SetResults:
    """The results of a set; raises `UserError` where nothing of it can be shown."""
    folder = project.child(PREDICTIONS, name)
    paths = [project.inside(path) for path in sorted(folder.glob("*.jsonl"))]
    vote = project.inside(vote_of(name))
    if not paths:
        raise UserError(
            Both(
                f"{folder}: holds no predictions; score a model by `python eval/score.py` into it",
                f"{folder}: 예측이 없습니다. `python eval/score.py` 명령으로 여기에 채점하세요",
            )
        )
    paths += [vote] if vote.is_file() else []
    files = [file for path in paths for file in (path, path.with_suffix(".meta.json"))]
    state = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
    return _read(project, tuple(paths), state)


@lru_cache(maxsize=2)
def _read(project: Project, paths: tuple[Path, ...], _state: tuple[int, ...]) -> SetResults:
    metas, refused = {}, []
    for path in paths:
        try:
            metas[path] = predictions.read(path)[1]
        except UserError as error:
            refused.append(error.args[0])
    if not metas:
        raise UserError(refused[0])
    data = project.inside(Path(next(iter(metas.values())).data.path))
    scored = None
    good: list[Path] = []
    for path in metas:  # one that fits no others must not hide them
        try:
            scored = load([*good, path], data)
            good.append(path)
        except UserError as error:
            refused.append(error.args[0])
    if scored is None:
        raise UserError(refused[0])
    scored = load(good, data)
    return SetResults(data, scored, items(scored, _questions(scored.rows, data)), refused)


def _questions(rows: list[Row], data: Path) -> dict:
    file = data.with_name("questions.jsonl")
    return questions_of(rows, file) if file.is_file() else {}


def answers(item: ItemView) -> Iterator[tuple[str, str, bool, list[float] | None]]:
    """What each run says of an item: its name, the label it chose, whether right, probabilities.

    Labels are those that the row showed; "–" stands for no answer.
    """
    labels = {k: label for k, label, _ in item.options}
    for one in item.answers:
        chosen = "–" if one.choice is None else labels[one.choice]
        yield one.run.name, chosen, one.right, one.probabilities
