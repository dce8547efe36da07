"""Korean texts, and copies of them whose kind is known.

The sentences say of their words what these may become with the same meaning and what with another,
so that edited copies (near-duplicates) and changed ones (hard negatives) are labelled by how they
were made. The same seed gives the same texts.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from bench.sentences import FILLERS, Sentence, Word, sentence

LENGTHS = (50, 120, 300, 600, 1500)  # characters, the classes of the curve
EDITS = ("space", "marks", "word1", "word2", "word3", "sentence")
CHANGES = ("number", "name", "polarity", "entities")


class Maker:
    """Draws documents from a pool of sentences, and edits them."""

    def __init__(self, seed: int, pool: int = 20_000) -> None:
        self.rng = random.Random(seed)
        self.pool = [sentence(self.rng) for _ in range(pool)]

    def document(self, length: int) -> list[Sentence]:
        """Random sentences of about `length` characters together."""
        chosen: list[Sentence] = []
        total = 0
        while total < length:
            chosen.append(self.rng.choice(self.pool))
            total += sum(len(word.text) + 1 for word in chosen[-1]) + 1
        return chosen

    def copy(self, document: Sequence[Sentence], kind: str) -> str:
        """A copy of a document: "exact", one of `EDITS` or one of `CHANGES`."""
        if kind == "exact":
            return plain(document)
        if kind == "space":
            return self._spaces(plain(document))
        if kind == "marks":
            return self._marks(plain(document))
        if kind == "sentence":
            at = self.rng.randint(0, len(document))
            return plain([*document[:at], self.rng.choice(self.pool), *document[at:]])
        if kind == "entities":
            tags = ("number", "name")
            return plain(
                [tuple(self._swap(w) if w.tag in tags else w for w in s) for s in document]
            )
        if kind in CHANGES:
            return self._change(document, "verb" if kind == "polarity" else kind)
        return self._edit(document, int(kind.removeprefix("word")))

    def _swap(self, word: Word) -> Word:
        return word._replace(text=self.rng.choice(word.other))

    def _change(self, document: Sequence[Sentence], tag: str) -> str:
        """One word with another meaning; "" where no word of the kind is there."""
        places = [
            (i, k)
            for i, s in enumerate(document)
            for k, w in enumerate(s)
            if w.tag == tag and w.other
        ]
        if not places:
            return ""
        i, k = self.rng.choice(places)
        return _with(document, i, k, self._swap(document[i][k]).text)

    def _edit(self, document: Sequence[Sentence], words: int) -> str:
        """Up to `words` words put otherwise: another wording, a filler or a typing error."""
        edited = [list(s) for s in document]
        for _ in range(words):
            i = self.rng.randrange(len(edited))
            k = self.rng.randrange(len(edited[i]))
            word = edited[i][k]
            if word.same:
                edited[i][k] = word._replace(text=self.rng.choice(word.same), same=())
            elif word.tag or self.rng.random() < 0.5:
                edited[i].insert(k, Word(self.rng.choice(FILLERS), "filler"))
            else:
                at = self.rng.randrange(len(word.text))
                wrong = chr(
                    (ord(word.text[at]) - 0xAC00) // 28 * 28 + 0xAC00 + self.rng.randint(0, 27)
                )
                edited[i][k] = word._replace(text=word.text[:at] + wrong + word.text[at + 1 :])
        return plain(edited)

    def _spaces(self, text: str) -> str:
        odds = ((" ", 0.8), ("", 0.1), ("  ", 0.1))
        choose = [space for space, weight in odds for _ in range(int(weight * 10))]
        return "".join(self.rng.choice(choose) if c == " " else c for c in text)

    def _marks(self, text: str) -> str:
        return "".join(self.rng.choice((".", "!", "...", "", "~")) if c == "." else c for c in text)


def plain(document: Sequence[Sequence[Word]]) -> str:
    """The text as people read it."""
    return " ".join(" ".join(w.text for w in s if w.text) + "." for s in document)


def _with(document: Sequence[Sentence], i: int, k: int, text: str) -> str:
    edited = [list(s) for s in document]
    edited[i][k] = edited[i][k]._replace(text=text)
    return plain(edited)


class Pair(NamedTuple):
    """Two texts, how the second was made of the first, and about how long they are."""

    left: str
    right: str
    kind: str
    length: int

    @property
    def duplicate(self) -> bool:
        """Whether the two are to count as one."""
        return self.kind in ("exact", *EDITS)


def labelled(seed: int, each: int) -> list[Pair]:
    """`each` pairs of every kind and length class; "entities" keeps the wording."""
    maker = Maker(seed)
    pairs = []
    for length in LENGTHS:
        for kind in ("exact", *EDITS, *CHANGES):
            wanted = len(pairs) + each
            while len(pairs) < wanted:
                document = maker.document(length)
                if copied := maker.copy(document, kind):
                    pairs.append(Pair(plain(document), copied, kind, length))
    return pairs


class Record(NamedTuple):
    """A text of a collection; those that are to count as one have the same `truth`."""

    text: str
    truth: int
    kind: str


def collection(count: int, seed: int) -> list[Record]:
    """Records of about 600 characters (log-normal), 15 % of them copies and 5 % hard negatives.

    Copies are exact, in whitespace or marks, in 1 to 3 words, and with a sentence more, a quarter
    each; hard negatives change one number, name or negation, or all numbers and names.
    """
    maker = Maker(seed)
    rng = random.Random(f"{seed}/collection")
    kinds = (("exact",), ("space", "marks"), ("word1", "word2", "word3"), ("sentence",))
    bases: list[list[Sentence]] = []
    changed: dict[str, int] = {}  # the same change may be drawn twice
    records: list[Record] = []
    for number in range(count):
        drawn = rng.random() if bases else 1.0
        copied = ""
        if drawn < 0.2:
            kind = rng.choice(rng.choice(kinds)) if drawn < 0.15 else rng.choice(CHANGES)
            base = rng.randrange(len(bases))
            copied = maker.copy(bases[base], kind)
        if copied:
            truth = base if drawn < 0.15 else changed.setdefault(copied, count + number)
            records.append(Record(copied, truth, kind))
        else:
            bases.append(maker.document(min(4000, max(60, int(rng.lognormvariate(6.24, 0.6))))))
            records.append(Record(plain(bases[-1]), len(bases) - 1, "base"))
    rng.shuffle(records)
    return records
