"""Questions to plot: on dialogues, and of exams."""

from core.records import Question, Turn


def asked(name: str, *texts: str, **fields) -> Question:
    """A question on a dialogue of the texts given, its first utterance the reference."""
    turns = [
        Turn(speaker=f"화자{k % 2 + 1}", text=t, id=f"{name}.{k}") for k, t in enumerate(texts)
    ]
    record = {
        "id": name,
        "source": "test",
        "split": "train",
        "group": name,
        "turns": turns,
        "focus": [turns[0].id],
        "category": "원인",
        "options": ["비가 온다.", "눈이 온다.", "맑다."],
        "answer": 0,
    }
    return Question.model_validate(record | fields)


def exam(name: str, options: int, answer: int | None, **fields) -> Question:
    record = {
        "id": name,
        "source": "exam",
        "split": "train",
        "group": "지문 가",
        "passage": "강은 산에서 바다로 흐른다. 물은 다시 구름이 된다.",
        "category": "지리",
        "question": "글의 내용과 맞는 것은?",
        "note": "ㄱ. 강은 흐른다.",
        "options": [f"{k}번 보기" for k in range(options)],
        "answer": answer,
    }
    return Question.model_validate(record | fields)
