"""What labels say in English, and the same in Korean."""

from collections.abc import Callable

from core.bilingual import Both

Say = Callable[[str], str]
LANGUAGES = {"en": "English", "ko": "한국어"}
KOREAN: dict[str, str] = {
    # pages, and what several of them say
    "Try": "풀어 보기",
    "Data": "데이터",
    "Results": "결과",
    "Runs": "학습",
    "Run": "런",
    "Set": "세트",
    "Source": "출처",
    "Split": "스플릿",
    "Category": "유형",
    "Page": "쪽",
    "page": "쪽",
    "found": "건",
    "all": "전체",
    "Nothing matches.": "해당하는 것이 없습니다.",
    "Answer": "정답",
    "Option": "선택지",
    "Letter mass": "글자 확률 합",
    "Open in Try": "풀어 보기에서 열기",
    "Chosen": "선택",
    "Probability": "확률",
    # Try
    "Id of a dev or test question": "dev·test 문항 ID",
    "Take it over": "가져오기",
    "About": "지문 형태",
    "Dialogue": "대화",
    "Passage": "글",
    "Dialogue or passage": "대화 또는 글",
    "A line an utterance; > before those that the question refers to": (
        "한 줄에 발화 하나, 질문이 가리키는 발화 앞에는 >"
    ),
    "Options": "선택지",
    "2 to 5, one on a line": "한 줄에 하나씩 2~5개",
    "Question text and prompt": "질문 문장과 프롬프트",
    "Question": "질문",
    "Note (보기)": "보기",
    "Prompt": "프롬프트",
    "System text": "시스템 메시지",
    "Orders of the options": "선택지 순서",
    "every order": "모든 순서",
    "rotations": "순환 순서",
    "as published": "원래 순서",
    "Model": "모델",
    "Another model": "비교할 모델",
    "A folder, an adapter, a hub name, or the address of a server": (
        "폴더, 어댑터, 허브 이름 또는 서버 주소"
    ),
    "Ask": "물어보기",
    "As published": "원래 순서",
    "Mean of orders": "순서 평균",
    "Chosen in": "선택된 순서 수",
    "the right answer": "정답",
    "little falls on the letters: another prompt than it was trained on?": (
        "글자에 실린 확률이 작음: 학습할 때와 다른 프롬프트인지 확인"
    ),
    "What the letters attract": "글자별 쏠림",
    "Mean over the orders; without a bias each is": "모든 순서의 평균, 쏠림이 없으면 각각",
    "Every order": "순서별 결과",
    "Order": "순서",
    "The prompt as the model reads it": "모델이 읽는 프롬프트 그대로",
    "tokens": "토큰",
    # Data
    "Show": "보기",
    "Rows": "행",
    "Left out": "제외된 레코드",
    "Altered": "바뀐 텍스트",
    "Near-duplicates": "유사 중복",
    "File": "파일",
    "Characters, as 200-500": "글자 수, 예: 200-500",
    "Reason": "이유",
    "Reason left out or altered": "제외·변경 이유",
    "Filters of rows": "행 필터",
    "Text or id": "텍스트 또는 ID",
    "Row": "행",
    "Characters": "글자 수",
    "Record": "레코드",
    "Records": "레코드 수",
    "Near to": "비슷한 레코드",
    "Stays": "남은 레코드",
    "Text": "텍스트",
    "Place": "위치",
    "Before": "전",
    "After": "후",
    "As published, and cleaned": "원문과 정제본",
    "Published": "원문",
    "Cleaned": "정제본",
    "▶ reference · ✔ answer · ≠ altered · × dropped, or merged into the line above": (
        "▶ 참조 발화 · ✔ 정답 · ≠ 바뀜 · × 삭제되었거나 윗줄에 합쳐짐"
    ),
    # Results
    "Items": "문항",
    "Missed by the first": "첫째가 틀림",
    "Missed by most": "많이 틀린 순",
    "One of the two is right": "둘 중 하나만 맞힘",
    "The two chose differently": "둘이 다르게 고름",
    "First run": "첫째",
    "Second run": "둘째",
    "Accuracy": "정확도",
    "95 % interval": "95 % 구간",
    "Right": "맞힌 수",
    "Item": "문항",
    "Missed by": "틀린 런",
    # Runs
    "Look again": "새로 고침",
    "Loss (nats a token)": "손실(토큰당 nat)",
    "Accuracy (0 to 1)": "정확도(0~1)",
    "Training": "학습",
    "State": "상태",
    "Step": "스텝",
    "Time left": "남은 시간",
    "What there is to say": "설명",
    "waiting": "대기",
    "running": "진행 중",
    "done": "완료",
    "stale": "갱신 필요",
    "failed": "실패",
}


def in_language(language: str) -> Say:
    """What says a label in a language; a label without a Korean word is a mistake of ours."""
    if language == "en":
        return str
    return lambda label: label.ko if isinstance(label, Both) else KOREAN[label]


def sentence(text: str, say: Say) -> str:
    """A sentence that may have no Korean: those that the commands print too are English."""
    return say(text) if isinstance(text, Both) else text
