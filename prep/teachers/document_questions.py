"""Questions that a teacher writes from documents, each with the sentence that answers it.

A question stays where its evidence stands in the text, where the text makes exactly one option
right in two orders, and where it is not answered rightly without the text in both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from pydantic import Field

from core.option_orders import arranged, each_order
from core.records import LABELS, Question, Removed, Strict
from core.text import digest, nfc, one_line
from prep.guards.contamination import Scored
from prep.retrieval.chunks import cut
from prep.retrieval.documents import KnowledgeDocument
from prep.retrieval.leaks import holding
from prep.teachers import wording
from prep.teachers.answer_store import Call
from prep.teachers.production import TEXT, Asker, Signed, Unusable, conversation, schema_of
from prep.teachers.solved import Picked, labels_of, one_of

SOURCE = "questions"
CHARACTERS = 1200  # of a text that a question is written from
PASSES = 2  # orders in which a question is tried, with its text and without


class Text(NamedTuple):
    """What a question is written from: some sentences of a document."""

    id: str
    document: str
    text: str


class Drafted(Strict):
    """A question as the teacher writes it."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    wrong: list[str]
    evidence: str = Field(min_length=1)


class RightOptions(Strict):
    """All letters that a text makes right."""

    right: list[str]


class Written(Signed):
    """A line of the product, which `source: table` reads; `answer` counts from 1.

    `span` is where its evidence stands in the passage.
    """

    id: str
    passage: str
    question: str
    options: list[str]
    answer: int
    evidence: str
    span: tuple[int, int]
    document: str


def texts(
    documents: Iterable[KnowledgeDocument], scored: Sequence[Question], most: int | None
) -> tuple[list[Text], list[Removed]]:
    """The texts of documents, at most so many, and those that hold a scored question.

    A question may stand in one text and its options in the next: then both hold it.
    """
    pieces = [
        Text(chunk.id, chunk.document, chunk.text) for chunk, _ in cut(documents, CHARACTERS, 0)
    ]
    held = holding(((one.id, one.text) for one in pieces), scored)
    pairs = [
        pair
        for pair in pairwise(pieces)
        if len({one.document for one in pair}) == 1 and not held.keys() & {one.id for one in pair}
    ]
    joined = holding(((one.id, f"{one.text} {two.text}") for one, two in pairs), scored)
    for one, two in pairs:
        if near := joined.get(one.id):
            held[one.id] = held[two.id] = near
    removed = [
        Removed(id=id_, source=SOURCE, split="train", reason="near-scored", near=near)
        for id_, near in held.items()
    ]
    return [one for one in pieces if one.id not in held][:most], removed


@dataclass(frozen=True)
class DocumentQuestions:
    """One question of each text, with `options` options."""

    teacher: str
    model: str
    scored: Scored
    seed: int = 42
    options: int = 4
    max_tokens: int = 1024
    name: ClassVar[str] = SOURCE

    @property
    def prompt(self) -> str:
        """The wordings of a question, and of it with its text and without."""
        return ", ".join(map(wording.version, ("question", "right", "guess")))

    def calls(self, text: Text) -> list[Call]:
        """The question's; then, twice each, with and without the text, by the longest options."""
        longest = ["-" * self.max_tokens, *map(str, range(1, self.options))]
        asked = self._question(text, "?", longest, 0)
        tries = [self._tries(asked, order) for order in self._orders()]
        return [self._drafting(text), *(one for pair in tries for one in pair)]

    async def make(self, text: Text, asker: Asker) -> Written:
        """A question that needs its text, and that the text makes one option right of."""
        said = await asker.shaped(self._drafting(text), Drafted)
        start = text.text.find(evidence := one_line(said.evidence))
        if start < 0:
            raise Unusable("unsupported")
        options = [one_line(one) for one in (said.answer, *said.wrong)]
        if len(options) != self.options or not all(options) or len(set(options)) < len(options):
            raise Unusable("bad-options")
        asked = self._question(text, one_line(said.question), options, 0)
        guesses = 0
        for order in self._orders():
            answer = LABELS[order.index(0)]
            with_text, without = self._tries(asked, order)
            right = (await asker.shaped(with_text, RightOptions)).right
            if answer not in right:
                raise Unusable("unanswerable")
            if set(right) != {answer}:
                raise Unusable("bad-options")
            guesses += (await asker.shaped(without, Picked)).answer == answer
        if guesses == PASSES:
            raise Unusable("needs-no-document")
        if found := self.scored.contacts([asked]):
            raise Unusable(found[0].reason, found[0].scored)
        return Written(
            id=f"{text.id}-{digest(asked.question or '')}",
            passage=text.text,
            question=asked.question or "",
            options=options,
            answer=1,
            evidence=evidence,
            span=(start, start + len(evidence)),
            document=text.document,
            teacher=self.teacher,
            model=self.model,
            prompt=self.prompt,
            seed=self.seed,
        )

    def settled(self, lines: list[Written]) -> tuple[list[Written], list[Removed]]:
        """The lines, each letter the right one equally often."""
        asked = [
            self._question(Text(one.id, one.document, one.passage), one.question, one.options, 0)
            for one in lines
        ]
        placed = []
        for line, (_, order, _) in zip(lines, arranged(asked, "balanced", self.seed), strict=True):
            options = [line.options[i] for i in order]
            placed.append(
                line.model_copy(update={"options": options, "answer": order.index(0) + 1})
            )
        return placed, []

    def _orders(self) -> list[tuple[int, ...]]:
        """The published order first, where the right option is the first, then a rotation."""
        return each_order("cyclic", self.options)[:PASSES]

    def _question(self, text: Text, asked: str, options: list[str], answer: int) -> Question:
        return Question(
            id=text.id,
            source=SOURCE,
            split="train",
            group=f"document-{text.document}",
            passage=text.text,
            category=SOURCE,
            question=nfc(asked),
            options=options,
            answer=answer,
        )

    def _drafting(self, text: Text) -> Call:
        wrong = self.options - 1
        listed = {"type": "array", "items": TEXT, "minItems": wrong, "maxItems": wrong}
        schema = schema_of(question=TEXT, answer=TEXT, wrong=listed, evidence=TEXT)
        said = wording.messages("question", text=text.text, wrong=wrong)
        return conversation(said, self.max_tokens, self.seed, schema)

    def _tries(self, question: Question, order: tuple[int, ...]) -> tuple[Call, Call]:
        """With the text, which options are right; without it, which one is."""
        labels = labels_of(question)
        letters = {"type": "array", "items": one_of(labels)}
        alone = question.model_copy(update={"passage": ""})
        with_text = wording.messages("right", asked=wording.asked(question, order))
        without = wording.messages("guess", asked=wording.asked(alone, order), labels=labels)
        return (
            conversation(with_text, 64, self.seed, schema_of(right=letters)),
            conversation(without, 64, self.seed, schema_of(answer=one_of(labels))),
        )
