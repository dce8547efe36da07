"""What of the training records would give away a dev or test question.

| found                                                                    | reason          |
|--------------------------------------------------------------------------|-----------------|
| the id of a scored question in any text of the record                    | holds-scored-id |
| the group of a scored question                                           | near-scored     |
| its dialogue or passage, equal or near                                   | near-scored     |
| its question and options in whatever order, equal; if long, also near    | near-scored     |
| its prompt or dialogue as a user's message, equal or near                | near-scored     |
| 48 characters on end of its dialogue or passage, who speaks left out     | near-scored     |

Near is what MinHash calls near, whatever finds duplicates; equal is what `core.text.compared` calls
the same. A record's own id is no sign, nor is one that a training record has too: published sets
count each split from 1. Nor is what many questions have in common: options with fewer than 20
letters between them (numbers, "예"), and contexts below 40 characters, which count as a part of
question and options. Question and options below 200 characters are never near: short ones differ
by the one word that makes them another question.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.records import Chat, Question, Reason
from core.text import compared
from prep.dedup import MinHash, Ray, near_any
from prep.dedup.ngrams import kept_characters
from prep.render import Renderer

# Complete records are compared elsewhere; this finds a dialogue inside a longer text, and windows
# cut from one conversation. A run of 48 letters and digits is some 13 to 15 Korean words; 13 words
# is the run at which Brown et al. (2020, appendix C) call a text contaminated.
RUN = 48  # characters in common
STEP = 16  # of a text, every 16th window is looked up
WINDOW = RUN - STEP + 1  # every run holds one of these
SPEAKER = re.compile(
    r"^[^\w\n]{0,8}\w{1,8}(?: ?\d)?\s?[:：]|(?:화자|name) ?\d\s?[:：]?", re.MULTILINE
)


class Quotes:
    """Known texts, and which of them another text quotes."""

    def __init__(self) -> None:
        self._known: list[tuple[str, str]] = []  # (text, name)
        self._windows: dict[str, list[int]] = {}  # to the known texts that hold it

    def add(self, text: str, name: str) -> None:
        """Make a text known by a name."""
        kept = _compared(text)
        for window in {kept[k : k + WINDOW] for k in range(len(kept) - WINDOW + 1)}:
            self._windows.setdefault(window, []).append(len(self._known))
        self._known.append((kept, name))

    def find(self, text: str) -> str | None:
        """The name of a known text that has a run in common with this one, or None."""
        if not self._windows:
            return None
        kept = _compared(text)
        for start in range(0, len(kept) - WINDOW + 1, STEP):
            around = range(max(0, start - STEP + 1), min(start, len(kept) - RUN) + 1)
            for place in self._windows.get(kept[start : start + WINDOW], ()):
                known, name = self._known[place]
                if any(kept[k : k + RUN] in known for k in around):
                    return name
        return None


def _compared(text: str) -> str:
    """Letters and digits of a text, without who speaks at the start of a line."""
    return kept_characters(SPEAKER.sub(" ", text))


CONTEXT = 40  # characters from which a context is compared by itself
OPTIONS = 20  # letters from which options identify their question
# it misses least: here a doubt speaks for removal
NEARNESS = MinHash(similarity=0.7, hard_negatives="remove")
NEAR_ITEM = 200  # characters from which question and options may be near
IDENTIFIER = 8  # characters from which an id that holds a digit cannot be taken for a word
LETTER = re.compile(r"[^\W\d_ㄱ-ㆎ]")  # no digits and no single jamo


@dataclass(frozen=True)
class Contact:
    """Why a training record must go, and the scored question it would give away."""

    reason: Reason
    scored: str


class Scored:
    """The dev and test questions, which no training record may come near to."""

    def __init__(
        self, questions: Sequence[Question], renderer: Renderer, ray: Ray | None = None
    ) -> None:
        self.ray = ray
        self._groups: dict[str, str] = {}
        self._contexts: dict[str, str] = {}
        self._items: dict[str, str] = {}  # as letters and digits
        self._long_items: dict[str, str] = {}
        self._prompts: dict[str, str] = {}
        self._quotes = Quotes()
        for one in sorted(questions, key=lambda question: (question.source, question.id)):
            self._groups.setdefault(one.group, one.id)
            if text := context(one):
                self._contexts.setdefault(text, one.id)
                self._quotes.add(spoken(one), one.id)
            if text := item(one):
                self._items.setdefault(compared(text), one.id)
                if is_long(text):
                    self._long_items.setdefault(text, one.id)
            _, user = renderer.prompt.texts(one, range(len(one.options)))
            self._prompts.setdefault(user, one.id)
        self._ids = {one.id for one in questions if _is_identifier(one.id)}

    def contacts(self, records: Sequence[Question] | Sequence[Chat]) -> dict[int, Contact]:
        """Of training records that must go: place, and why. An id counts before nearness."""
        near = self._equal(records)
        for texts, scored in self._comparisons(records):
            for i, found in self._near([(i, text) for i, text in texts if text], scored):
                near.setdefault(i, found)
        for i, one in enumerate(records):
            if i not in near and (found := self._quotes.find(spoken(one))):
                near[i] = found
        ids = _pattern(self._ids - {one.id for one in records})
        held = {i: found for i, one in enumerate(records) if (found := _held(one, ids))}
        contacts = {i: Contact("near-scored", found) for i, found in near.items()}
        return contacts | {i: Contact("holds-scored-id", found) for i, found in held.items()}

    def _equal(self, records: Sequence[Question] | Sequence[Chat]) -> dict[int, str]:
        """Of questions with a scored group, or scored question and options: place, scored id."""
        found = {
            i: self._groups.get(one.group) or self._items.get(compared(item(one)))
            for i, one in enumerate(records)
            if isinstance(one, Question)
        }
        return {i: name for i, name in found.items() if name}

    def _comparisons(
        self, records: Sequence[Question] | Sequence[Chat]
    ) -> Iterator[tuple[list[tuple[int, str]], dict[str, str]]]:
        """What is compared with what: (place, text) of records, and the ids of scored texts."""
        questions = [(i, one) for i, one in enumerate(records) if isinstance(one, Question)]
        yield [(i, context(one)) for i, one in questions], self._contexts
        items = [(i, item(one)) for i, one in questions]
        yield [(i, text) for i, text in items if is_long(text)], self._long_items
        chats = [(i, one) for i, one in enumerate(records) if isinstance(one, Chat)]
        asked = [(i, m.content) for i, one in chats for m in one.messages if m.role == "user"]
        yield asked, self._contexts | self._long_items | self._prompts

    def _near(
        self, texts: Sequence[tuple[int, str]], scored: dict[str, str]
    ) -> Iterable[tuple[int, str]]:
        """Of (place, text) equal or near to a scored text: place, and the scored id."""
        ids = list(scored.values())
        found = near_any([text for _, text in texts], list(scored), NEARNESS, self.ray)
        return [(texts[k][0], ids[j]) for k, j in sorted(found.items())]


def context(question: Question) -> str:
    """The dialogue as a prompt shows it, or the passage; "" where it is too short to compare."""
    text = question.passage or "\n".join(f"{turn.speaker}: {turn.text}" for turn in question.turns)
    return text if len(kept_characters(text)) >= CONTEXT else ""


def item(question: Question) -> str:
    """A short context, question, 보기 and sorted options; "" where the options say too little.

    Printed with its options in another order, a question is still the same.
    """
    if len(LETTER.findall("".join(question.options))) < OPTIONS:
        return ""
    short = "" if context(question) else spoken(question)
    parts = (short, question.question, question.note, *sorted(question.options))
    return "\n".join(part for part in parts if part)


def spoken(record: Question | Chat) -> str:
    """What is said in a dialogue, passage or chat, without who says it."""
    if isinstance(record, Question):
        return record.passage or "\n".join(turn.text for turn in record.turns)
    return "\n".join(message.content for message in record.messages)


def is_long(text: str) -> bool:
    """Whether question and options are long enough to be near to others, not only equal."""
    return len(kept_characters(text)) >= NEAR_ITEM


def _texts(record: Question | Chat) -> list[str]:
    if isinstance(record, Chat):
        return [message.content for message in record.messages]
    return [spoken(record), record.question or "", record.note or "", *record.options]


def _held(record: Question | Chat, ids: re.Pattern[str] | None) -> str | None:
    """The first scored id that stands in a text of a record."""
    found = (ids.search(text) for text in _texts(record)) if ids else ()
    return next((match[1] for match in found if match), None)


def _is_identifier(id_: str) -> bool:
    """Whether an id cannot be taken for a word."""
    return len(id_) >= IDENTIFIER and re.search(r"\d", id_) is not None


def _pattern(ids: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of any of the ids as a word; a Korean particle may follow."""
    either = "|".join(re.escape(one) for one in sorted(ids, key=lambda one: (-len(one), one)))
    return re.compile(rf"(?<![0-9A-Za-z])({either})(?![0-9A-Za-z])") if either else None
