"""Texts made on the spot, which no corpus holds."""

import random


def prose(seed: int, syllables: int = 1500) -> str:
    """Random Hangul in sentences: long enough for Simhash to see that a small edit is small."""
    rng = random.Random(seed)
    words = [
        "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(3)) for _ in range(syllables // 3)
    ]
    return " ".join(words) + "."


LONG, OTHER = prose(1), prose(2)
NEAR = LONG[:800] + "말" + LONG[801:]
