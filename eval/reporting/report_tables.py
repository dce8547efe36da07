"""The report's tables, their figures drawn in the cells; every function gives HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from core.bilingual import Both
from core.drawn import Scale, drawing, grid, interval, mark, table, tinted
from eval.metrics.accuracy import wilson
from eval.reporting.breakdowns import Breakdown

FEW = 10  # items of a calibration bin; the accuracy of fewer is not to be read
SHARES = Scale(0.0, 1.0)
RUN = Both("run", "런")
CONFUSIONS = {
    "confusion_letters": Both("By the letter shown", "보인 글자별"),
    "confusion_published": Both("By published place", "원래 위치별"),
}


def accuracies(figures: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> Markup:
    """Every run, the best first; its interval is over dialogues, or else Wilson's."""
    results = figures["results"]
    lows = [(one["bootstrap95"] or one["wilson95"])[0] for one in results.values()]
    scale = Scale.of([figures["chance"], *lows], 0.1, 1.0)
    head: list[str] = [
        RUN,
        Both("accuracy, %", "정확도, %"),
        _ends_of(scale),
        Both("over dialogues", "대화 단위 구간"),
        "Wilson",
        Both("right", "맞힌 수"),
        Both("method", "방법"),
        "ECE",
        "Brier",
        "RStd",
        Both("letter mass", "글자 확률 합"),
        Both("no answer", "무응답"),
    ]
    head += [Both("earlier, %", "이전, %")] * (earlier is not None)
    rows = []
    for name, one in sorted(results.items(), key=lambda item: -item[1]["accuracy"]):
        ends = one["bootstrap95"] or one["wilson95"]
        said = f"{name}: {points(one['accuracy'])} % ({span(ends)})"
        parts = (mark(scale, figures["chance"]), interval(scale, one["accuracy"], ends))
        rows.append(
            [
                *(name, points(one["accuracy"]), drawing(said, *parts)),
                *(span(one["bootstrap95"]), span(one["wilson95"])),
                *(f"{one['correct']:,}/{one['n']:,}", one["method"]),
                *map(three, (one["ece"], one["brier"], one.get("rstd"), one["letter_mass"])),
                f"{len(one['no_answer']):,}",
                *[_since(one, earlier, name)] * (earlier is not None),
            ]
        )
    return table(head, rows)


def _since(one: Mapping[str, Any], earlier: Mapping[str, Any] | None, name: str) -> str:
    """A run's accuracy in an earlier report, and the points since."""
    known = (earlier or {}).get(name)
    if known is None:
        return "–"
    change = 100 * (one["accuracy"] - known["accuracy"])
    return f"{points(known['accuracy'])} ({change:+.1f})"


def matrix(figures: Mapping[str, Any]) -> Markup:
    """Every run less every other, in points; tinted where the two can be told apart."""
    gaps = {(one["first"], one["second"]): one for one in figures["pairs"]}
    names = list(figures["results"])

    def cell(row: str, column: str) -> str:
        one = gaps.get((row, column)) or gaps.get((column, row))
        if one is None:
            return "·"
        gap = 100 * one["difference"] * (1 if one["first"] == row else -1)
        return tinted(f"{0 + gap:+.1f}", 0.6 * one["differs"], one["verdict"])

    head = [Both("row − column, points", "행 − 열, 포인트"), *names]
    return table(head, [[row, *(cell(row, column) for column in names)] for row in names])


def comparisons(figures: Mapping[str, Any]) -> Markup:
    """A line a pair: its verdict, and what it rests on."""
    head = [
        Both("verdict", "판정"),
        Both("first − second", "첫째 − 둘째"),
        Both("95 % interval", "95 % 구간"),
        Both("only first right", "첫째만 정답"),
        Both("only second right", "둘째만 정답"),
    ]
    rows = [
        [
            one["verdict"],
            f"{100 * one['difference']:+.1f}",
            signed(one["interval95"]),
            f"{one['only_first']:,}",
            f"{one['only_second']:,}",
        ]
        for one in figures["pairs"]
    ]
    return table(head, rows)


def breakdown(figures: Mapping[str, Any], by: Breakdown) -> Markup:
    """Each value's accuracy by run with Wilson's interval; a mark at the run's over all."""
    results = figures["results"]
    first = next(iter(results.values()))[by.name]
    lows = [part["wilson95"][0] for one in results.values() for part in one[by.name].values()]
    scale = Scale.of(lows, 0.1, 1.0)
    rows = []
    for value in by.order:
        cells = []
        for name, one in results.items():
            part = one[by.name][value]
            said = f"{name}, {value}: {part['correct']}/{part['n']}, {span(part['wilson95'])} %"
            drawn = interval(scale, part["accuracy"], part["wilson95"])
            cells.append(
                _figure(points(part["accuracy"]))
                + drawing(said, mark(scale, one["accuracy"]), drawn)
            )
        rows.append([value, f"{first[value]['n']:,}", *cells])
    ends = Markup('<p class="scale">{}</p>').format(_ends_of(scale))
    return table([by.title, Both("items", "문항"), *results], rows) + ends


def calibration(figures: Mapping[str, Any]) -> Markup:
    """Accuracy by the probability of the option chosen; a mark at the mean of that probability."""
    results = {name: one for name, one in figures["results"].items() if one["calibration"]}
    bins = {name: {one["low"]: one for one in of["calibration"]} for name, of in results.items()}
    lows = sorted({low for of in bins.values() for low in of})
    rows = []
    for low in lows:
        cells = [_bin(name, of.get(low)) for name, of in bins.items()]
        rows.append([f"{low:.1f}–{low + 0.1:.1f}", *cells])
    return table([Both("probability", "확률"), *results], rows) if results else Markup()


def _bin(name: str, one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    n, share, sure = one["n"], one["accuracy"], one["confidence"]
    said = f"{name}: {points(share)} % right of {n:,}, {points(sure)} % sure"
    ends = wilson(round(share * n), n)
    drawn = drawing(
        said, mark(SHARES, sure), interval(SHARES, share, ends, "few" if n < FEW else "")
    )
    if n < FEW:
        few = Both(f"{n}: too few", f"{n}개: 너무 적음")
        return Markup('<span class="few">{}</span>').format(few) + drawn
    return _figure(f"{points(share)}") + drawn + Markup('<span class="n">{:,}</span>').format(n)


def confusions(figures: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """By letter where options have one, and by published place where that differs."""
    results = figures["results"]
    counts = {
        key: [[[*row.values()] for row in one.get(key, {}).values()] for one in results.values()]
        for key in CONFUSIONS
    }
    found = []
    for key, title in CONFUSIONS.items():
        if key == "confusion_published" and len({str(one) for one in counts.values()}) == 1:
            continue
        grids = [_confusion(name, one[key]) for name, one in results.items() if key in one]
        if grids:
            found.append((title, Markup("\n").join(grids)))
    return found


def _confusion(run: str, counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """A run's; "none", no answer, only where there is any."""
    names = list(counts)
    none = any(row["none"] for row in counts.values())
    columns = [*names, *["none"] * none]
    rows = []
    for row in names:
        total = max(1, sum(counts[row].values()))
        rows.append(
            [
                tinted(
                    f"{counts[row][column]:,}",
                    counts[row][column] / total,
                    f"{run}: {row} → {column}, {counts[row][column] / total:.1%}",
                )
                for column in columns
            ]
        )
    return grid(run, names, columns, rows)


def points(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.1f}"


def span(ends: Sequence[float] | None) -> str:
    """An interval in percent."""
    return f"{points(ends[0])}–{points(ends[1])}" if ends else "–"


def signed(ends: Sequence[float] | None) -> str:
    """An interval of a difference, in points."""
    return f"{100 * ends[0]:+.1f} – {100 * ends[1]:+.1f}" if ends else "–"


def three(value: float | None) -> str:
    """A figure with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def _figure(text: str) -> Markup:
    return Markup('<span class="figure">{}</span>').format(text)


def _ends_of(scale: Scale) -> Both:
    """What a drawing reaches from and to."""
    ends = f"{100 * scale.low:.0f}–{100 * scale.high:.0f} %"
    return Both(f"drawn: {ends}", f"그림 범위: {ends}")
