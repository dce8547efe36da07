"""Texts and dialogues after cleaning, as the examples of the rules write them."""

from prep.cleaning import PRESETS, RULES, clean
from prep.cleaning.cleaning_rules import TextRule
from prep.cleaning.docs import dialogue, written

MAERAK = PRESETS["maerak"]


def text(example: str, rules: tuple[str, ...] = MAERAK) -> str:
    """What text rules make of one utterance."""
    for name in rules:
        rule = RULES[name]
        if isinstance(rule, TextRule) and "turns" in rule.places:
            example = rule.change(example)
    return example


def cleaned(example: str, rules: tuple[str, ...] = MAERAK) -> str:
    return written(clean(dialogue(example), rules)[0])
