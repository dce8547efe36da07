"""A diagnosis in sentences, the same for terminal and page, and how its figures are written."""

from collections.abc import Iterator, Sequence

from core.bilingual import Both
from core.particles import attach
from ensemble.diagnosis.diagnosis import Diagnosis
from eval.metrics.accuracy import Accuracy, wilson
from eval.metrics.significance import Difference, verdict

VOTE, BEST = Both("the vote", "투표"), Both("the best member", "최고 멤버")
SELECTION = Both(
    "Choosing members by this, on the items reported on, is selection: it flatters the vote of "
    "those chosen, so judge them on other items.",
    "보고하는 문항으로 멤버를 고르면 고른 투표가 실제보다 좋아 보이므로, 다른 문항으로 판단할 것.",
)


def headline(found: Diagnosis) -> Both:
    """Whether the vote is better than its best member."""
    best, n = found.best, len(found.labelled.rows)
    name = Both(f"its best member {best.name}", f"최고 멤버 {best.name}")
    said = verdict(found.gain, VOTE, name, n)
    shares = f"{found.score.accuracy:.1%}", f"{best.score.accuracy:.1%}"
    return Both(
        f"{said[0].upper()}{said[1:]}: vote {shares[0]}, {best.name} {shares[1]}",
        f"{said.ko}: 투표 {shares[0]}, {best.name} {shares[1]}",
    )


def sentences(found: Diagnosis) -> Iterator[Both]:
    """What a person needs to know first."""
    n, groups = len(found.labelled.rows), len({row.group for row in found.labelled.rows})
    yield Both(
        f"The hard vote of {len(found.members)} members has {_score(found.score)}: {n:,} items of "
        f"{groups:,} dialogues or passages.",
        f"멤버 {len(found.members)}개의 하드 투표는 {_score_ko(found.score)}. "
        f"문항 {n:,}개, 대화나 지문 {groups:,}개.",
    )
    if found.too_few:
        yield Both(
            f"{found.too_few}. What follows is said of these items alone.",
            f"{found.too_few.ko}. 아래는 이 문항들에 한한 것임.",
        )
    yield _gain(found, n)
    majority = found.ladder["majority"] / n
    faults = found.double_faults
    yield Both(
        f"More than half of the members are right on {majority:.1%} of the items; were their "
        f"errors independent, it would be {found.majority_if_independent:.1%}. Two members are "
        f"both wrong on {faults[0]:.1%} on average; independent ones would be on {faults[1]:.1%}.",
        f"멤버의 과반이 맞힌 문항은 {majority:.1%}이고, 오답이 독립이라면 "
        f"{found.majority_if_independent:.1%}였을 것임. 두 멤버가 함께 틀린 문항은 평균 "
        f"{faults[0]:.1%}이고, 독립이라면 {faults[1]:.1%}였을 것임.",
    )
    yield _noise(found)
    if found.tied:
        yield Both(
            f"{found.tied:,} items tie; the vote's rule for ties decides them.",
            f"{found.tied:,}문항이 동률이며, 투표의 동률 규칙으로 정함.",
        )
    silent = [f"{m.name} ({len(m.abstained):,})" for m in found.members if m.abstained]
    if silent:
        yield Both(
            f"No readable answer from {listed(silent)}: it counts as wrong, and casts no vote.",
            f"읽을 수 있는 답이 없는 멤버: {listed(silent).ko}. 틀린 것으로 세고 표를 주지 않음.",
        )


def _gain(found: Diagnosis, n: int) -> Both:
    best, gained, lost = found.best, len(found.gained), len(found.lost)
    known = found.gain.interval is not None
    ends = interval(found.gain)
    said = verdict(found.gain, VOTE, BEST, n)
    return Both(
        f"The best member, {best.name}, has {_score(best.score)}. The vote's gain over it is "
        f"{points(found.gain.value)}{f' (95 % interval over dialogues {ends})' * known}; it "
        f"wins {gained:,} items and loses {lost:,}: {said}. That member was found best on "
        "these same items, which flatters it.",
        f"최고 멤버 {attach(best.name, '은')} {_score_ko(best.score)}. 투표의 이득은 "
        f"{points(found.gain.value).ko}{f'(대화 단위 95 % 구간 {ends})' * known}, 얻은 문항 "
        f"{gained:,}개, 잃은 문항 {lost:,}개: {said.ko}. 이 멤버는 같은 문항에서 골랐으므로 "
        "실제보다 좋아 보임.",
    )


def _noise(found: Diagnosis) -> Both:
    noise = [m.name for m in found.members if m.without.value >= 0]
    harmful = [m.name for m in found.members if m.verdict == "harms"]
    if not noise:
        return Both(
            f"The vote is lower without any single one of its members. {SELECTION}",
            f"어느 멤버를 빼도 투표가 낮아짐. {SELECTION.ko}",
        )
    names, bad = listed(noise), listed(harmful)
    harm = f", and {bad} harms the vote" if harmful else ""
    harm_ko = f" {attach(bad.ko, '은')} 투표를 해침." if harmful else ""
    return Both(
        f"The vote is not lower without {names}: each of them, taken alone, adds only "
        f"noise on these items{harm}. {SELECTION}",
        f"{attach(names.ko, '을')} 하나씩 빼도 투표가 낮아지지 않음: 이 문항들에서 각각은 잡음만 "
        f"더함.{harm_ko} {SELECTION.ko}",
    )


def scores(score: Accuracy) -> list[str]:
    """Right of all, the share and its interval."""
    low, high = wilson(score.correct, score.n)
    return [f"{score.correct:,}/{score.n:,}", f"{score.accuracy:.1%}", f"{low:.1%}–{high:.1%}"]


def _score(score: Accuracy) -> str:
    right, share, ends = scores(score)
    return f"{right} right, {share} ({ends})"


def _score_ko(score: Accuracy) -> str:
    right, share, ends = scores(score)
    return f"{right} 정답, {share} ({ends})"


def points(share: float) -> Both:
    """A difference in points."""
    said = f"{100 * share:+.2f}" if share else "0"
    return Both(f"{said} points", f"{said}포인트")


def interval(change: Difference) -> str:
    """Its ends in points; none where there are too few dialogues or no item differs."""
    if change.interval is None:
        return "–"
    low, high = change.interval
    return f"{100 * low:+.2f} to {100 * high:+.2f}"


def listed(names: Sequence[str], most: int = 10) -> Both:
    """Names, of which at most so many are said."""
    said, more = ", ".join(names[:most]), len(names) - most
    return Both(
        f"{said} and {more:,} more" if more > 0 else said,
        f"{said} 외 {more:,}개" if more > 0 else said,
    )
