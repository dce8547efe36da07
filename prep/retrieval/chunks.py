"""Documents cut into chunks at the ends of sentences, each with the words that it is found by."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from core.morphemes import kiwi, subject_words
from core.ray_session import Ray, in_order
from core.records import Strict
from prep.retrieval.documents import KnowledgeDocument

PIECE = 10_000  # characters that Kiwi is given at a time, cut where paragraphs or words end
TOGETHER = 256  # documents analysed together: as many as keep all cores at work
PACKAGE = Path(__file__).resolve().parent.parent  # prep, which the workers import
PARAGRAPH = re.compile(r"\n\s*\n")


class Chunk(Strict):
    """Some sentences on end of a document; `id` is the document's with the chunk's number.

    `repeated` are the characters at its start that the chunk before it ends with.
    """

    id: str
    document: str
    title: str
    text: str
    repeated: int = 0

    @property
    def shown(self) -> str:
        """As a prompt shows it."""
        return f"{self.title}: {self.text}" if self.title else self.text


class _Sentence(NamedTuple):
    text: str
    words: list[str]


def cut(
    documents: Iterable[KnowledgeDocument], characters: int, overlap: int, ray: Ray | None = None
) -> Iterator[tuple[Chunk, list[str]]]:
    """Chunks of at most `characters`, and their words; a chunk begins with the last `overlap`
    sentences of the one before it. With `ray` they are cut there: the same chunks.

    A sentence that is longer is cut where words end. The words of its title are those of a chunk
    too, so that it is found by its subject even where it says "he" or "there".
    """
    left = iter(documents)
    groups = iter(lambda: list(islice(left, TOGETHER)), [])

    def work(some: list[KnowledgeDocument]) -> list[tuple[Chunk, list[str]]]:
        return list(_cut(some, characters, overlap))

    done = in_order(work, groups, ray, PACKAGE) if ray else map(work, groups)
    for part in done:
        yield from part


def _cut(
    some: list[KnowledgeDocument], characters: int, overlap: int
) -> Iterator[tuple[Chunk, list[str]]]:
    titles = [subject_words(tokens) for tokens in kiwi().tokenize([d.title for d in some])]
    split = _sentences(some, characters)
    for document, title, sentences in zip(some, titles, split, strict=True):
        groups = _grouped(sentences, characters, overlap)
        for number, (again, part) in enumerate(groups, start=1):
            chunk = Chunk(
                id=f"{document.id}~{number}",
                document=document.id,
                title=document.title,
                text=" ".join(one.text for one in part),
                repeated=sum(len(one.text) + 1 for one in part[:again]),
            )
            yield chunk, [*title, *(word for one in part for word in one.words)]


def _sentences(documents: list[KnowledgeDocument], longest: int) -> list[list[_Sentence]]:
    """The sentences of each document, none longer than `longest` characters."""
    pieces = [(k, piece) for k, one in enumerate(documents) for piece in _pieces(one.text)]
    found: list[list[_Sentence]] = [[] for _ in documents]
    split = kiwi().split_into_sents([piece for _, piece in pieces], return_tokens=True)
    for (k, _), sentences in zip(pieces, split, strict=True):
        for one in sentences:
            if len(one.text) <= longest:
                found[k].append(_Sentence(" ".join(one.text.split()), subject_words(one.tokens)))
                continue
            parts = textwrap.wrap(one.text, longest, break_on_hyphens=False)
            tokens = kiwi().tokenize(parts)
            found[k] += [_Sentence(p, subject_words(t)) for p, t in zip(parts, tokens, strict=True)]
    return found


def _pieces(text: str) -> Iterator[str]:
    """Paragraphs, the very long ones cut where words end."""
    for paragraph in PARAGRAPH.split(text):
        if len(paragraph) <= PIECE:
            yield paragraph
        else:
            yield from textwrap.wrap(paragraph, PIECE, break_on_hyphens=False)


def _grouped(
    sentences: list[_Sentence], characters: int, overlap: int
) -> Iterator[tuple[int, list[_Sentence]]]:
    """Sentences on end, as many as have room, and how many of them the group before ends with.

    Each group holds one at least that is new.
    """

    def fits(group: list[_Sentence]) -> bool:
        return sum(len(each.text) + 1 for each in group) <= characters + 1

    group: list[_Sentence] = []
    again = 0
    for one in sentences:
        if group and not fits([*group, one]):
            yield again, group
            group = group[max(0, len(group) - overlap) :] if overlap else []
            while group and not fits([*group, one]):
                group = group[1:]
            again = len(group)
        group = [*group, one]
    if group:
        yield again, group
