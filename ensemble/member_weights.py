"""What each member counts: by a weights file, by its place, or as a fold of its recipe.

A weights file is written by ensemble/fit.py or by hand.

Folds of one recipe are the files of one name, each in a folder of its own: `folds/0/gemma.jsonl`
and `folds/1/gemma.jsonl` are two models of recipe gemma.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import UserError
from core.jsonl import read_json, validated
from core.records import Strict
from ensemble.member_answers import BITS
from ensemble.rules import K_FOLD, NLP_13
from eval.predictions import IMPORTED, Bits, Data, Meta

FORM = 'give {"rule": "soft", "weights": {"NAME": 1.0}}, or what ensemble/fit.py wrote'


class File(Strict):
    """A file by its content."""

    path: str
    sha256: str


class Fitted(Strict):
    """What a fit has seen, so that its labels are never voted on."""

    by: Literal["weighted", "greedy", "stacking"]
    data: list[Data]
    members: dict[str, list[File]]
    load_in: dict[str, Bits] = Field(default_factory=dict)  # of each member's weights
    ids: list[str]
    groups: list[str]
    sklearn: str
    estimate: dict[str, float]  # accuracies, each question by a fit that has not seen its group


class Weights(Strict):
    """`weights` by member; stacking adds `by_category` (category → member) to them.

    `fitted` is None where the weights were written by hand.
    """

    rule: Literal["weighted", "soft", "log-odds", "stacking"]
    weights: dict[str, float] = Field(min_length=1)
    by_category: dict[str, dict[str, float]] = Field(default_factory=dict)
    intercept: float = 0.0
    fitted: Fitted | None = None


def read(path: Path) -> Weights:
    """A weights file; raises `UserError` where it has not the form, or weights that mean nothing.

    Weights are finite, none negative and one above 0; those of stacking may be negative.
    """
    given = read_json(path)
    try:
        found = validated(given, Weights, str(path))
    except UserError as error:
        raise UserError(f"{error}; {FORM}") from None
    known = set(found.weights)
    for name, weight in found.weights.items():
        if not math.isfinite(weight):
            raise UserError(f"{path}: the weight of {name} is {weight}; give a finite number")
        if weight < 0 and found.rule != "stacking":
            raise UserError(f"{path}: the weight of {name} is negative; give 0 or more")
    if found.rule != "stacking" and (found.by_category or found.intercept):
        raise UserError(
            f"{path}: by_category and intercept belong to stacking, but its rule is "
            f"{found.rule}; leave them out"
        )
    more = [weight for one in found.by_category.values() for weight in one.values()]
    if not all(map(math.isfinite, [found.intercept, *more])):
        raise UserError(f"{path}: holds a number that is not finite; fit it again")
    if not any([*found.weights.values(), *more]):
        raise UserError(f"{path}: all weights are 0, so nobody votes; give one that is not")
    for category, of_category in found.by_category.items():
        if of_category.keys() != known:
            raise UserError(f"{path}: by_category {category} has other members; fit it again")
    return found


def for_members(
    found: Weights, path: Path, members: Sequence[Path], by_fold: bool = False
) -> list[str]:
    """The name of each member file, by which its weight is found: the file's, without .jsonl.

    Raises `UserError` where two files share one and are no folds (`by_fold`), where a file has no
    weight, and where a weight that is not 0 has no file.
    """
    names = [member.stem for member in members]
    for name, member in zip(names, members, strict=True):
        if names.count(name) > 1 and not by_fold:
            raise UserError(
                f"{member}: two members are named {name}; rename one, and its weight, or say "
                "--rule k-fold where they are folds of one recipe, and the weights are for soft"
            )
        if name not in found.weights:
            raise UserError(f"{member}: {path} has no weight for {name}; leave it out or fit anew")
    for name in found.weights.keys() - set(names):
        if found.weights[name] or any(more[name] for more in found.by_category.values()):
            raise UserError(
                f"{path}: weighs {name}, but no file of that name votes; name its predictions"
            )
    return names


def of_items(found: Weights, name: str, categories: Sequence[str]) -> float | NDArray[np.float64]:
    """A member's weight: one for all items, or one for each by its category.

    Of all rules but stacking only their ratio counts, so that the greatest is 1, and what makes a
    tie of sums does not depend on how large they were written. Where stacking has not seen a
    category, what it learnt of all counts alone.
    """
    weight = found.weights[name]
    if found.rule != "stacking":
        return weight / max(found.weights.values())
    if not found.by_category:
        return weight
    more = {category: members[name] for category, members in found.by_category.items()}
    return np.array([weight + more.get(category, 0.0) for category in categories])


def require_unseen(found: Weights, path: Path, groups: Sequence[str], test: Path) -> None:
    """Raise `UserError` where the weights were fitted on the answers of what is voted on.

    A question is known by its dialogue or passage: ids may count from 1 in train and test alike.
    """
    fitted = found.fitted.groups if found.fitted else []
    if both := sorted(set(fitted) & set(groups)):
        raise UserError(
            f"{path}: was fitted on the answers of {len(both)} dialogues or passages of {test}, "
            f"the first is {both[0]}; fit on out-of-fold predictions of other questions"
        )


def require_bits_as_fitted(
    found: Weights, path: Path, members: Sequence[Path], metas: Sequence[Meta]
) -> None:
    """Raise `UserError` where a member's answers were not fitted in the bits that it votes in."""
    bits = found.fitted.load_in if found.fitted else {}
    for member, meta in zip(members, metas, strict=True):
        if meta.load_in != bits.get(member.stem, meta.load_in):
            raise UserError(
                f"{member}: scored {BITS[meta.load_in]}, and {path} was fitted on its answers "
                f"{BITS[bits[member.stem]]}; score it with the same --load-in, fit anew, or say "
                "--mixed where that is meant"
            )


def by_place(rule: str, paths: Sequence[Path]) -> list[float]:
    """The weights of the files of a rule that needs no weights file; raises `UserError`."""
    count = len(paths)
    if rule == "nlp-13":
        if count != len(NLP_13):
            raise UserError(
                f"rule nlp-13 weighs {len(NLP_13)} files by their place, but {count} are "
                "named; name six, or choose another rule"
            )
        return list(NLP_13)
    if rule == K_FOLD:
        return fold_shares(paths)
    if rule in ("weighted", "stacking"):
        raise UserError(f"rule {rule} needs --weights FILE; ensemble/fit.py writes one")
    return [1.0] * count


def fold_shares(paths: Sequence[Path]) -> list[float]:
    """What each file counts, so that every recipe counts once: 1 / (files of its name).

    Raises `UserError` where no recipe has two.
    """
    count = Counter(path.stem for path in paths)
    if max(count.values()) < 2:
        raise UserError(
            f"{paths[0]}: no two of the files share a name, so there are no folds; name "
            "folds/0/NAME.jsonl, folds/1/NAME.jsonl ..., or say --rule soft"
        )
    return [1 / count[path.stem] for path in paths]


def model_of(meta: Meta) -> tuple[object, object]:
    """The hashes of the weights that scored, and of their adapter; None where not recorded."""
    extra = meta.model_extra or {}
    return extra.get("weights_sha256"), extra.get("adapter_sha256")


def require_different_folds(paths: Sequence[Path], metas: Sequence[Meta]) -> None:
    """Raise `UserError` where one model stands for two folds of a recipe."""
    seen: dict[tuple[str, object, object], Path] = {}
    for path, meta in zip(paths, metas, strict=True):
        if meta.method == IMPORTED:
            raise UserError(
                f"{path}: was made elsewhere, of no known fold, which rule k-fold needs; leave it "
                "out, or say --rule hard"
            )
        model = model_of(meta)
        if model != (None, None) and (path.stem, *model) in seen:
            raise UserError(
                f"{path}: the weights that scored it scored {seen[path.stem, *model]} too, so it "
                "is no other fold; score it with the model of its own fold"
            )
        seen[path.stem, *model] = path


def fold_summary(paths: Sequence[Path]) -> str:
    """How many folds each recipe has, and a question where one seems to lack some."""
    count = Counter(path.stem for path in paths)
    said = "folds: " + ", ".join(f"{name} {number}" for name, number in count.items())
    if len(set(count.values())) == 1:
        return said
    return f"{said}; not equally many, yet every recipe counts once: is a file missing?"
