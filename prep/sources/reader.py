"""What every reader is given and gives: a record's place, and the question or chat made of it."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count as count_from
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from core.errors import UserError
from core.jsonl import validated
from core.records import Change, Changed, Chat, Question, Reason, Removed, Split, Turn
from core.text import context, digest, nfc, one_line, present, visible, writable
from prep.dedup.ngrams import kept_characters
from prep.sources.mapping import TableMapping


def as_id(value: Any) -> Any:
    """An id as text; public sets have numbers too, as floats where one of the column is missing."""
    value = _as_number(value) if isinstance(value, float) else present(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_number(value: Any) -> Any:
    """A number that CSV gives as text, or a column with gaps as a float; NaN is none."""
    if isinstance(value, str):
        said = context(value)
        return int(said) if said.isdecimal() else said or None
    if isinstance(value, float):
        return None if value != value else int(value) if value.is_integer() else value
    return value


def _as_text(value: Any) -> Any:
    """A text, "" where it is absent."""
    return "" if present(value) is None else value


Id = Annotated[str | None, BeforeValidator(as_id)]
Number = Annotated[int, BeforeValidator(_as_number)]
Answer = Annotated[int | None, BeforeValidator(_as_number)]
# of an option as published: a number where a table was read by its looks
Option = Annotated[str | int | None, BeforeValidator(present)]
Text = Annotated[str, BeforeValidator(_as_text)]
Made = Question | Chat | Removed

MOST = 5  # options of a question in any published set
LONG = 20  # letters from which a passage identifies its questions; placeholders have fewer
# columns that name a question's subject or kind, in the order in which they are looked for
CATEGORY = ("category", "categories", "subject", "과목", "과목명", "교과", "영역", "분야")


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
    mapping: TableMapping = field(default_factory=TableMapping)  # of a table of one's own
    changes: list[Changed] = field(default_factory=list)  # what was altered as the record was read

    def named(self, own: str | None) -> str:
        """The record's own id, else the source's name and the record's number."""
        return nfc(own or "") or f"{self.source}-{self.number:06d}"

    def text(self, own: str | None, field: str, published: Option, lines: bool = True) -> str:
        """A text as records hold it: NFC, without invisible characters and outer whitespace.

        It is on one line if not `lines`, and "" where it is absent: a passage or a note also where
        words say so. `field` is its place in the record; whatever is altered besides outer
        whitespace is noted.
        """
        given = "" if published is None else str(published)
        text = "" if present(given) is None else nfc(given) if lines else one_line(given)
        text = context(text) if field in ("passage", "note") else text
        if text != given.strip() or isinstance(published, int):
            self.changes.append(
                Changed(
                    id=self.named(own),
                    source=self.source,
                    split=self.split,
                    field=field,
                    before=given if published is None else published,
                    after=text,
                    reason=_reason(published, text),
                )
            )
        return text

    def index(self, answer: int | None, options: int, first: int) -> int | None:
        """The index of an answer that counts from `first`, 0 or 1.

        Raises `UserError` where the number says that the file counts otherwise: were it taken as it
        is, every record would train the option next to its answer.
        """
        if answer == (0 if first else options):
            raise UserError(
                f"{self.where}: answer {answer} of {options} options, but the answers of this "
                f"source count from {first}; if the file counts from {1 - first}, "
                f"{'add 1 to' if first else 'take 1 from'} all its answers, else empty this one"
            )
        return None if answer is None else answer - first

    def category(self, record: Mapping[str, Any], default: str) -> str:
        """What a column such as subject or 과목 names, whatever its case, else the default."""
        columns = {name.casefold(): value for name, value in record.items()}
        named = (columns.get(name) for name in CATEGORY)
        return next((one for one in named if isinstance(one, str) and context(one)), default)

    def removed(self, own: str | None, reason: Reason) -> Removed:
        """The record, left out."""
        return Removed(id=self.named(own), source=self.source, split=self.split, reason=reason)

    def chat(self, own: str | None, pairs: Sequence[tuple[str, str]]) -> Chat | Removed:
        """A chat of (role, text) pairs; removed where a text but the system's is empty."""
        texts = [
            (role, self.text(own, f"messages.{place}", text))
            for place, (role, text) in enumerate(pairs)
        ]
        if any(not text for role, text in texts if role != "system"):
            return self.removed(own, "empty")
        messages = [{"role": role, "content": text} for role, text in texts if text]
        value = {"id": self.named(own), "source": self.source, "messages": messages}
        return validated(value, Chat, self.where)

    def question(
        self,
        own: str | None,
        category: str,
        question: Option,
        options: Sequence[Option],
        answer: int | None,
        passage: Option = "",
        note: Option = None,
        turns: Sequence[Turn] = (),
        focus: Sequence[str] = (),
        group: str | None = None,
        most: int = MOST,
    ) -> Question | Removed:
        """An exam item; `answer` is an index into `options`, or out of their range if it is wrong.

        Removed where question or category is absent, where options are fewer than 2, more than
        `most`, absent or alike, and where the answer is none of them. `group` is, where it is not
        given, a hash of the dialogue or passage; where that is short or absent, of all that is
        asked. A dialogue may be asked about by its category alone.
        """
        shown = [
            self.text(own, f"options.{place}", option, lines=False)
            for place, option in enumerate(options)
        ]
        asked, text = self.text(own, "question", question), self.text(own, "passage", passage)
        kind = self.text(own, "category", category, lines=False)
        extra = self.text(own, "note", note)
        if not (asked or turns) or not kind:
            return self.removed(own, "empty")
        if not 2 <= len(shown) <= most or not all(shown) or len(set(shown)) < len(shown):
            return self.removed(own, "bad-options")
        if answer is not None and not 0 <= answer < len(shown):
            return self.removed(own, "no-answer")
        said = "\n".join(f"{turn.speaker}: {turn.text}" for turn in turns) or text
        is_long = len(kept_characters(said)) >= LONG
        complete = "\n".join([said, asked, extra, *sorted(shown)])
        context_kind = "dialogue" if turns else "passage"
        value = {
            "id": self.named(own),
            "source": self.source,
            "split": self.split,
            "group": group or f"{context_kind}-{digest(said if is_long else complete)}",
            "turns": [*turns],
            "passage": None if turns else text,
            "focus": [*focus],
            "category": kind,
            "question": asked or None,
            "note": extra or None,
            "options": shown,
            "answer": answer,
        }
        return validated(value, Question, self.where)


def _reason(published: Option, text: str) -> Change:
    """Why a text reads otherwise than published."""
    if not isinstance(published, str):
        return "not-a-string"
    if not text and nfc(published):
        return "absent"
    if visible(published) != published:
        return "invisible"
    return "spaces" if unicodedata.is_normalized("NFC", published) else "nfc"


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
    forgiving: bool = False,
    mapping: TableMapping | None = None,
) -> Read:
    """All that `reader` makes of the records found, in their order.

    A question whose id an earlier one has gets a name of its own, and a note says so. Raises
    `UserError` naming file, record, field and remedy where a record has not the form that the
    reader knows. If `forgiving`, as of large sets of chats, such a record is removed and the first
    of them reported in a note; not if all are such. A chat whose id an earlier one has is removed.
    """
    made: dict[type, list[Any]] = {kind: [] for kind in (Question, Chat, Removed, Changed)}
    seen: set[str] = set()
    doubled: list[str] = []
    malformed: list[str] = []
    count = 0
    for number, where, record in found:
        count += 1
        place = Place(where, number, source, split, subset, mapping or TableMapping())
        try:
            values = [*reader(writable(record, where), place), *place.changes]
        except UserError as error:
            if not forgiving:
                raise
            malformed.append(str(error))
            own = record.get("id")
            named = isinstance(own, str) and own.isprintable()
            values = [place.removed(own if named else None, "malformed")]
        asked = next((value.id for value in values if isinstance(value, Question)), None)
        if asked in seen:
            own = next(name for k in count_from(2) if (name := f"{asked}#{k}") not in seen)
            doubled.append(own)
            values = [value.model_copy(update={"id": own}) for value in values]
        for value in values:
            if isinstance(value, Chat) and value.id in seen:
                value = place.removed(value.id, "doubled-id")
            made[type(value)].append(value)
            if isinstance(value, Question | Chat):
                seen.add(value.id)
    if not count:
        raise UserError(f"{source}: its file holds no records; download it again")
    if len(malformed) == count:
        raise UserError(malformed[0])
    notes = []
    if malformed:
        notes.append(f"{source}: {len(malformed)} records removed as malformed; {malformed[0]}")
    if doubled:
        named = ", ".join(doubled[:3]) + ", …" * (len(doubled) > 3)
        notes.append(
            f"{source}: {len(doubled)} questions have the id of an earlier one, and go by {named}"
        )
    kinds = (made[kind] for kind in (Question, Chat, Removed, Changed))
    return Read(source, count, *kinds, notes=tuple(notes))
