"""The content words of dialogues and passages: morphemes by Kiwi, verbs by their base form."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

import pandas as pd
from kiwipiepy import Kiwi

from prep.plots.facts import SPLITS, said
from prep.records import Question

CONTENT = ("NNG", "NNP", "XR", "VV", "VA")  # nouns, names, roots, verbs, adjectives (Sejong tags)


@cache
def _kiwi() -> Kiwi:
    return Kiwi(num_workers=1)


def content_words(texts: Sequence[str]) -> list[list[str]]:
    """The content words of each text; 갔어요 is 가다."""
    return [
        [token.lemma for token in tokens if token.tag.partition("-")[0] in CONTENT]
        for tokens in _kiwi().tokenize(texts)
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
