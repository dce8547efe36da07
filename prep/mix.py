"""What a source gives to a stage's mix: its records less the removed ones, rendered as rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from core.records import Chat, Question, Reason, Removed, Row, draw, ids_of_copies
from core.text import compared
from prep.dedup import Document, Method, Simhash, copies, duplicates
from prep.guards.contamination import Contact, Scored
from prep.render import Renderer


# Weight 2 takes every record twice, 0.5 a half of them, 2.5 every record twice and a half of them a
# third time.
def times(records: Sequence[Question | Chat], weight: float, seed: int) -> list[int]:
    """How often each record is taken: the integer part of the weight, once more for a drawn share.

    The share is the weight's fraction of the number of records. Groups (chats: each its own) are
    put into an order drawn by seed, source and group; as many of the first ones are taken as
    bring their number of records nearest to the share, of two equally near numbers the smaller. So
    a smaller share is always a part of a larger one, wherever the records stand.
    """
    exact = Fraction(str(weight))
    if exact < 0:
        raise ValueError(f"weight {weight}: give 0 or more")
    every = exact.numerator // exact.denominator
    share = (exact - every) * len(records)
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        group = record.group if isinstance(record, Question) else record.id
        places[record.source, group].append(place)
    result = [every] * len(records)
    taken = 0
    for group in sorted(places, key=lambda group: (draw(seed, "weight", *group), group)):
        size = len(places[group])
        if abs(taken + size - share) >= abs(taken - share):
            break
        taken += size
        for place in places[group]:
            result[place] += 1
    return result


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


@dataclass(frozen=True)
class QuestionSet:
    """The questions of one source of a mix, how often they are taken and how they are shown."""

    source: str
    questions: list[Question]
    renderer: Renderer
    weight: float = 1.0


def without_answer(questions: Sequence[Question]) -> tuple[list[Question], list[Removed]]:
    """Questions that have an answer, and those removed because they have none."""
    answered = [question for question in questions if question.answer is not None]
    return answered, [_gone(q, "no-answer") for q in questions if q.answer is None]


def question_portions(
    sets: Sequence[QuestionSet], scored: Scored, fits: Fits | None = None
) -> list[Portion]:
    """Training rows of sets of questions, in the order of the mix, taken by their weights.

    Several questions share a dialogue by design, so that among themselves only copies go: the same
    dialogue, reference, question and options. Of those the one of the first set stays, there the
    one with the smallest id; where their answers differ, none stays, since which is right is not
    known. `fits` says whether a row is short enough; a question of which one row is not is
    dropped with all its rows.
    """
    portions: list[Portion] = []
    apart: list[list[Question]] = []
    gone: list[list[Removed]] = []
    for one in sets:
        answered, removed = without_answer(one.questions)
        contacts = scored.contacts(answered)
        gone.append(removed + _gave_away(answered, contacts))
        apart.append([question for i, question in enumerate(answered) if i not in contacts])
    alike = _alike(apart)
    for one, questions, removed in zip(sets, apart, gone, strict=True):
        found = {question.id: alike.get((question.source, question.id)) for question in questions}
        removed += [_gone(q, *why) for q in questions if (why := found[q.id])]
        kept = [question for question in questions if not found[question.id]]
        shown = one.renderer
        rows, left_out = _shaped(kept, shown.training, one.weight, shown.seed, fits)
        out = {gone.id for gone in left_out}
        kept = [question for question in kept if question.id not in out]
        removed += left_out
        portions.append(Portion(one.source, len(one.questions), len(kept), rows, removed, kept))
    return portions


def _alike(sets: Sequence[Sequence[Question]]) -> dict[tuple[str, str], tuple[Reason, str]]:
    """By source and id, why a question is dropped that is asked elsewhere too, and the id of that.

    A copy shows the options in the same order; to contradict another, a question may show them in
    any order.
    """
    ordered = [one for each in sets for one in sorted(each, key=lambda question: question.id)]
    found: dict[tuple[str, str], tuple[Reason, str]] = {}
    first: dict[object, Question] = {}
    for question in ordered:
        same = first.setdefault((_asked(question), _options(question)), question)
        if same is not question:
            found[question.source, question.id] = "exact-duplicate", same.id
    together: dict[object, list[Question]] = defaultdict(list)
    for question in ordered:
        together[_asked(question), tuple(sorted(_options(question)))].append(question)
    for each in together.values():
        answered = [(one, _options(one)[one.answer or 0]) for one in each]
        for one, answer in answered:
            if others := [other.id for other, given in answered if given != answer]:
                found[one.source, one.id] = "contradiction", others[0]
    return found


def chat_portions(
    sets: Sequence[tuple[str, list[Chat], list[Removed]]],
    scored: Scored,
    renderer: Renderer,
    weights: Mapping[str, float] | None = None,
    fits: Fits | None = None,
    method: Method = _DEFAULT,
) -> tuple[list[Portion], dict[str, int]]:
    """Training rows of chat sets, duplicates removed within and across them, and what of the
    comparison `dedup.Deduplication` counts.

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
    items = [Document(_conversation(chat), priority[chat.source], chat.id) for chat in chats]
    found = duplicates(items, method, scored.ray)
    drop({i: chats[near.kept].id for i, near in found.removed.items()}, "near-duplicate")

    def render(taken: Sequence[Chat], counts: Sequence[int]) -> list[Row]:
        pairs = zip(map(renderer.chat, taken), counts, strict=True)
        return [
            row.model_copy(update={"id": name})
            for row, count in pairs
            for name in ids_of_copies(row.id, count)
        ]

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
    short: dict[tuple[str, str], bool] = {}  # by record and row: one per order
    while True:
        counts = times(records, weight, seed)
        rows = render(records, counts)
        if fits:
            short |= {key: fits(row) for row in rows if (key := (row.record, row.id)) not in short}
        long = {row.record for row in rows if not short.get((row.record, row.id), True)}
        if not long:
            break
        removed += [_gone(one, "too-long") for one in records if one.id in long]
        records = [one for one in records if one.id not in long]
    pairs = zip(records, counts, strict=True)
    return rows, removed + [_gone(one, "not-sampled") for one, count in pairs if not count]


def _asked(question: Question) -> tuple[object, ...]:
    """What is asked, as `compared`; the ids of turns are no part, nor is who published it.

    The category says what is asked of a dialogue; of a question it is the publisher's subject.
    """
    said = tuple((turn.speaker, compared(turn.text)) for turn in question.turns)
    places = tuple(k for k, turn in enumerate(question.turns) if turn.id in question.focus)
    texts = (question.passage, question.question or question.category, question.note)
    return said, places, *(text and compared(text) for text in texts)


def _options(question: Question) -> tuple[str, ...]:
    return tuple(map(compared, question.options))


def _conversation(chat: Chat) -> str:
    return "\n".join(message.content for message in chat.messages if message.role != "system")


def _gave_away(
    records: Sequence[Question] | Sequence[Chat], contacts: Mapping[int, Contact]
) -> list[Removed]:
    return [_gone(records[i], c.reason, c.scored) for i, c in sorted(contacts.items())]


def _gone(record: Question | Chat, reason: Reason, near: str | None = None) -> Removed:
    split = record.split if isinstance(record, Question) else "train"
    return Removed(id=record.id, source=record.source, split=split, reason=reason, near=near)
