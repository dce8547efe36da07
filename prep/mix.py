"""What a source gives to a stage's mix: its records less the removed ones, rendered as rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prep.dedup import Item, Simhash, copies, duplicates, near_any
from prep.records import Chat, Question, Reason, Removed, Row
from prep.render import Renderer


@dataclass(frozen=True)
class Portion:
    """One source's part of a stage; `read` records came in and `kept` of them became rows."""

    source: str
    read: int
    kept: int
    rows: list[Row]
    removed: list[Removed]

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


class Scored:
    """The dev and test questions, which no training record may come near to."""

    def __init__(self, questions: Sequence[Question], renderer: Renderer, bits: int) -> None:
        self.method = Simhash(bits=bits, compatible=True)
        self._groups: dict[str, str] = {}
        self._dialogues: dict[str, str] = {}
        self._prompts: dict[str, str] = {}
        for question in questions:
            self._groups.setdefault(question.group, question.id)
            self._dialogues.setdefault(dialogue(question), question.id)
            _, user = renderer.prompt.texts(question, range(len(question.options)))
            self._prompts.setdefault(user, question.id)

    def near_questions(self, questions: Sequence[Question]) -> dict[int, str]:
        """Of questions whose dialogue is a scored one or near to it: place, and the scored id."""
        ids = list(self._dialogues.values())
        found = near_any(
            [dialogue(question) for question in questions], [*self._dialogues], self.method
        )
        near = {i: ids[j] for i, j in found.items()}
        for i, question in enumerate(questions):
            if question.group in self._groups:
                near[i] = self._groups[question.group]
        return near

    def near_chats(self, chats: Sequence[Chat]) -> dict[int, str]:
        """Of chats that ask with a scored dialogue or prompt, or near: place, and the scored id."""
        said = [
            (i, message.content)
            for i, chat in enumerate(chats)
            for message in chat.messages
            if message.role == "user"
        ]
        ids = [*self._dialogues.values(), *self._prompts.values()]
        texts = [*self._dialogues, *self._prompts]
        near: dict[int, str] = {}
        for k, j in sorted(near_any([text for _, text in said], texts, self.method).items()):
            near.setdefault(said[k][0], ids[j])
        return near


def dialogue(question: Question) -> str:
    """The dialogue as a prompt shows it, or the passage."""
    return question.passage or "\n".join(f"{turn.speaker}: {turn.text}" for turn in question.turns)


def without_answer(questions: Sequence[Question]) -> tuple[list[Question], list[Removed]]:
    """Questions that have an answer, and those removed because they have none."""
    answered = [question for question in questions if question.answer is not None]
    return answered, [_gone(q, "no-answer") for q in questions if q.answer is None]


def question_portion(questions: Sequence[Question], scored: Scored, renderer: Renderer) -> Portion:
    """Training rows of questions.

    Several questions share a dialogue by design, so that among themselves only copies go: the same
    dialogue, reference, category and options; the one with the smallest id stays.
    """
    answered, removed = without_answer(questions)
    near = scored.near_questions(answered)
    removed += [_gone(answered[i], "near-scored", near[i]) for i in sorted(near)]
    apart = [question for i, question in enumerate(answered) if i not in near]
    by_id = sorted(apart, key=lambda question: question.id)
    copied = copies(_content(question) for question in by_id)
    twice = {by_id[i].id: by_id[first].id for i, first in copied.items()}
    removed += [_gone(q, "exact-duplicate", twice[q.id]) for q in apart if q.id in twice]
    kept = [question for question in apart if question.id not in twice]
    rows = [row for question in kept for row in renderer.training(question)]
    return Portion(questions[0].source, len(questions), len(kept), rows, removed)


def chat_portions(
    sets: Sequence[tuple[str, list[Chat], list[Removed]]], scored: Scored, renderer: Renderer
) -> list[Portion]:
    """Training rows of chat sets, duplicates removed within and across them.

    `sets` holds (name, chats, chats already removed) in the order of the mix. Of duplicates the one
    of the first set stays, there the longest, then the one with the smallest id, in whatever order
    they were read.
    """
    priority = {name: place for place, (name, _, _) in enumerate(sets)}
    chats = [chat for _, read, _ in sets for chat in read]
    chats.sort(key=lambda chat: (priority[chat.source], -len(_conversation(chat)), chat.id))
    gone: list[Removed] = []

    def drop(found: dict[int, str], reason: Reason) -> None:
        gone.extend(_gone(chats[i], reason, near) for i, near in sorted(found.items()))
        chats[:] = [chat for i, chat in enumerate(chats) if i not in found]

    drop(scored.near_chats(chats), "near-scored")
    alike = copies(tuple((m.role, m.content) for m in chat.messages) for chat in chats)
    drop({i: chats[first].id for i, first in alike.items()}, "exact-duplicate")
    items = [Item(_conversation(chat), priority[chat.source], chat.id) for chat in chats]
    found = duplicates(items, scored.method).removed
    drop({i: chats[near.kept].id for i, near in found.items()}, "near-duplicate")

    kept = {(chat.source, chat.id) for chat in chats}
    return [
        Portion(
            name,
            len(read) + len(empty),
            sum(chat.source == name for chat in chats),
            [renderer.chat(chat) for chat in read if (name, chat.id) in kept],
            empty + [record for record in gone if record.source == name],
        )
        for name, read, empty in sets
    ]


def _content(question: Question) -> tuple[object, ...]:
    """What makes two questions the same: turn and utterance ids do not."""
    said = tuple((turn.speaker, turn.text) for turn in question.turns)
    places = tuple(k for k, turn in enumerate(question.turns) if turn.id in question.focus)
    return said, question.passage, places, question.category, tuple(question.options)


def _conversation(chat: Chat) -> str:
    return "\n".join(message.content for message in chat.messages if message.role != "system")


def _gone(record: Question | Chat, reason: Reason, near: str | None = None) -> Removed:
    split = record.split if isinstance(record, Question) else "train"
    return Removed(id=record.id, source=record.source, split=split, reason=reason, near=near)
