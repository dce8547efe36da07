"""Cleaning of dialogues by named rules; docs/cleaning.md shows each by example.

A run's `clean:` is the name of a preset or a list of rules in their order.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from core.records import Changed, Question
from earlier_systems import pohanghang
from prep.cleaning import jamo
from prep.cleaning.cleaning_rules import (
    GREETINGS,
    MARKS,
    NAMES,
    SPACES,
    SPEAKERS,
    SYMBOL_RULES,
    TAMAGO_RULES,
    TURNS_RULES,
    WORDLESS,
    Rule,
    TextRule,
    TurnsRule,
)

_CORRECTED: tuple[Rule, ...] = (
    SPACES,
    *SYMBOL_RULES,
    SPEAKERS,
    NAMES,
    MARKS,
    *jamo.RULES,
    GREETINGS,
    WORDLESS,
    *TURNS_RULES,
)
_POHANGHANG: tuple[Rule, ...] = (
    *(TextRule(*step, spares=False) for step in pohanghang.ON_TEXTS),
    TurnsRule(*pohanghang.EMPTY),
)
RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (*_CORRECTED, *TAMAGO_RULES, *_POHANGHANG, TurnsRule(*pohanghang.SHORT))
}
PRESETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "maerak": tuple(rule.name for rule in _CORRECTED),
    "pohanghang": (*(rule.name for rule in _POHANGHANG), "merge"),
    "tamago": (*(rule.name for rule in TAMAGO_RULES), "empty"),
}


def rules_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """The rules of a `clean:` value; raises `ValueError` naming the nearest known name."""
    if isinstance(value, str):
        if value not in PRESETS:
            raise ValueError(f"no preset {value!r}; {_nearest(value, PRESETS)}")
        return PRESETS[value]
    for name in value:
        if name not in RULES:
            raise ValueError(f"no cleaning rule {name!r}; {_nearest(name, RULES)}")
        if value.count(name) > 1:
            raise ValueError(f"cleaning rule {name} is there twice; name it once")
    return tuple(value)


def known(value: str | list[str]) -> str | list[str]:
    """`value` as it is, for a pydantic AfterValidator; raises `ValueError` as `rules_of` does."""
    rules_of(value)
    return value


def clean(question: Question, rules: Sequence[str]) -> tuple[Question, list[Changed]]:
    """The question after the rules in their order, and one line for each change of each rule.

    A question on a passage is left as it is, and so is a dialogue of which no text would be left.
    A reference that a rule drops, as only those of pohanghang do, is no longer in the focus. Raises
    `ValueError` for an unknown rule.
    """
    if question.passage is not None:
        return question, []
    turns, options, focus = question.turns, question.options, set(question.focus)
    changes: list[Changed] = []
    for name in rules_of(list(rules)):
        rule = RULES[name]
        cleaned = rule.turns(turns, focus)
        left = {turn.id: turn.text for turn in cleaned}
        texts = [(f"turns.{turn.id}", turn.text, left.get(turn.id)) for turn in turns]
        chosen = rule.options(options)
        pairs = zip(options, chosen, strict=True)
        texts += [(f"options.{i}", before, after) for i, (before, after) in enumerate(pairs)]
        changes += [
            Changed(
                id=question.id,
                source=question.source,
                split=question.split,
                field=field,
                before=before,
                after=after,
                reason=name,
            )
            for field, before, after in texts
            if before != after
        ]
        turns, options, focus = cleaned, chosen, focus & left.keys()
    if not any(turn.text.strip() for turn in turns):
        return question, []
    changed = {
        "turns": turns,
        "options": options,
        "focus": [i for i in question.focus if i in focus],
    }
    return Question.model_validate({**dict(question), **changed}), changes


def _nearest(name: str, names: Iterable[str]) -> str:
    [nearest, *_] = get_close_matches(name, [*names], n=1, cutoff=0.0)
    return f"the nearest known name is {nearest}"
