"""Special characters and stop words, which seed 004 removes from dialogues.

Seed 004 (CPM-AI/Ai-Malpyung-ContextualReasoning-NA) names the two steps and publishes neither list
nor code: both lists are this project's.
"""

from prep.cleaning.rule import TextRule
from prep.cleaning.symbols import SPECIAL, remover

# filled pauses and hedges; words that also point or ask (그, 저, 뭐) or answer (네, 응) are none
STOP_WORDS = frozenset("음 흠 어 아 에 엄 막 좀 그냥 약간 이제 인제 뭐랄까 있잖아 있잖아요".split())


def stop_words(text: str) -> str:
    """The text without its stop words, or as it is where it is made of nothing else."""
    words = text.split()
    kept = [word for word in words if word.rstrip(".,~…") not in STOP_WORDS]
    return " ".join(kept) if kept else text


RULES = (
    TextRule(
        "special-characters",
        "all but letters, digits, spaces and `. , ? %` goes, except in numbers and Latin words",
        (("★오늘★ 7:30에 '거기'로 ㅎㅎ!", "오늘 7:30에 거기로 ㅎㅎ"),),
        remover(SPECIAL),
    ),
    TextRule(
        "stop-words",
        f"the words {', '.join(sorted(STOP_WORDS))} go where other words stand beside them",
        (("음... 그냥 집에 좀 있을래", "집에 있을래"), ("어.", "어.")),
        stop_words,
    ),
)
