"""Make what the tiny base model is pretrained on: exercises in letters and matching, no dialogues.

Run as: python prep/demo/exercises.py --out data/tiny-base/exercises.jsonl

An exercise shows lettered lines and asks for letters: of a line named by its words, or of the line
that agrees with a given pair of speaker and thing. No exercise holds a dialogue, a reference block,
a category or a question, so that the task itself is left for the recipes to teach.
"""

import argparse
import random
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from core.errors import entry
from core.jsonl import write_records
from core.records import LABELS
from prep.demo.grammar import BORDER, BROAD, TARGET, Kind, fill, pairs
from prep.demo.synthetic import unmarked

KINDS: tuple[Kind, ...] = (*TARGET.values(), *BROAD.values())

Exercise = Callable[[random.Random], tuple[str, str]]  # -> user text, assistant text


def lettered(lines: list[str]) -> str:
    """The lines with their letters, one a line."""
    return "\n".join(f"{letter}. {line}" for letter, line in zip(LABELS, lines, strict=False))


def things(rng: random.Random, count: int) -> list[str]:
    """Different things of any kind; no two of one kind, so that no held-out pair is shown."""
    kinds = rng.sample(KINDS, count)
    return [rng.choice(kind.things) for kind in kinds]


def kind_of(thing: str) -> Kind:
    """The kind that a thing belongs to."""
    return next(kind for kind in KINDS if thing in kind.things)


def cells(rng: random.Random) -> list[tuple[int, str]]:
    """Three pairings of the two speakers with two things of one kind, or two that share the thing.

    The second sort differ in the speaker only, which is the harder half to learn.
    """
    pair = rng.choice(pairs(rng.choice(KINDS), "train"))
    grid = rng.sample(list(product((1, 2), pair)), 3)
    if rng.random() < 0.5:
        return grid
    thing = grid[0][1]
    return rng.sample([(1, thing), (2, thing)], 2)


def option_lines(rng: random.Random, grid: list[tuple[int, str]]) -> list[str]:
    """The pairings as sentences of one wording."""
    wording = rng.randrange(2)
    return [fill(kind_of(thing).follows[wording], thing, who) for who, thing in grid]


def recite_words(rng: random.Random) -> tuple[str, str]:
    """Three lettered words; the answer names them again and again, each with its letter."""
    words = things(rng, 3)
    said = [rng.randrange(3) for _ in range(8)]
    return lettered(words), "답: " + " ".join(words[k] + BORDER + LABELS[k] for k in said)


def recite_pairs(rng: random.Random) -> tuple[str, str]:
    """Three lettered sentences; the answer names speaker and thing of each with its letter."""
    grid = cells(rng)
    said = [rng.randrange(len(grid)) for _ in range(6)]
    named = (f"화자{grid[k][0]} {grid[k][1]}{BORDER}{LABELS[k]}" for k in said)
    return lettered(option_lines(rng, grid)), "답: " + " ".join(named)


def judge_lines(rng: random.Random) -> tuple[str, str]:
    """A pair first; the answer judges sentences by whether they agree with it in both."""
    grid = cells(rng)
    who, thing = rng.choice(grid)
    judged = [rng.randrange(len(grid)) for _ in range(4)]
    lines = option_lines(rng, grid)
    verdicts = (f"- {lines[k]} {'참' if grid[k] == (who, thing) else '거짓'}" for k in judged)
    return f"기준: 화자{who} {thing}", "\n".join(verdicts)


def match_line(rng: random.Random) -> tuple[str, str]:
    """A pair first, then three lettered sentences; the answer is the letter that agrees in both."""
    grid = cells(rng)
    k = rng.randrange(len(grid))
    who, thing = grid[k]
    given = f"화자{who} {thing}" if rng.random() < 0.5 else f"{thing} 화자{who}"
    return f"기준: {given}\n\n{lettered(option_lines(rng, grid))}", LABELS[k]


# From dense to sparse: first many letters an answer, then one at the end of a complete exercise.
CURRICULUM: tuple[tuple[float, dict[Exercise, float]], ...] = (
    (0.1, {recite_words: 1.0}),
    (0.3, {recite_words: 0.2, recite_pairs: 0.3, judge_lines: 0.3, match_line: 0.2}),
    (0.6, {recite_words: 0.1, recite_pairs: 0.1, judge_lines: 0.2, match_line: 0.6}),
)


def exercises(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """`count` exercises in the curriculum's order, as rows with messages, borders in the text."""
    rng = random.Random(f"{seed}/drills")  # the name that the committed base was drawn by
    number = 0
    for share, mix in CURRICULUM:
        for exercise in rng.choices(list(mix), list(mix.values()), k=round(share * count)):
            user, assistant = exercise(rng)
            number += 1
            yield {
                "id": f"drill-{number:06d}",
                "messages": [
                    {"role": "user", "content": user},
                    {"role": "assistant", "content": assistant},
                ],
            }


def main() -> None:
    """Write the exercises."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="example: python prep/demo/exercises.py --out data/exercises.jsonl --count 1000",
    )
    parser.add_argument("--out", type=Path, default=Path("data/tiny-base/exercises.jsonl"))
    parser.add_argument("--count", type=int, default=192_000, help="how many exercises")
    parser.add_argument("--seed", type=int, default=2024, help="the same seed, the same bytes")
    args = parser.parse_args()
    write_records(args.out, map(unmarked, exercises(args.seed, args.count)))


if __name__ == "__main__":
    entry(main)
