"""Korean text as morphemes, by Kiwi: what texts are searched for and answers compared by."""

import os
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kiwipiepy import Kiwi, Token

# nouns, numerals, pronouns, names, roots, verbs, adjectives, adverbs; foreign words, Chinese
# characters and numbers (Sejong tags). Particles, endings and marks say nothing of a subject.
SUBJECT = frozenset("NNG NNP NNB NR NP XR VV VA MAG SL SH SN".split())


@cache
def kiwi() -> "Kiwi":
    """The analyser, on all cores; its model is loaded once."""
    from kiwipiepy import Kiwi  # half a second to import

    return Kiwi(num_workers=len(os.sched_getaffinity(0)))


def subject_words(tokens: "Sequence[Token]") -> list[str]:
    """The words of a text that say what it is about, in their order; 갔어요 is 가다."""
    return [t.lemma.lower() for t in tokens if t.tag.partition("-")[0] in SUBJECT]


def morphemes(texts: Iterable[str]) -> list[list[str]]:
    """Every morpheme of each text but marks, in its order: what ROUGE counts of Korean."""
    return [
        [t.form.lower() for t in tokens if t.tag in SUBJECT or not t.tag.startswith(("S", "W"))]
        for tokens in kiwi().tokenize(list(texts))
    ]
