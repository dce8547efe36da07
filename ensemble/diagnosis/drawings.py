"""What is drawn of a diagnosis: a cell for each line of a table, and maps of every two members."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from core.bilingual import Both
from core.drawn import Scale, bar, drawing, grid, interval, mark, tinted
from ensemble.diagnosis.diagnosis import Diagnosis, MemberResult
from eval.metrics.accuracy import wilson
from eval.metrics.significance import Difference

NAMED = 40  # members of a map; the cells of more could not be told apart
WRITTEN = 12  # members up to which a map says its figures
KINDS = {"helps": "", "may help": "soft", "only noise": "orange", "harms": "orange"}
SHARES = Scale(0.0, 1.0)


def accuracies(found: Diagnosis) -> list[Markup]:
    """Each member's accuracy with its interval, and the vote's; a mark at the vote's."""
    scores = {one.name: one.score for one in found.members} | {"hard vote": found.score}
    ends = [wilson(score.correct, score.n) for score in scores.values()]
    scale = Scale.of([low for low, _ in ends], 0.1, 1.0)
    return [
        drawing(
            f"{name}: {score.accuracy:.1%} ({low:.1%}–{high:.1%})",
            mark(scale, found.score.accuracy),
            interval(scale, score.accuracy, (low, high)),
        )
        for (name, score), (low, high) in zip(scores.items(), ends, strict=True)
    ]


def gains(found: Diagnosis, members: Sequence[MemberResult]) -> list[Markup]:
    """What the vote has over each of the members, with its interval; a mark at 0."""
    return _changes(members, [one.gain for one in members], ["" for _ in members])


def left_out(found: Diagnosis, members: Sequence[MemberResult]) -> list[Markup]:
    """The change of the vote's accuracy without each of the members; a mark at 0."""
    return _changes(members, [one.without for one in members], [KINDS[m.verdict] for m in members])


def _changes(
    members: Sequence[MemberResult], changes: Sequence[Difference], kinds: Sequence[str]
) -> list[Markup]:
    reached = [end for one in changes for end in (one.value, *(one.interval or ()), 0.0)]
    scale = Scale.of(reached, 0.01)
    return [
        drawing(
            f"{member.name}: {100 * one.value:+.2f}",
            mark(scale, 0.0, "firm"),
            interval(scale, one.value, one.interval, kind),
        )
        for member, one, kind in zip(members, changes, kinds, strict=True)
    ]


def bounds(found: Diagnosis) -> list[Markup]:
    """A bar for each condition, green for the vote; a mark at the best member."""
    best, n = found.best.score.accuracy, len(found.labelled.rows)
    return [
        drawing(
            f"{count / n:.1%}",
            bar(SHARES, 0.0, count / n, "green" if name == "vote" else ""),
            mark(SHARES, best),
        )
        for name, count in found.ladder.items()
    ]


def wrong_together(found: Diagnosis) -> list[Markup]:
    """A bar of the items for each number of members; a mark where independent ones would be."""
    scale = Scale(0.0, max(1.0, *found.wrong, *found.wrong_if_independent))
    return [
        drawing(f"{count:,}, {expected:,.1f}", bar(scale, 0.0, count), mark(scale, expected))
        for count, expected in zip(found.wrong, found.wrong_if_independent, strict=True)
    ]


def flips(found: Diagnosis) -> list[Markup]:
    """By category: items that the vote won over the best member to the right, lost to the left."""
    changes = found.categories.values()
    most = max(1, *(max(one.gained, one.lost) for one in changes))
    scale = Scale(-most, most)
    return [
        drawing(
            f"+{one.gained:,}, -{one.lost:,}",
            bar(scale, 0.0, one.gained) if one.gained else Markup(),
            bar(scale, -one.lost, 0.0, "orange") if one.lost else Markup(),
            mark(scale, 0.0, "firm"),
        )
        for one in changes
    ]


def answers_alike(found: Diagnosis) -> Markup:
    """Agreement and kappa of every two members, tinted from 0 to 1."""
    names = {"agreement": Both("agreement", "일치"), "kappa": Both("Cohen's kappa", "코헨 카파")}
    return _maps(found, names, dict.fromkeys(names, 1.0))


def errors_alike(found: Diagnosis) -> Markup:
    """Double fault, tinted up to the most that a member has wrong, and Q, from -1 to 1."""
    names = {
        "double_fault": Both("double fault: both wrong", "둘 다 틀림"),
        "q": Both("Q: errors associated", "Q: 오답의 연관"),
    }
    most = float(1 - found.accuracies.min())
    return _maps(found, names, {"double_fault": most or 1.0, "q": 1.0})


def _maps(found: Diagnosis, names: dict[str, Both], full: dict[str, float]) -> Markup:
    """Maps of every two members, numbered as in the first table; `full` is the deepest tint."""
    members = found.members
    if len(members) > NAMED:
        return Markup("<p>{}</p>").format(
            Both(
                f"No map: {len(members)} members are more than {NAMED}; --json has every pair.",
                f"지도 생략: 멤버 {len(members)}개는 {NAMED}개를 넘음. --json에 모든 쌍이 있음.",
            )
        )
    numbers = [str(place) for place in range(1, len(members) + 1)]

    def cell(measure: str, line: int, column: int) -> str:
        value = found.pairs[measure][line, column]
        if line == column or np.isnan(value):
            return ""
        said = f"{members[line].name}, {members[column].name}: {value:.3f}"
        text = f"{value:.2f}" if len(members) <= WRITTEN else ""
        return tinted(text, abs(value) / full[measure], said, "other" if value < 0 else "")

    grids = [
        grid(
            title,
            numbers,
            numbers,
            [[cell(measure, k, j) for j in range(len(members))] for k in range(len(members))],
        )
        for measure, title in names.items()
    ]
    return Markup('<div class="grids">{}</div>').format(Markup("\n").join(grids))
