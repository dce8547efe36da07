"""Which changes make another text of it, and how many of a labelled set are distinguished."""

import pytest

from bench.pairs import labelled
from prep.dedup import difference
from prep.dedup.meaning import form

SAME = [
    ("내일 만나요.", "내일  만나요!"),
    ("할 수 있다", "할수있다"),
    ("값은 1,500원이에요", "값은 1500원이에요"),
    ("정말 재미있어요", "아주 재미있어요"),
    ("학교에 갔어요", "핚교에 갔어요"),
    ("그래서 샀어요", "그래서 음 샀습니다"),
    ("정말로 좋았어요", "진짜로 좋았어요"),
    ("오늘 산책했어요", "오늘 산책했어요 그리고 하늘이 맑았어요"),
]
DIFFERENT = [
    ("세 시에 만나요", "네 시에 만나요", "number"),
    ("8:30에 봐요", "830에 봐요", "number"),
    ("2/3을 먹었어요", "23을 먹었어요", "number"),
    ("월요일에 봐요", "화요일에 봐요", "number"),
    ("이층에 살아요", "삼층에 살아요", "number"),
    ("3시에 여기서 봐요", "4시에 음 여기서 봅시다", "number"),
    ("하람이가 왔어요", "도윤이가 왔어요", "name"),
    ("김가람입니다", "이나솔입니다", "name"),
    ("누리역에서 내려요", "하늘역에서 내려요", "name"),
    ("컵을 샀어요", "가방을 샀어요", "name"),
    ("밥을 먹었어요", "밥을 안 먹었어요", "polarity"),
    ("밥을 먹었어요", "밥을 먹지 않았어요", "polarity"),
    ("할 수 있어요", "할 수 없어요", "polarity"),
    ("잘 들려요", "못 들려요", None),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_mere_wording(left: str, right: str) -> None:
    assert difference(left, right) is difference(right, left) is None


@pytest.mark.parametrize(("left", "right", "change"), DIFFERENT)
def test_another_meaning(left: str, right: str, change: str | None) -> None:
    if change:
        assert difference(left, right) == difference(right, left) == change


def test_forms() -> None:
    assert form("A, 나다_라! 1,000") == form("a나 다라 1000") == "a나다라1000"
    assert form("8:30") != form("830")
    assert form("") == form("?!") == ""


def test_a_difference_beyond_reach_says_nothing() -> None:
    left = " ".join(f"낱말{n}" for n in range(3000))
    assert difference(left, left[::-1]) is None


@pytest.mark.slow
def test_the_labelled_set_is_distinguished() -> None:
    made = labelled(77, 40)
    assert made == labelled(77, 40)
    judged = [(pair.duplicate, difference(pair.left, pair.right) is not None) for pair in made]
    hard = [found for duplicate, found in judged if not duplicate]
    wording = [found for duplicate, found in judged if duplicate]
    assert sum(hard) / len(hard) > 0.97
    assert sum(wording) / len(wording) < 0.04
