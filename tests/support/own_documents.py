"""Documents of a few sentences, for what is searched for."""

from pathlib import Path

from core.jsonl import write_records

CLOCK = (
    "장영실은 조선 세종 때의 과학자이다. 그는 물시계인 자격루를 만들었다. "
    "자격루는 사람의 손을 빌리지 않고 스스로 시각을 알렸다."
)
CABBAGE = "김치는 배추를 소금에 절여 담근다. 겨울이 오기 전에 온 마을이 모여 김장을 한다."
MARKET = "닷새마다 열리는 장터에는 소금 장수가 가장 먼저 왔다. 장터의 값은 날씨에 따라 달랐다."


def save_documents(folder: Path) -> Path:
    """A folder with a document of each form but PDF; one of them is there twice."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "김치.md").write_text(f"# 김치\n\n{CABBAGE}\n", "utf-8")
    (folder / "clock.txt").write_text(CLOCK, "utf-8")
    lines = [
        {"id": "market", "title": "장터", "text": MARKET, "year": 1900},
        {"id": "old-clock", "text": CLOCK},
        {"id": "none", "text": " "},
    ]
    write_records(folder / "more.jsonl", lines)
    return folder
