"""What stands too near to a scored text: here a doubt speaks for removal."""

from collections.abc import Iterable, Sequence

from prep.dedup import join
from prep.dedup.methods import Method, Ray, sign
from prep.text import nfc


def copies(texts: Iterable[object]) -> dict[int, int]:
    """For every item that equals an earlier one: its place, and that of the first such."""
    first: dict[object, int] = {}
    return {i: place for i, text in enumerate(texts) if (place := first.setdefault(text, i)) != i}


def near_any(
    texts: Sequence[str], scored: Sequence[str], method: Method, ray: Ray | None = None
) -> dict[int, int]:
    """For every text equal or near to a scored one: its place, and the first such one's.

    A change of number, name or polarity does not excuse a text, and no bucket is capped.
    """
    if not scored:
        return {}
    places: dict[str, int] = {}
    numbers = [places.setdefault(nfc(text), len(places)) for text in texts]
    targets: dict[str, int] = {}
    for j, text in enumerate(scored):
        targets.setdefault(nfc(text), j)
    distinct, aims, first = list(places), list(targets), list(targets.values())
    found = {i: targets[text] for i, text in enumerate(distinct) if text in targets}
    left, right = sign(distinct, method, ray), sign(aims, method)
    pairs = join.between(method.tables(left), method.tables(right), method.close(left, right))
    near = method.near(distinct, left, aims, right)
    for i, j in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
        if left.grams[i] and right.grams[j] and near(i, j) is not None:
            found[i] = min(first[j], found.get(i, first[j]))
    return {i: found[number] for i, number in enumerate(numbers) if number in found}
