"""Korean particles that depend on the sound before them: 은/는, 이/가, 을/를, 과/와, (으)로."""

import re

PAIRS = {  # after a consonant, after a vowel, where the sound is unknown
    "은": ("은", "는", "은(는)"),
    "이": ("이", "가", "이(가)"),
    "을": ("을", "를", "을(를)"),
    "과": ("과", "와", "과(와)"),
    "으로": ("으로", "로", "(으)로"),
}
_BY_FORM = {form: forms for forms in PAIRS.values() for form in forms}
_RIEUL = 8  # the place of ㄹ among the 28 finals of a Hangul syllable
# Digits are read in Sino-Korean (영 일 이; a final 0 may be 십, 백, 천, 만 or 억 as well), Latin
# letters by their Korean names (엘, 엠, 엔, 알). 0: a vowel, _RIEUL: ㄹ, 1: another consonant.
_FINALS = {
    **dict.fromkeys("036mn", 1),
    **dict.fromkeys("178lr", _RIEUL),
    **dict.fromkeys("2459abcdefghijkopqstuvwxyz", 0),
}
_GLOSS = re.compile(r"(?<=\S)\s*(?:\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）)\**$")
_UNREAD = re.compile(r"[\s\"'“”‘’`.,!?…~()\[\]（）「」『』〈〉《》<>*]+$")


def _final(word: str) -> int | None:
    """The last sound's final: 0 a vowel, 8 ㄹ, else another consonant; None where unknown."""
    while (shorter := _GLOSS.sub("", word.rstrip())) != word:
        word = shorter
    last = _UNREAD.sub("", word)[-1:].lower()
    if "가" <= last <= "힣":
        return (ord(last) - ord("가")) % 28
    return _FINALS.get(last)


def particle(word: str, form: str) -> str:
    """The form of a particle that fits after `word`; `form` is either one of its pair.

    A gloss in brackets is not read, so that "원인(cause)" counts as "원인"; closing quotes, title
    marks and asterisks are skipped. A word that ends in no readable sound takes both forms, as in
    "은(는)". Raises `ValueError` where `form` is no particle known here.
    """
    if form not in _BY_FORM:
        raise ValueError(f"no particle {form!r}; known: {', '.join(PAIRS)}")
    consonant, vowel, either = _BY_FORM[form]
    final = _final(word)
    if final is None:
        return either
    if final == 0 or (final == _RIEUL and vowel == "로"):
        return vowel
    return consonant


def attach(word: str, form: str) -> str:
    """`word` with the particle that fits it: attach("동기", "으로") is "동기로"."""
    return word + particle(word, form)
