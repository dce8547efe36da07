"""How often each record of a source goes into a stage's mix, by the source's weight.

Weight 2 takes every record twice, 0.5 a half of them, 2.5 every record twice and a half of them a
third time.
"""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from prep.augment.seeded import draw
from prep.records import Chat, Question


def times(records: Sequence[Question | Chat], weight: float, seed: int) -> list[int]:
    """How often each record is taken: the whole of the weight, and once more for a drawn share.

    The share is the weight's fraction of the number of records. Groups (chats: each its own) are
    put into an order drawn by seed, source and group; as many of the first ones are taken whole as
    bring their number of records nearest to the share, of two equally near numbers the smaller. So
    a smaller share is always a part of a larger one, wherever the records stand.
    """
    exact = Fraction(str(weight))
    if exact < 0:
        raise ValueError(f"weight {weight}: give 0 or more")
    whole = exact.numerator // exact.denominator
    share = (exact - whole) * len(records)
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        group = record.group if isinstance(record, Question) else record.id
        places[record.source, group].append(place)
    result = [whole] * len(records)
    taken = 0
    for group in sorted(places, key=lambda group: (draw(seed, "weight", *group), group)):
        size = len(places[group])
        if abs(taken + size - share) >= abs(taken - share):
            break
        taken += size
        for place in places[group]:
            result[place] += 1
    return result


def names(id_: str, count: int) -> list[str]:
    """What a record's rows are called when it is taken `count` times: "a", "a~2", "a~3"."""
    return [f"{id_}~{k}" if k > 1 else id_ for k in range(1, count + 1)]
