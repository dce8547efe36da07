"""Folds, and a train and a dev part, that never divide a dialogue.

Categories are spread evenly by scikit-learn's StratifiedGroupKFold, over questions sorted by source
and id: what a question falls into depends on the seed and on which questions there are, not on
where they stand.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.errors import UserError
from core.records import Question, Row
from prep.dedup import Document, Method, duplicates
from prep.guards.contamination import NEARNESS, context, spoken
from prep.render import Renderer

Pairs = Iterable[tuple[int, int]]  # places of two questions whose contexts are near-duplicates


def fold_numbers(
    questions: Sequence[Question], count: int, seed: int, near: Pairs = ()
) -> list[int]:
    """The fold of each question, 0 to count - 1; groups and near questions share one.

    Raises `UserError` where groups, or the questions of every category, are fewer than the folds.
    """
    order = sorted(range(len(questions)), key=lambda i: (questions[i].source, questions[i].id))
    groups = joined(questions, near)
    if count < 2 or len(set(groups)) < count:
        raise UserError(
            f"{count} folds of {len(set(groups))} dialogues or passages; give from 2 folds up to "
            "one for each of them"
        )
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import, seldom needed

    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    categories = [questions[i].category for i in order]
    if max(Counter(categories).values()) < count:
        raise UserError(f"{count} folds, but no category has as many questions; give fewer folds")
    numbers = [0] * len(questions)
    with warnings.catch_warnings():
        # a category with fewer questions than folds cannot be in all of them
        warnings.filterwarnings("ignore", message="The least populated class", module="sklearn")
        parts = splitter.split(order, categories, [groups[i] for i in order])
        for number, (_, held_out) in enumerate(parts):
            for place in held_out:
                numbers[order[place]] = number
    return numbers


def train_and_dev(
    questions: Sequence[Question], share: float, seed: int
) -> tuple[list[Question], list[Question]]:
    """Questions to train on and, about the share of them, to hold out; no group is split.

    Those that the guard against contamination calls near stay together: divided, it would remove
    the ones to train on. Of round(1 / share) folds, the first is held out. Raises `UserError` for a
    share of none or more than a half, and where there are too few groups.
    """
    if not 0 < share <= 0.5:
        raise UserError(f"a share of {share} cannot be held out; give more than 0, and 0.5 at most")
    near = near_contexts(questions, NEARNESS)
    count, groups = round(1 / share), len(set(joined(questions, near)))
    if groups < count:
        raise UserError(
            f"a share of {share} cannot be held out of {groups} dialogues or passages, those near "
            "to one another being one; name a dev file"
        )
    numbers = fold_numbers(questions, count, seed, near)
    train = [one for one, number in zip(questions, numbers, strict=True) if number]
    dev = [one for one, number in zip(questions, numbers, strict=True) if not number]
    return train, dev


def fold_files(
    questions: Sequence[Question], count: int, seed: int, renderer: Renderer, near: Pairs = ()
) -> dict[str, list[Row]]:
    """Rows by file name, `folds/0/train.jsonl` and so on, of questions with answers.

    `train` has the questions of all other folds in the renderer's orders; `dev` has the fold's own,
    to be scored, and `dev-loss` the same with their answers; `dev.orders` has them in each of the
    renderer's scoring orders, where there are several.
    """
    numbers = fold_numbers(questions, count, seed, near)
    files: dict[str, list[Row]] = {}
    for fold in range(count):
        inside = [one for one, number in zip(questions, numbers, strict=True) if number == fold]
        outside = [one for one, number in zip(questions, numbers, strict=True) if number != fold]
        files[f"folds/{fold}/train.jsonl"] = renderer.training(outside)
        files[f"folds/{fold}/dev.jsonl"] = [renderer.scoring(one) for one in inside]
        if renderer.scoring_orders != "published":
            files[f"folds/{fold}/dev.orders.jsonl"] = renderer.permuted(inside)
        files[f"folds/{fold}/dev-loss.jsonl"] = [renderer.loss(one) for one in inside]
    return files


def near_contexts(questions: Sequence[Question], method: Method) -> list[tuple[int, int]]:
    """Places of questions whose dialogues or passages are near-duplicates, two and two.

    Short ones are none.
    """
    first: dict[str, int] = {}
    for place, question in enumerate(questions):
        first.setdefault(question.group, place)
    places = [place for place in first.values() if context(questions[place])]
    items = [Document(spoken(questions[i]), 0, questions[i].group) for i in places]
    clusters = duplicates(items, method).clusters
    return [(places[a], places[b]) for one in clusters for a, b in pairwise(one)]


def joined(questions: Sequence[Question], near: Pairs = ()) -> list[str]:
    """The group of each question, groups that near pairs connect being one.

    Its name is the first of theirs.
    """
    names = sorted({question.group for question in questions})
    place = {name: i for i, name in enumerate(names)}
    own = np.array([place[question.group] for question in questions], dtype=np.int64)
    pairs = np.array([*near], dtype=np.int64).reshape(-1, 2)
    size = len(names)
    links = coo_array((np.ones(len(pairs)), (own[pairs[:, 0]], own[pairs[:, 1]])), (size, size))
    _, component = connected_components(links, directed=False)
    first: dict[int, str] = {}
    for name, number in zip(names, component.tolist(), strict=True):
        first.setdefault(number, name)
    return [first[component[i]] for i in own.tolist()]
