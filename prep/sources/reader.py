"""What every reader is given and gives: a record's place, and the question or chat made of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from prep.errors import UserError
from prep.jsonl import validated
from prep.records import Changed, Chat, Question, Reason, Removed, Split
from prep.text import digest, nfc, one_line, short, writable


def _as_id(value: Any) -> Any:
    """An id as text; public sets have numbers too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Id = Annotated[str | None, BeforeValidator(_as_id)]
Made = Question | Chat | Removed


class Published(BaseModel):
    """A record as published; columns that are not read are no error, silent conversions are."""

    model_config = ConfigDict(extra="ignore", strict=True)


@dataclass(frozen=True)
class Place:
    """Where a record stands: for messages about it, and for what is made of it."""

    where: str
    number: int
    source: str
    split: Split = "train"
    subset: str | None = None

    def named(self, own: str | None) -> str:
        """The record's own id, else the source's name and the record's number."""
        return nfc(own or "") or f"{self.source}-{self.number:06d}"

    def removed(self, own: str | None, reason: Reason) -> Removed:
        """The record, left out."""
        return Removed(id=self.named(own), source=self.source, split=self.split, reason=reason)

    def chat(self, own: str | None, pairs: Sequence[tuple[str, str]]) -> Chat | Removed:
        """A chat of (role, text) pairs; removed where a text but the system's is empty."""
        texts = [(role, nfc(text)) for role, text in pairs]
        if any(not text for role, text in texts if role != "system"):
            return self.removed(own, "empty")
        messages = [{"role": role, "content": text} for role, text in texts if text]
        value = {"id": self.named(own), "source": self.source, "messages": messages}
        return validated(value, Chat, self.where)

    def question(
        self,
        own: str | None,
        category: str,
        question: str,
        options: Sequence[str],
        answer: int | None,
        passage: str = "",
        note: str | None = None,
    ) -> Question | Removed:
        """An exam item; `answer` is an index into `options`, or out of their range if it is wrong.

        Removed where question or category is empty, where options are fewer than 2, more than 5,
        empty or alike, and where the answer is none of them. `group` is a hash of the passage, or
        of the question where there is none.
        """
        shown = [one_line(option) for option in options]
        asked, text = nfc(question), nfc(passage)
        if not asked or not one_line(category):
            return self.removed(own, "empty")
        if not 2 <= len(shown) <= 5 or not all(shown) or len(set(shown)) < len(shown):
            return self.removed(own, "bad-options")
        if answer is not None and not 0 <= answer < len(shown):
            return self.removed(own, "no-answer")
        value = {
            "id": self.named(own),
            "source": self.source,
            "split": self.split,
            "group": f"passage-{digest(text or asked)}",
            "passage": text,
            "category": one_line(category),
            "question": asked,
            "note": nfc(note or "") or None,
            "options": shown,
            "answer": answer,
        }
        return validated(value, Question, self.where)


Reader = Callable[[dict[str, Any], Place], Iterator[Made | Changed]]


@dataclass(frozen=True)
class Read:
    """What a source gave: each of its `records` is a question, a chat or a removed one."""

    source: str
    records: int = 0
    questions: list[Question] = field(default_factory=list)
    chats: list[Chat] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    notes: tuple[str, ...] = ()  # what a person must know of it

    def __post_init__(self) -> None:
        made = len(self.questions) + len(self.chats) + len(self.removed)
        if self.records != made:
            raise AssertionError(f"{self.source}: {self.records} records, but {made} made of them")


def collect(
    reader: Reader,
    found: Iterable[tuple[int, str, dict[str, Any]]],
    source: str,
    split: Split = "train",
    subset: str | None = None,
) -> Read:
    """All that `reader` makes of the records found, in their order.

    Raises `UserError` naming file, record, field and remedy where a record has not the form that
    the reader knows, and where two have one id.
    """
    made: dict[type, list[Any]] = {kind: [] for kind in (Question, Chat, Removed, Changed)}
    seen: set[str] = set()
    count = 0
    for number, where, record in found:
        count += 1
        place = Place(where, number, source, split, subset)
        for value in reader(writable(record, where), place):
            made[type(value)].append(value)
            if not isinstance(value, Changed):
                if value.id in seen:
                    name = short(value.id)
                    raise UserError(f"{where}: field id: {name} is there twice; give each its own")
                seen.add(value.id)
    if not count:
        raise UserError(f"{source}: its file holds no records; download it again")
    return Read(source, count, made[Question], made[Chat], made[Removed], made[Changed])
