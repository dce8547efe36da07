"""Choose by options' texts alone, where lm-eval counts the end of the prompt with each of them.

make.py copies this file next to such a task. lm-eval runs it, in whatever environment it has: so it
imports nothing of ours.
"""

from collections.abc import Sequence
from typing import Any


def choose(doc: dict[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """An item's acc, acc_norm and acc_bytes, 1 or 0, as lm-eval would find them without that end.

    `results` begin with an option's log-likelihood (nats) each; what follows them, if anything, is
    that of the prompt's end alone. Of equals the one shown first is chosen, as by lm-eval.
    """
    options = doc["options"]
    end = sum(value for value, _ in results[len(options) :])
    lengths = {
        "acc": [1 for _ in options],
        "acc_norm": [len(text) for text in options],
        "acc_bytes": [len(text.encode()) for text in options],
    }
    found = {}
    for metric, sizes in lengths.items():
        scores = [(results[k][0] - end) / size for k, size in enumerate(sizes)]
        found[metric] = float(scores.index(max(scores)) == doc["gold"])
    return found
