"""Documents that hold a scored question with its options: they are no evidence for anyone."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import unescape
from unicodedata import normalize

from core.records import Question
from prep.dedup.ngrams import kept_characters

WINDOW = 8  # letters and digits on end by which a part of a question is looked for
TAG = re.compile(
    r"""</?[a-z][a-z0-9]*(?:\s+[\w-]+=(?:"[^"<>]*"|'[^'<>]*'))*\s*/?>""", re.IGNORECASE
)  # of HTML


def holding(texts: Iterable[tuple[str, str]], scored: Sequence[Question]) -> dict[str, str]:
    """Of documents, each an id and a text, those that hold a scored question: its id by theirs.

    A document holds one that has its question, as far as it says more than a few letters, and the
    most of its options, in any order; case, width, spaces, marks and HTML are no difference. No
    answer is looked at. Questions of a few letters throughout, as "3 + 4" of numbers, are never
    found.
    """
    parts: list[tuple[str, str, list[str]]] = []  # id, question, options
    places: dict[str, set[int]] = defaultdict(set)  # of the parts that begin with a window
    for number, one in enumerate(scored):
        asked, *options = map(_looked_for, [one.question or "", *one.options])
        parts.append((one.id, asked if len(asked) >= WINDOW else "", options))
        for part in (asked, *options):
            if len(part) >= WINDOW:
                places[part[:WINDOW]].add(number)
    found: dict[str, str] = {}
    for document, text in texts:
        kept = _looked_for(text)
        windows = {kept[k : k + WINDOW] for k in range(len(kept) - WINDOW + 1)}
        near = set().union(*(places[window] for window in places.keys() & windows))
        held = [parts[number][0] for number in sorted(near) if _holds(kept, *parts[number][1:])]
        if held:
            found[document] = held[0]
    return found


def _looked_for(text: str) -> str:
    """Letters and digits of a text: however wide, as entities, between tags."""
    return kept_characters(TAG.sub("", normalize("NFKC", unescape(text))))


def _holds(kept: str, asked: str, options: Sequence[str]) -> bool:
    """Whether a text has the question, and more than half of the options."""
    return asked in kept and 2 * sum(option in kept for option in options) > len(options)
