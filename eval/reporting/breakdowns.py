"""What accuracies are broken down by: category, references, length, position and the like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.bilingual import Both
from core.records import Question, Row
from eval.metrics.accuracy import Accuracy
from eval.options import gold


@dataclass(frozen=True)
class Breakdown:
    """A way to part the rows: `values` has one for each row, `order` those there are."""

    name: str
    title: Both
    caption: Both
    values: list[str]
    order: list[str]

    def tallies(self, right: Sequence[bool]) -> dict[str, Accuracy]:
        """How many of each value's rows are right."""
        parts: dict[str, list[bool]] = {value: [] for value in self.order}
        for value, one in zip(self.values, right, strict=True):
            parts[value].append(one)
        return {value: Accuracy(sum(part), len(part)) for value, part in parts.items()}


def breakdowns(rows: Sequence[Row], questions: Mapping[str, Question]) -> list[Breakdown]:
    """Categories, and every other property in which the rows differ; all rows have an answer.

    References need the questions: they are shown only where every row has one.
    """
    found = [
        _breakdown(
            "categories",
            Both("Category", "유형"),
            Both(
                "What is asked for: the inference type, or the subject.",
                "무엇을 묻는지: 추론 유형이나 과목.",
            ),
            [row.category or "-" for row in rows],
        ),
        _breakdown(
            "references",
            Both("Reference utterances", "참조 발화"),
            Both(
                "How many utterances of the dialogue the question refers to.",
                "질문이 가리키는 발화의 수.",
            ),
            [len(questions[row.record].focus) for row in rows if row.record in questions],
        ),
        lengths(rows),
        _breakdown(
            "positions",
            Both("Position of the right answer", "정답의 글자"),
            Both(
                "The letter that showed the right option: each letter's recall.",
                "정답 선택지가 보인 글자: 글자별 재현율.",
            ),
            [row.answer or "" for row in rows],
        ),
        _breakdown(
            "published",
            Both("Published place of the right answer", "정답의 원래 위치"),
            Both(
                "Where the right option stands in the published order, from 1.",
                "원래 순서에서 정답이 있는 자리, 1부터.",
            ),
            [(gold(row) or 0) + 1 for row in rows],
        ),
        _breakdown(
            "options",
            Both("Number of options", "선택지 수"),
            Both(
                "How many options the question has; the more, the lower the chance level.",
                "문항의 선택지 수. 많을수록 무작위 추측의 정확도가 낮음.",
            ),
            [len(row.labels or []) for row in rows],
        ),
        _breakdown(
            "splits",
            Both("Split", "스플릿"),
            Both("The corpus's own parts.", "말뭉치 자체의 구분."),
            [row.split for row in rows],
        ),
        _breakdown(
            "sources",
            Both("Source", "출처"),
            Both("Where the rows come from.", "행이 나온 말뭉치."),
            [row.source for row in rows],
        ),
    ]
    return [
        one
        for one in found
        if len(one.values) == len(rows)
        and (len(one.order) > 1 or one.name == "categories")
        and (one.name != "published" or reordered(rows))
    ]


def reordered(rows: Sequence[Row]) -> bool:
    """Whether a row shows its options in another order than the published one."""
    return any(row.order != sorted(row.order or []) for row in rows)


def _breakdown(name: str, title: Both, caption: Both, values: Sequence[str | int]) -> Breakdown:
    """Numbers in ascending order; names as they first appear, but letters by the alphabet."""
    distinct = list(dict.fromkeys(values))
    if name != "categories":
        distinct.sort()
    return Breakdown(name, title, caption, [str(value) for value in values], [*map(str, distinct)])


def lengths(rows: Sequence[Row]) -> Breakdown:
    """Quartiles of the characters of the prompts, named by their least and their greatest."""
    sizes = [
        sum(len(one.content) for one in row.messages if one.role != "assistant") for row in rows
    ]
    borders = np.quantile(sizes, [0.25, 0.5, 0.75])
    places = np.searchsorted(borders, sizes)  # a border belongs to the quartile below it
    names = {}
    for place in sorted(set(places)):
        part = [size for size, at in zip(sizes, places, strict=True) if at == place]
        names[place] = f"{min(part):,}–{max(part):,}"
    caption = Both("Quartiles of the characters of the prompt.", "프롬프트 글자 수의 사분위.")
    values = [names[place] for place in places]
    return Breakdown("lengths", Both("Length", "길이"), caption, values, list(names.values()))
