"""The records of a task of one's own, as a table holds them."""

from typing import Any

PLACES = (
    "부산항",
    "기차역",
    "뒷마당",
    "소극장",
    "약수터",
    "갯벌",
    "온실",
    "지하 서고",
    "옥상",
    "장터",
)


def record(number: int) -> dict[str, Any]:
    """A question on a passage of its own; no two are near one another."""
    place = PLACES[number % len(PLACES)]
    return {
        "번호": f"q-{number}",
        "지문": f"{place}에 {number * 7 + 3}명이 모였다. {place} 이야기는 {number}장에 나온다.",
        "문제": "사람들이 모인 곳은?",
        "보기1": f"{place}",
        "보기2": "강 건너",
        "보기3": "높은 산",
        "보기4": "먼 섬",
        "정답": [1, 4, 2][number % 3] if number else 1,
    }
