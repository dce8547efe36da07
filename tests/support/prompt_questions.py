"""Questions to render: on a dialogue, and of an exam."""

from core.records import Question, Turn


def question(category: str = "원인", texts: tuple[str, ...] = (), **fields: object) -> Question:
    said = texts or ("오늘 왜 늦었어요?", "버스가 중간에 멈춰서 걸어왔어요.", "고생했네요.")
    turns = [
        Turn(speaker=f"화자{1 + k % 2}", text=text, id=f"d.1.{k}") for k, text in enumerate(said)
    ]
    record = {
        "id": "q-1",
        "source": "cci-2024",
        "split": "train",
        "group": "d.1",
        "turns": turns,
        "focus": ["d.1.1"],
        "category": category,
        "options": ["버스가 고장 났다.", "화자2는 걷기를 좋아한다.", "화자1이 버스를 몰았다."],
        "answer": 0,
    }
    return Question(**{**record, **fields})


def exam(**fields: object) -> Question:
    record = {
        "id": "e-1",
        "source": "exam",
        "split": "train",
        "group": "p-1",
        "passage": "장터는 닷새마다 열렸다.\n소금 장수가 먼저 왔다.",
        "category": "수능형",
        "question": "<보기>에서 옳은 것을 모두 고른 것은?",
        "note": "ㄱ. 장터는 날마다 열렸다.\nㄴ. 소금 장수가 왔다.",
        "options": ["ㄱ", "ㄴ", "ㄱ, ㄴ", "없다"],
        "answer": 1,
    }
    return Question(**{**record, **fields})
