"""A pseudo-random number of a record's own: the same wherever the record stands in its file."""

from hashlib import blake2b


def draw(seed: int, *names: object) -> int:
    """A number from 0 to 2**64 - 1, made of the seed and of names such as source and id."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
