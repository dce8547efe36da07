"""No dialogue in two folds, none in train and dev, and categories spread evenly."""

import random
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from core.errors import UserError
from core.records import CATEGORIES, Question
from prep.guards.group_folds import fold_files, fold_numbers, joined, train_and_dev
from prep.render import Renderer, load_prompt


def questions(shape: list[tuple[int, str]]) -> list[Question]:
    """One question for each (group, category)."""
    return [
        Question(
            id=f"q-{number:04d}",
            source="made",
            split="train",
            group=f"g-{group:03d}",
            passage=f"{group}째 글이다.",
            category=category,
            options=["가", "나", "다"],
            answer=number % 3,
        )
        for number, (group, category) in enumerate(shape)
    ]


def too_few(asked: list[Question], count: int) -> bool:
    """Whether no category can be in all folds."""
    return max(Counter(q.category for q in asked).values()) < count


def like_the_corpus(seed: int) -> list[Question]:
    """758 questions on 163 dialogues, 1 to 10 each, mostly one of every category."""
    rng = random.Random(seed)
    groups = list(range(163)) + rng.choices(range(163), k=758 - 163)
    seen: Counter[int] = Counter()
    shape = []
    for group in groups:
        shape.append((group, CATEGORIES[(group + seen[group]) % 5]))
        seen[group] += 1
    return questions(shape)


SHAPES = st.lists(
    st.tuples(st.integers(0, 15), st.sampled_from(CATEGORIES)), min_size=2, max_size=60
).filter(lambda shape: len({group for group, _ in shape}) >= 2)


@given(SHAPES, st.integers(2, 6), st.integers(0, 3), st.data())
def test_groups_and_near_questions_stay_in_one_fold(
    shape: list[tuple[int, str]], count: int, seed: int, data: st.DataObject
) -> None:
    asked = questions(shape)
    place = st.integers(0, len(asked) - 1)
    near = data.draw(st.lists(st.tuples(place, place), max_size=5))
    groups = joined(asked, near)
    if len(set(groups)) < count or too_few(asked, count):
        with pytest.raises(UserError, match=f"^{count} folds"):
            fold_numbers(asked, count, seed, near)
        return
    numbers = fold_numbers(asked, count, seed, near)
    assert set(numbers) == set(range(count))
    assert len(set(zip(groups, numbers, strict=True))) == len(set(groups))
    for i, j in near:
        assert numbers[i] == numbers[j]
    of = {}
    for one, number in zip(asked, numbers, strict=True):
        assert of.setdefault(one.group, number) == number


@pytest.mark.slow
@given(SHAPES, st.randoms())
def test_folds_do_not_depend_on_the_order_of_the_questions(
    shape: list[tuple[int, str]], rng: random.Random
) -> None:
    asked = questions(shape)
    assume(not too_few(asked, 2))
    first = {q.id: n for q, n in zip(asked, fold_numbers(asked, 2, 1), strict=True)}
    rng.shuffle(asked)
    assert first == {q.id: n for q, n in zip(asked, fold_numbers(asked, 2, 1), strict=True)}


@pytest.mark.slow
@given(SHAPES, st.floats(0.05, 0.5))
def test_no_group_in_train_and_dev(shape: list[tuple[int, str]], share: float) -> None:
    asked = questions(shape)
    assume(len({q.group for q in asked}) >= round(1 / share))
    assume(not too_few(asked, round(1 / share)))
    train, dev = train_and_dev(asked, share, 42)
    assert not {q.group for q in train} & {q.group for q in dev}
    assert sorted(q.id for q in train + dev) == [q.id for q in asked]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [5, 10])
def test_folds_are_balanced_on_data_like_the_corpus(count: int, seed: int) -> None:
    asked = like_the_corpus(seed)
    numbers = fold_numbers(asked, count, seed)
    sizes = Counter(numbers)
    assert max(abs(sizes[fold] - 758 / count) for fold in range(count)) <= 5
    categories = Counter(q.category for q in asked)
    cells = Counter((n, q.category) for n, q in zip(numbers, asked, strict=True))
    for fold in range(count):
        for category, total in categories.items():
            assert abs(cells[fold, category] - total / count) <= 4


def divided(asked: list[Question], numbers: list[int]) -> int:
    """How many groups have questions in more than one fold."""
    pairs = {(one.group, number) for one, number in zip(asked, numbers, strict=True)}
    return len(pairs) - len({group for group, _ in pairs})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
def test_a_splitter_blind_to_groups_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = like_the_corpus(0)

    def shared() -> tuple[int, int, int]:
        """Groups in several folds, in train and dev, and in a fold's own train and dev."""
        train, dev = train_and_dev(asked, 0.2, 42)
        files = fold_files(asked, 5, 42, Renderer(load_prompt("exam"), orders="published"))
        of = {name: {row.group for row in rows} for name, rows in files.items()}
        inside = [of[f"folds/{k}/train.jsonl"] & of[f"folds/{k}/dev.jsonl"] for k in range(5)]
        return (
            divided(asked, fold_numbers(asked, 5, 42)),
            len({q.group for q in train} & {q.group for q in dev}),
            sum(map(len, inside)),
        )

    assert shared() == (0, 0, 0)
    monkeypatch.setattr("sklearn.model_selection.StratifiedGroupKFold", StratifiedKFold)
    assert all(count > 10 for count in shared())


def test_train_and_dev_have_about_the_share() -> None:
    asked = like_the_corpus(0)
    train, dev = train_and_dev(asked, 0.2, 42)
    assert (len(train) + len(dev), abs(len(dev) - 758 / 5) < 5) == (758, True)
    assert [q.id for q in dev] != [q.id for q in train_and_dev(asked, 0.2, 43)[1]]


@pytest.mark.parametrize("share", [0.0, 0.7, -1.0])
def test_a_share_out_of_range_is_an_error(share: float) -> None:
    with pytest.raises(UserError, match="cannot be held out"):
        train_and_dev(like_the_corpus(0), share, 42)


def test_near_questions_join_groups_in_chains() -> None:
    asked = questions([(group, "원인") for group in range(6)])
    assert joined(asked, [(4, 2), (5, 4)]) == ["g-000", "g-001", "g-002", "g-003", "g-002", "g-002"]
    assert joined(asked) == [q.group for q in asked]
    with pytest.raises(UserError, match="2 folds of 1 dialogues"):
        fold_numbers(asked, 2, 1, [(0, k) for k in range(6)])


def test_files_hold_every_question_once_in_dev_and_never_in_its_own_train() -> None:
    asked = questions([(n // 2, CATEGORIES[n % 5]) for n in range(20)])
    files = fold_files(asked, 4, 1, Renderer(load_prompt("exam"), orders="cyclic"))
    assert sorted(files) == [
        f"folds/{fold}/{name}.jsonl" for fold in range(4) for name in ("dev-loss", "dev", "train")
    ]
    held_out = []
    for fold in range(4):
        train, dev, loss = (
            files[f"folds/{fold}/{name}.jsonl"] for name in ("train", "dev", "dev-loss")
        )
        assert not {row.group for row in train} & {row.group for row in dev}
        assert len(train) == 3 * (20 - len(dev))
        assert [row.messages[:-1] for row in loss] == [row.messages for row in dev]
        assert {row.messages[-1].role for row in train + loss} == {"assistant"}
        held_out += [row.id for row in dev]
    assert sorted(held_out) == [q.id for q in asked]
