"""How near a text comes to those that are right: exact match, character F1, ROUGE on morphemes.

Each measure is 0 to 1, of several right texts the best. A text in which no answer can be read
scores 0 everywhere, and is counted by its reason.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from core.morphemes import morphemes
from core.text import compared, nfc

ROUGE = ("rouge1", "rouge2", "rougeL")
MEASURES = ("exact", "f1", *ROUGE, "format")
Unread = Literal["missing", "empty", "cut-off", "wrong-form"]


class _Morphemes:
    """What ROUGE counts, in Lin's words (2004): here morphemes, as Korean's words are compounds."""

    def tokenize(self, text: str) -> list[str]:
        [found] = morphemes([text])
        return found


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # it imports nltk, pandas and scikit-learn

    return RougeScorer([*ROUGE], tokenizer=_Morphemes())


def unread(text: str | None, ended: bool, form: re.Pattern[str] | None) -> Unread | None:
    """Why no answer can be read in a text, or None where one can: what must match `form` whole."""
    if text is None:
        return "missing"
    if not ended:
        return "cut-off"
    if not nfc(text):
        return "empty"
    return "wrong-form" if form and not form.fullmatch(text.strip()) else None


def exact(text: str, right: str) -> float:
    """1 where both are the same but for case, spaces, marks and invisible characters, else 0."""
    return float(compared(text) == compared(right))


def character_f1(text: str, right: str) -> float:
    """F1 of the characters that two texts have in common, however often each, in any order.

    The measure of KorQuAD (Lim et al. 2019, arXiv:1909.07005) over `core.text.compared`.
    """
    said, wanted = (Counter(compared(one)) for one in (text, right))
    shared = (said & wanted).total()
    return 2 * shared / (said.total() + wanted.total()) if shared else 0.0


def rouge(text: str, right: str) -> list[float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L over morphemes."""
    found = _scorer().score(right, text)
    return [float(found[name].fmeasure) for name in ROUGE]


def measured(text: str, references: Sequence[str]) -> list[float]:
    """`MEASURES` of a text that can be read; `references` has one text at least."""
    each = [
        [exact(text, right), character_f1(text, right), *rouge(text, right)] for right in references
    ]
    return [*map(max, zip(*each, strict=True)), 1.0]
