"""The sentence that a report begins with: which run is best, and which it can be told from."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.bilingual import Both
from core.particles import attach

NAMED = 4  # runs of a list that are named


def headline(figures: Mapping[str, Any]) -> Both:
    """Of the figures of a report; of runs that are equally good, the one named first is best."""
    results = figures["results"]
    best = max(results, key=lambda name: results[name]["accuracy"])
    one = results[best]
    score = f"{one['accuracy']:.1%}"
    said = Both(
        f"{best} is right on {score} of {one['n']:,} items",
        f"{attach(best, '은')} {one['n']:,}문항 중 {score}를 맞힘",
    )
    if figures["too_few"]:
        return Both(
            f"{said}; too few dialogues or passages for a verdict",
            f"{said.ko}. 대화나 지문이 너무 적어 판정하지 않음",
        )
    if len(results) == 1:
        return _to_guessing(said, one["wilson95"][0] > figures["chance"], figures["chance"])
    worse, close = _others(figures["pairs"], best)
    parts = [(f"better than {_listed(worse)}", f"{_listed_ko(worse)}보다 나음")] * bool(worse)
    parts += [
        (
            f"not distinguishable from {_listed(close)}",
            f"{attach(_listed_ko(close), '과')} 구별되지 않음",
        )
    ] * bool(close)
    return Both(
        f"{said}: {', '.join(en for en, _ in parts)}",
        f"{said.ko}. {', '.join(ko for _, ko in parts)}",
    )


def _to_guessing(said: Both, better: bool, chance: float) -> Both:
    if better:
        return Both(
            f"{said}: better than guessing ({chance:.1%})",
            f"{said.ko}. 무작위 추측({chance:.1%})보다 나음",
        )
    return Both(
        f"{said}: not distinguishable from guessing ({chance:.1%})",
        f"{said.ko}. 무작위 추측({chance:.1%})과 구별되지 않음",
    )


def _others(pairs: Sequence[Mapping[str, Any]], best: str) -> tuple[list[str], list[str]]:
    """The runs that the best one differs from, and those it does not."""
    worse, close = [], []
    for pair in pairs:
        if best in (pair["first"], pair["second"]):
            other = pair["second"] if pair["first"] == best else pair["first"]
            (worse if pair["differs"] else close).append(other)
    return worse, close


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _listed_ko(names: Sequence[str]) -> str:
    more = f" 외 {len(names) - NAMED}개" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
