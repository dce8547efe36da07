"""What the plots count: a line a question, a line a measured value, and the words of the texts."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import pandas as pd

from core.morphemes import kiwi
from core.records import LABELS, Question, Split

SPLITS: tuple[str, ...] = get_args(Split)
KEY = ["split", "version"]


def said(question: Question) -> list[str]:
    """The utterances of a dialogue, or the passage; an item without passage is its question."""
    if question.turns:
        return [turn.text for turn in question.turns]
    return [text for text in (question.passage or question.question,) if text]


# what is measured of a question, in characters, words or pieces; nothing where it has no such part
MEASURES: dict[str, Callable[[Question], list[int]]] = {
    "turns": lambda q: [len(q.turns)] if q.turns else [],
    "references": lambda q: [len(q.focus)] if q.turns else [],
    "characters": lambda q: [sum(map(len, said(q)))],
    "words": lambda q: [sum(len(text.split()) for text in said(q))],
    "question characters": lambda q: [len(q.question)] if q.question else [],
    "note characters": lambda q: [len(q.note)] if q.note else [],
    "options": lambda q: [len(q.options)],
    "option characters": lambda q: [len(option) for option in q.options],
}


@dataclass(frozen=True)
class Facts:
    """`items` (version, split, id, group, category, answer) and `values` (…, measure, value)."""

    items: pd.DataFrame
    values: pd.DataFrame

    @classmethod
    def of(cls, versions: Mapping[str, Sequence[Question]]) -> "Facts":
        """Count the questions of each version ("raw", "cleaned"), by split and then id."""
        ordered = [
            (version, question)
            for version, questions in versions.items()
            for question in sorted(questions, key=lambda q: (SPLITS.index(q.split), q.id))
        ]
        items = [
            {
                "version": version,
                "split": question.split,
                "id": question.id,
                "group": question.group,
                "category": question.category,
                "answer": None if question.answer is None else LABELS[question.answer],
            }
            for version, question in ordered
        ]
        values = [
            {"version": version, "split": question.split, "measure": measure, "value": value}
            for measure, values_of in MEASURES.items()
            for version, question in ordered
            for value in values_of(question)
        ]
        return cls(pd.DataFrame(items), pd.DataFrame(values))

    def overview(self) -> list[dict[str, Any]]:
        """Questions, dialogues or passages, and published answers of every split and version."""
        found = self.items.groupby(KEY, sort=False).agg(
            questions=("id", "count"), groups=("group", "nunique"), answers=("answer", "count")
        )
        return found.reset_index().to_dict("records")

    def figures(self) -> list[dict[str, Any]]:
        """n, mean, min and max of every measure, split and version."""
        found = self.values.groupby(["measure", *KEY], sort=False)["value"]
        table = found.agg(n="count", mean="mean", min="min", max="max").round(2)
        return table.reset_index().to_dict("records")


CONTENT = ("NNG", "NNP", "XR", "VV", "VA")  # nouns, names, roots, verbs, adjectives (Sejong tags)


def content_words(texts: Sequence[str]) -> list[list[str]]:
    """The content words of each text; 갔어요 is 가다."""
    return [
        [token.lemma for token in tokens if token.tag.partition("-")[0] in CONTENT]
        for tokens in kiwi().tokenize(texts)
    ]


def word_counts(versions: Mapping[str, Sequence[Question]]) -> dict[tuple[str, str], pd.Series]:
    """How often each word stands in the texts of a (split, version), the most frequent first.

    Questions that share a dialogue or passage count it once; equals stand in alphabetical order.
    """
    texts: dict[tuple[str, str], list[str]] = {}
    for version, questions in versions.items():
        once = {(q.split, q.group): q for q in sorted(questions, key=lambda q: q.id, reverse=True)}
        for split in SPLITS:
            texts[split, version] = [
                text for (part, _), q in once.items() if part == split for text in said(q)
            ]
    distinct = sorted({text for part in texts.values() for text in part})
    words = dict(zip(distinct, content_words(distinct), strict=True))
    result = {}
    for key, part in texts.items():
        counts = Counter(word for text in part for word in words[text])
        if counts:
            ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            result[key] = pd.Series(dict(ranked))
    return result
