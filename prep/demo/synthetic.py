"""Make the demo's corpora: synthetic CCI dialogues, target and broad, and two chat sets.

Run as: python prep/demo/synthetic.py

It is a matching task, not inference: the right option names the speaker and the thing of the
reference utterance. It shows that the chain learns from end to end.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from core.errors import UserError, entry
from core.jsonl import write_json, write_records
from core.layout import DEMO
from core.particles import attach
from core.records import CATEGORIES
from prep.demo.grammar import KINDS, OPENERS, REPLIES, fill, pairs, plain

SIZES = {"train": 300, "dev": 50, "test": 300}  # dialogues, two questions each
BROAD = 450  # dialogues of the broad set
CHATS = 150  # rows of each chat set
PATIENCE = 200  # dialogues in a row that were there before: the grammar is used up


@dataclass(frozen=True)
class Talk:
    """A dialogue of one category: (speaker, text) turns, and what each speaker spoke of."""

    category: str
    turns: tuple[tuple[int, str], ...]
    facts: tuple[tuple[int, int, str], ...]  # (turn, speaker, thing)


def talk(rng: random.Random, category: str, register: str, split: str) -> Talk:
    """One random dialogue: each speaker says something of one thing, the other answers."""
    kind = KINDS[register][category]
    things = list(rng.choice(pairs(kind, split)))
    rng.shuffle(things)
    first = rng.choice((1, 2))
    turns: list[tuple[int, str]] = []
    if rng.random() < 0.3:
        hello, answer = rng.choice(OPENERS[register])
        turns += [(first, hello), (3 - first, answer)]
    facts = []
    for speaker, thing in zip((first, 3 - first), things, strict=True):
        facts.append((len(turns), speaker, thing))
        turns.append((speaker, fill(rng.choice(kind.said), thing)))
        turns.append((3 - speaker, rng.choice(REPLIES[register])))
    return Talk(category, tuple(turns), tuple(facts))


def options(rng: random.Random, dialogue: Talk, fact: int, register: str) -> tuple[list[str], int]:
    """Three options for a reference utterance and the place of the right one.

    The four pairings of the two speakers with the two things, less one wrong one, in random order:
    each is as often right as any other, so the options alone show nothing.
    """
    kind = KINDS[register][dialogue.category]
    _, *said = dialogue.facts[fact]
    right = tuple(said)
    wrong = [p for p in product((1, 2), (f[2] for f in dialogue.facts)) if p != right]
    shown = [right, *rng.sample(wrong, 2)]
    rng.shuffle(shown)
    wording = rng.choice(kind.follows)
    return [fill(wording, thing, speaker) for speaker, thing in shown], shown.index(right)


def item(rng: random.Random, dialogue: Talk, fact: int, register: str, name: str) -> dict[str, Any]:
    """One question as the institute publishes it, borders still in the text."""
    conversation = [
        {"speaker": speaker, "utterance": text, "utterance_id": f"{name}.{k}"}
        for k, (speaker, text) in enumerate(dialogue.turns, start=1)
    ]
    texts, right = options(rng, dialogue, fact, register)
    return {
        "id": f"{name}-{fact + 1}",
        "input": {
            "conversation": conversation,
            "reference_id": [conversation[dialogue.facts[fact][0]]["utterance_id"]],
            "category": dialogue.category,
            **{f"inference_{k}": text for k, text in enumerate(texts, start=1)},
        },
        "output": f"inference_{right + 1}",
    }


def corpus(split: str, dialogues: int, seed: int, register: str = "target") -> list[dict[str, Any]]:
    """Two questions on each of `dialogues` different dialogues; categories take turns.

    Raises `UserError` where the grammar holds fewer different dialogues than asked for.
    """
    rng = random.Random(f"{seed}/{register}/{split}")
    seen: set[Talk] = set()
    items: list[dict[str, Any]] = []
    misses = 0
    while len(seen) < dialogues:
        dialogue = talk(rng, CATEGORIES[len(seen) % len(CATEGORIES)], register, split)
        if dialogue in seen:
            misses += 1
            if misses == PATIENCE:
                raise UserError(
                    f"the grammar holds only about {len(seen)} different {register} dialogues for "
                    f"{split}; ask for fewer than {dialogues}"
                )
            continue
        misses = 0
        seen.add(dialogue)
        name = f"synthetic-{register}-{split}-{len(seen):05d}"
        items += [item(rng, dialogue, fact, register, name) for fact in (0, 1)]
    return items


def proofreading(seed: int, count: int) -> Iterator[dict[str, str]]:
    """Corrections in the alpaca form: a topic particle that does not fit is put right."""
    rng = random.Random(f"{seed}/proofreading")
    for _ in range(count):
        kind = KINDS["broad"][rng.choice(CATEGORIES)]
        speaker = rng.choice((1, 2))
        right = plain(fill(rng.choice(kind.follows), rng.choice(kind.things), speaker))
        topic = attach(f"화자{speaker}", "은")
        wrong = f"화자{speaker}" + ("는" if topic.endswith("은") else "은")
        yield {
            "instruction": "틀린 조사를 고쳐 주세요.",
            "input": right.replace(topic, wrong),
            "output": right,
        }


def small_talk(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """General instructions in the messages form: which of three words stands where."""
    rng = random.Random(f"{seed}/small-talk")
    places = ("첫째", "둘째", "셋째")
    words = [thing for kind in KINDS["broad"].values() for thing in kind.things]
    for number in range(count):
        shown = rng.sample(words, 3)
        place = rng.randrange(3)
        ask = f"{', '.join(shown)} 가운데 {places[place]} 낱말을 적어 주세요."
        yield {
            "id": f"small-talk-{number:05d}",
            "messages": [
                {"role": "user", "content": ask},
                {"role": "assistant", "content": shown[place]},
            ],
        }


def unmarked(record: Any) -> Any:
    """A record with the borders taken out of every text in it."""
    if isinstance(record, str):
        return plain(record)
    if isinstance(record, list):
        return [unmarked(value) for value in record]
    if isinstance(record, dict):
        return {key: unmarked(value) for key, value in record.items()}
    return record


def main() -> None:
    """Write the three splits and the two chat sets."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="example: python prep/demo/synthetic.py --seed 2024",
    )
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write")
    parser.add_argument("--seed", type=int, default=2024, help="the same seed, the same bytes")
    args = parser.parse_args()

    for split, dialogues in SIZES.items():
        write_json(args.out / f"{split}.json", unmarked(corpus(split, dialogues, args.seed)))
    write_json(args.out / "broad.json", unmarked(corpus("train", BROAD, args.seed, "broad")))
    write_records(args.out / "proofreading.jsonl", proofreading(args.seed, CHATS))
    write_records(args.out / "small-talk.jsonl", small_talk(args.seed, CHATS))


if __name__ == "__main__":
    entry(main)
