"""Why records are removed, in words."""

from collections import Counter
from collections.abc import Iterable

from prep.records import Reason, Removed

WHY: dict[Reason, str] = {
    "exact-duplicate": "equal to a record that stays",
    "near-duplicate": "nearly equal to a record that stays",
    "contradiction": "the same question has another answer elsewhere",
    "near-scored": "equal or near to a dev or test question, or quotes one",
    "holds-scored-id": "names a dev or test question",
    "empty": "a text it needs is empty",
    "bad-options": "options that cannot be asked with: empty, alike, fewer than 2 or more than 5",
    "bad-roles": "user and assistant do not take turns, the assistant last",
    "malformed": "has another form than its set",
    "doubled-id": "has the id of a record that stays",
    "no-answer": "has no answer to train on or to compare with",
    "too-long": "longer than the run allows",
    "not-sampled": "left out by the weight of its source",
}


def counted(removed: Iterable[Removed]) -> str:
    """How many records were removed for which reason, the most frequent first."""
    reasons = Counter(record.reason for record in removed)
    return ", ".join(f"{count} {reason} ({WHY[reason]})" for reason, count in reasons.most_common())
