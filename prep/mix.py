"""What a source gives to a stage's mix: its records less the removed ones, rendered as rows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from prep.augment.mixing import repeated, times
from prep.dedup import Item, Method, Simhash, copies, duplicates
from prep.guards.contamination import Contact, Scored
from prep.records import Chat, Question, Reason, Removed, Row, record_id
from prep.render import Renderer

Record = TypeVar("Record", Question, Chat)
Fits = Callable[[Row], bool]
_DEFAULT = Simhash()


@dataclass(frozen=True)
class Portion:
    """One source's part of a stage; `read` records came in and `kept` of them became rows."""

    source: str
    read: int
    kept: int
    rows: list[Row]
    removed: list[Removed]
    questions: list[Question] = field(default_factory=list)  # those kept

    def __post_init__(self) -> None:
        if self.read != self.kept + len(self.removed):
            raise AssertionError(
                f"{self.source}: {self.read} records read, but {self.kept} kept and "
                f"{len(self.removed)} removed"
            )

    def counts(self) -> dict[str, object]:
        """The figures as build.json reports them."""
        reasons = dict(sorted(Counter(record.reason for record in self.removed).items()))
        return {"read": self.read, "removed": reasons, "kept": self.kept, "rows": len(self.rows)}


def without_answer(questions: Sequence[Question]) -> tuple[list[Question], list[Removed]]:
    """Questions that have an answer, and those removed because they have none."""
    answered = [question for question in questions if question.answer is not None]
    return answered, [_gone(q, "no-answer") for q in questions if q.answer is None]


def question_portion(
    questions: Sequence[Question],
    scored: Scored,
    renderer: Renderer,
    weight: float = 1.0,
    fits: Fits | None = None,
) -> Portion:
    """Training rows of questions, taken by the weight of their source.

    Several questions share a dialogue by design, so that among themselves only copies go: the same
    dialogue, reference, category and options; the one with the smallest id stays. `fits` says
    whether a row is short enough; a question of which one row is not goes with all its rows.
    """
    answered, removed = without_answer(questions)
    contacts = scored.contacts(answered)
    removed += _gave_away(answered, contacts)
    apart = [question for i, question in enumerate(answered) if i not in contacts]
    by_id = sorted(apart, key=lambda question: question.id)
    copied = copies(_content(question) for question in by_id)
    twice = {by_id[i].id: by_id[first].id for i, first in copied.items()}
    removed += [_gone(q, "exact-duplicate", twice[q.id]) for q in apart if q.id in twice]
    kept = [question for question in apart if question.id not in twice]

    def render(taken: Sequence[Question], counts: Sequence[int]) -> list[Row]:
        pairs = zip(taken, counts, strict=True)
        return renderer.training([one for q, count in pairs for one in repeated(q, count)])

    rows, left_out = _shaped(kept, render, weight, renderer.seed, fits)
    gone = {one.id for one in left_out}
    kept = [question for question in kept if question.id not in gone]
    removed += left_out
    return Portion(questions[0].source, len(questions), len(kept), rows, removed, kept)


def chat_portions(
    sets: Sequence[tuple[str, list[Chat], list[Removed]]],
    scored: Scored,
    renderer: Renderer,
    weights: Mapping[str, float] | None = None,
    fits: Fits | None = None,
    method: Method = _DEFAULT,
) -> tuple[list[Portion], dict[str, int]]:
    """Training rows of chat sets, duplicates removed within and across them, and what of the
    comparison `dedup.Result` counts.

    `sets` holds (name, chats, chats already removed) in the order of the mix. Of duplicates the one
    of the first set stays, there the longest, then the one with the smallest id, in whatever order
    they were read. `weights` has the sets that are not taken just once, by name; see `times`.
    """
    priority = {name: place for place, (name, _, _) in enumerate(sets)}
    chats = [chat for _, read, _ in sets for chat in read]
    chats.sort(key=lambda chat: (priority[chat.source], -len(_conversation(chat)), chat.id))
    contacts = scored.contacts(chats)
    gone = _gave_away(chats, contacts)
    chats = [chat for i, chat in enumerate(chats) if i not in contacts]

    def drop(found: dict[int, str], reason: Reason) -> None:
        gone.extend(_gone(chats[i], reason, near) for i, near in sorted(found.items()))
        chats[:] = [chat for i, chat in enumerate(chats) if i not in found]

    alike = copies(tuple((m.role, m.content) for m in chat.messages) for chat in chats)
    drop({i: chats[first].id for i, first in alike.items()}, "exact-duplicate")
    items = [Item(_conversation(chat), priority[chat.source], chat.id) for chat in chats]
    found = duplicates(items, method, scored.ray)
    drop({i: chats[near.kept].id for i, near in found.removed.items()}, "near-duplicate")

    def render(taken: Sequence[Chat], counts: Sequence[int]) -> list[Row]:
        pairs = zip(taken, counts, strict=True)
        return [row for chat, count in pairs for row in repeated(renderer.chat(chat), count)]

    kept = {(chat.source, chat.id) for chat in chats}
    portions = []
    for name, read, empty in sets:
        own = [chat for chat in read if (name, chat.id) in kept]
        weight = (weights or {}).get(name, 1.0)
        rows, left_out = _shaped(own, render, weight, renderer.seed, fits)
        removed = [*empty, *(one for one in gone if one.source == name), *left_out]
        count = len(own) - len(left_out)
        portions.append(Portion(name, len(read) + len(empty), count, rows, removed))
    return portions, found.counts


def _shaped(
    records: Sequence[Record],
    render: Callable[[Sequence[Record], Sequence[int]], list[Row]],
    weight: float,
    seed: int,
    fits: Fits | None,
) -> tuple[list[Row], list[Removed]]:
    """Rows of as many records as the weight says, all short enough, and the records left out.

    Without the records that are too long, others are drawn and other orders balance the letters:
    so it is done again until no row is too long.
    """
    removed: list[Removed] = []
    short: dict[str, bool] = {}  # by row id, which tells a record's orders apart
    while True:
        counts = times(records, weight, seed)
        rows = render(records, counts)
        if fits:
            short |= {row.id: fits(row) for row in rows if row.id not in short}
        long = {record_id(row.id) for row in rows if not short.get(row.id, True)}
        if not long:
            break
        removed += [_gone(one, "too-long") for one in records if one.id in long]
        records = [one for one in records if one.id not in long]
    pairs = zip(records, counts, strict=True)
    return rows, removed + [_gone(one, "not-sampled") for one, count in pairs if not count]


def _content(question: Question) -> tuple[object, ...]:
    """What makes two questions the same: turn and utterance ids do not."""
    said = tuple((turn.speaker, turn.text) for turn in question.turns)
    places = tuple(k for k, turn in enumerate(question.turns) if turn.id in question.focus)
    asked = (question.category, question.question, question.note)
    return said, question.passage, places, asked, tuple(question.options)


def _conversation(chat: Chat) -> str:
    return "\n".join(message.content for message in chat.messages if message.role != "system")


def _gave_away(
    records: Sequence[Question] | Sequence[Chat], contacts: Mapping[int, Contact]
) -> list[Removed]:
    return [_gone(records[i], c.reason, c.scored) for i, c in sorted(contacts.items())]


def _gone(record: Question | Chat, reason: Reason, near: str | None = None) -> Removed:
    split = record.split if isinstance(record, Question) else "train"
    return Removed(id=record.id, source=record.source, split=split, reason=reason, near=near)
