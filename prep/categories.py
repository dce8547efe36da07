"""What the institute calls the five kinds of inference, and what each means: one place for all
prompts.

`DEFINITIONS` give the official ones in words of our own, as noun phrases about "그 일", which the
reference utterances report; `OWN_DEFINITIONS` follow the idea of malbbungchi, one phrase about the
utterance itself for each category. Its 반응 mixed up the speakers and took in behaviour: here it is
what the listener feels, as the institute has it.
"""

from collections.abc import Callable, Mapping

from core.errors import UserError

OFFICIAL_TERMS = {
    "원인": "원인(cause)",
    "후행사건": "후행 사건(subsequent event)",
    "전제": "전제 조건(prerequisite)",
    "동기": "내적 동기(motivation)",
    "반응": "감정 반응(emotional reaction)",
}
DEFINITIONS = {
    "원인": "그 일을 일으킨 사건",
    "후행사건": "그 일에 이어 일어날 수 있는 사건",
    "전제": "그 일을 가능하게 한 상태나 사건",
    "동기": "그 일을 불러온 화자의 감정이나 기본적인 욕구",
    "반응": "그 일에 청자가 보일 수 있는 감정 반응",
}
OWN_DEFINITIONS = {
    "원인": "그 말이나 행동을 낳은 근본적인 까닭",
    "후행사건": "그 뒤 두 사람에게 이어질 만한 결과나 상황",
    "전제": "말로 하지는 않았지만 당연하게 받아들이고 있는 사실이나 믿음",
    "동기": "그 말을 하게 한 감정이나 마음속의 바람",
    "반응": "그 말을 들은 상대가 느낄 감정",
}


def lookup(table: Mapping[str, str], what: str) -> Callable[[str], str]:
    """A template filter: a category's entry; it raises `UserError` where there is none."""

    def entry(category: str) -> str:
        if category not in table:
            raise UserError(
                f"category {category} has no {what} (prep/categories.py knows those of "
                f"{', '.join(table)}); give the source another `prompt`"
            )
        return table[category]

    return entry


FILTERS = {
    "official": lookup(OFFICIAL_TERMS, "official term"),
    "definition": lookup(DEFINITIONS, "definition"),
    "own_definition": lookup(OWN_DEFINITIONS, "definition of our own"),
}
