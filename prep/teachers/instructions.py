"""Instructions that a chat model writes when it is given its own template and nothing else.

Xu et al. (2024, Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with
Nothing): behind the tokens that open a user's turn, an aligned model writes what a user would.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from core.errors import UserError
from core.records import Chat, Message, Reason, Removed
from prep.dedup import Document, Method, Simhash, duplicates
from prep.dedup.ngrams import kept_characters
from prep.guards.contamination import Scored
from prep.teachers.answer_store import Call
from prep.teachers.production import Asker, Signed, Unusable, conversation

SOURCE = "magpie"
FEWEST, MOST = 8, 2000  # characters of an instruction
HANGUL = 0.5  # of its letters at least
REPEATED = 0.3  # of a text's 5-character pieces at most, those that were there before
PIECE = 5
MARK = "\u2402user\u2402"  # stands in for a user's text
_DEFAULT = Simhash()


class Template(NamedTuple):
    """What a chat template puts before a user's text, and the start of what it puts behind it."""

    before: str
    after: str


class Draw(NamedTuple):
    """One instruction to be drawn."""

    id: str
    seed: int


class Instruction(Signed):
    """A line of the product: source `messages`."""

    id: str
    messages: list[Message]


def template_of(tokenizer: str | None, teacher: str) -> Template:
    """The template of a tokenizer's folder; raises `UserError` where it has none."""
    if tokenizer is None or not Path(tokenizer).is_dir():
        raise UserError(
            f"teacher {teacher}: its tokenizer {tokenizer or ''} is no folder; name the folder of "
            "the model's tokenizer, whose chat template instructions are drawn from"
        )
    from transformers import AutoTokenizer

    given = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
    if not given.chat_template:
        raise UserError(f"{tokenizer}: has no chat template; name a chat model's tokenizer")
    text = given.apply_chat_template(
        [{"role": "user", "content": MARK}], tokenize=False, add_generation_prompt=True
    )
    before, _, after = text.partition(MARK)
    if given.bos_token and before.startswith(given.bos_token):
        before = before.removeprefix(given.bos_token)  # the server puts it there
    return Template(before, after.strip())


def flaw(text: str) -> Reason | None:
    """Why a text is not kept: its length, its language, or that it repeats itself."""
    if not FEWEST <= len(text) <= MOST:
        return "length"
    letters = [char for char in text if char.isalpha()]
    hangul = re.findall(r"[가-힣]", text)
    if len(hangul) < HANGUL * max(1, len(letters)):
        return "language"
    kept = kept_characters(text)
    pieces = Counter(kept[k : k + PIECE] for k in range(max(0, len(kept) - PIECE + 1)))
    repeated = sum(count - 1 for count in pieces.values())
    return "repetitive" if repeated > REPEATED * max(1, pieces.total()) else None


@dataclass(frozen=True)
class Instructions:
    """Instructions, and the answers of the same model."""

    teacher: str
    model: str
    template: Template
    scored: Scored
    method: Method = _DEFAULT
    seed: int = 42
    max_tokens: int = 1024
    name: ClassVar[str] = SOURCE
    prompt: ClassVar[str] = "the model's own template"

    def draws(self, count: int) -> list[Draw]:
        """So many draws, each with a seed of its own."""
        return [Draw(f"{SOURCE}-{self.seed + k:06d}", self.seed + k) for k in range(count)]

    def calls(self, draw: Draw) -> list[Call]:
        """The instruction's, and that of its answer by the longest instruction."""
        return [self._drawing(draw), self._answering("가" * MOST)]

    async def make(self, draw: Draw, asker: Asker) -> Instruction:
        """An instruction that is kept, with a complete answer that is."""
        text = (await asker.text(self._drawing(draw))).text.strip()
        if why := flaw(text):
            raise Unusable(why)
        answer = (await asker.text(self._answering(text))).text.strip()
        if not answer:
            raise Unusable("empty")
        if (why := flaw(answer)) in ("language", "repetitive"):
            raise Unusable(why)
        said = (("user", text), ("assistant", answer))
        return Instruction(
            id=draw.id,
            messages=[Message(role=role, content=content) for role, content in said],
            teacher=self.teacher,
            model=self.model,
            prompt=self.prompt,
            seed=draw.seed,
        )

    def settled(self, lines: list[Instruction]) -> tuple[list[Instruction], list[Removed]]:
        """The lines that give no scored question away and are near to no other."""
        chats = [Chat(id=one.id, source=SOURCE, messages=one.messages) for one in lines]
        gone: dict[int, tuple[Reason, str]] = {
            i: (found.reason, found.scored) for i, found in self.scored.contacts(chats).items()
        }
        left = [i for i in range(len(lines)) if i not in gone]
        items = [Document(lines[i].messages[0].content, 0, lines[i].id) for i in left]
        for place, near in duplicates(items, self.method).removed.items():
            gone[left[place]] = near.reason, lines[left[near.kept]].id
        removed = [
            Removed(id=lines[i].id, source=SOURCE, split="train", reason=reason, near=near)
            for i, (reason, near) in sorted(gone.items())
        ]
        return [one for i, one in enumerate(lines) if i not in gone], removed

    def _drawing(self, draw: Draw) -> Call:
        body: dict[str, Any] = {
            "prompt": self.template.before,
            "max_tokens": 256,
            "temperature": 1.0,
            "seed": draw.seed,
        }
        if self.template.after:
            body["stop"] = [self.template.after.splitlines()[0]]
        return Call(endpoint="completions", body=body)

    def _answering(self, text: str) -> Call:
        return conversation([Message(role="user", content=text)], self.max_tokens, self.seed)
