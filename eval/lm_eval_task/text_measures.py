"""The measures of docs/texts.md, for lm-evaluation-harness to find of what it generated.

make_texts.py copies this file next to such a task. lm-eval runs it, and it imports what
eval/score_texts.py measures by: so the repository must be where modules are found.
"""

from collections.abc import Sequence
from typing import Any

from eval.metrics.answer_texts import MEASURES, measured, unread


def measure(doc: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Every measure of an item's one text, 0 to 1; whether it was cut off lm-eval does not say."""
    [text] = results
    values = [0.0] * len(MEASURES) if unread(text, True, None) else None
    return dict(zip(MEASURES, values or measured(text.strip(), doc["references"]), strict=True))
