"""What distinguishes two near-duplicates, where that changes the meaning: a hard negative.

The tokens of both texts are aligned. Where a number, a sign that carries meaning (3 + 2, x < 0,
C++) or a negation is changed, or where all words replaced are names, the two are different texts,
however alike and whatever words one of them has more; otherwise a text that differs from another in
a number alone would go as the near-duplicate of the other's edited copy. Whitespace and other
punctuation are no difference.
It is a heuristic over word forms and no parser: what it takes for a name is a word before the same
particle that differs in two letters (jamo) or more, or a person's name by its shape. A synonym
before a particle passes for a name as well.
"""

import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal

from core.text import plain, signs

Change = Literal["number", "sign", "name", "polarity"]
TYPO = 1  # letter (jamo) that a typing error may change
LONGEST = 1_000  # tokens between the first and the last difference; beyond, nothing is said

_MARKS = re.compile(r"(?<!\d)[\W_]+|[\W_]+(?!\d)")
_DIGITS = re.compile(r"\d+(?:[.,:/~\-]\d+)*")
_UNIT = (
    "원|년|월|일|분|초|시|층|호|번|명|개|차|회|살|세|도|점|장|권|잔|병|마리|대|배|주|달|시간|킬로|"
    "미터|퍼센트|프로"
)
_NATIVE = (
    "하나|둘|셋|넷|한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|"
    "스물|스무|서른|마흔|쉰|예순|일흔|여든|아흔"
)
_NUMERAL = re.compile(
    rf"(?:(?:{_NATIVE})+(?:{_UNIT})?|[영공일이삼사오육칠팔구십백천만억조]+(?:{_UNIT})"
    r"|[일이삼사오육칠팔구십백천만억조]{2,}"
    r"|[월화수목금토일]요일|오전|오후|어제|오늘|내일|모레|작년|올해|내년)"
)
_NEGATION = re.compile(r"^안$|^안(?=[가-힣]{2})|^못(?!지)|않|없|아니|아닌|아닙|지못|지마|지말|말고")
# particles by their function; each is tried from the longest on
_FUNCTIONS = {
    "은": "은 는", "이": "이 가 께서", "을": "을 를", "과": "과 와 하고 이랑 랑", "의": "의",
    "에게": "에게 한테 께", "에": "에", "에서": "에서", "로": "으로 로", "까지": "까지",
    "부터": "부터", "도": "도", "만": "만", "보다": "보다", "처럼": "처럼", "씨": "씨 님",
    "이다": "입니다 이에요 예요 이다 이야 야 인 이고 이라고 라고 이었다 였다 였습니다 이었습니다",
}  # fmt: skip
_NOMINAL = {"을", "과", "에게", "에", "에서", "까지", "부터"}  # hardly ever the end of a verb
_PARTICLES = sorted(
    ((form, function) for function, forms in _FUNCTIONS.items() for form in forms.split()),
    key=lambda pair: -len(pair[0]),
)
_SURNAMES = set(
    "김이박최정강조윤장임한오서신권황안송류유홍전고문양손배백허남심노하곽성차주우구민나진지"
)
_MANNER = set(
    "정말로 진짜로 참으로 실제로 따로 새로 바로 서로 대로 스스로 때때로 아마도 그래도 "
    "하지만 그렇지만 다시는".split()
)


def difference(left: str, right: str) -> Change | None:
    """Which change of meaning distinguishes two texts, or None where it may be mere wording."""
    a, b = map(tokens, sorted((left, right)))  # the alignment depends on which comes first
    first = 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
        last += 1
    a, b = a[first : len(a) - last], b[first : len(b) - last]
    if max(len(a), len(b)) > LONGEST:
        return None
    names, others = 0, 0
    for tag, i, i_end, j, j_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        x, y = a[i:i_end], b[j:j_end]
        if tag == "equal" or "".join(x) == "".join(y):
            continue
        change = _block(x, y)
        if change in ("number", "sign", "polarity"):
            return change
        names += change == "name"
        others += change is None and tag == "replace"
    return "name" if names and not others else None


def tokens(text: str) -> list[str]:
    """The words of a text in lower case without the marks around them; digits keep theirs.

    A sign that carries meaning is a token of its own.
    """
    marks = r"(?<!\d)[^\w\s]+|[^\w\s]+(?!\d)"
    found = []
    for words, sign in _apart_from_signs(text):
        found += [token for word in words.split() if (token := re.sub(marks, "", word))]
        found += [sign] if sign else []
    return found


def form(text: str) -> str:
    """Equal for texts that differ in nothing but whitespace, case and marks that say nothing."""
    return "".join(_MARKS.sub("", words) + sign for words, sign in _apart_from_signs(text))


def _apart_from_signs(text: str) -> Iterator[tuple[str, str]]:
    """The text as pairs of words and the sign behind them, "" behind the last."""
    text = plain(text)
    last = 0
    for start, end in signs(text):
        yield text[last:start], "".join(text[start:end].split())
        last = end
    yield text[last:], ""


def _block(a: list[str], b: list[str]) -> Change | None:
    """What distinguishes two short runs of tokens."""
    if "".join(filter(_is_word, a)) == "".join(filter(_is_word, b)):
        return "sign"
    aligned = min(len(a), len(b))
    for x, y in ((a[:aligned], b[:aligned]), (a[len(a) - aligned :], b[len(b) - aligned :])):
        changes = [_change(v, w) for v, w in zip(x, y, strict=True) if v != w]
        if changes and None not in changes:
            return changes[0]
    if len(a) <= 3 and len(b) <= 3 and _negated(a) != _negated(b) and _same_but_negation(a, b):
        return "polarity"
    return None


def _change(x: str, y: str) -> Change | None:
    if _DIGITS.sub("0", x) == _DIGITS.sub("0", y):
        return "number"
    (stem, function), (other, same) = _parted(x), _parted(y)
    if _is_number(x, stem) and _is_number(y, other):
        return "number"
    if _negated([x]) != _negated([y]) and _same_but_negation([x], [y]):
        return "polarity"
    if function != same or {x, y} & _MANNER:
        return None
    short = min(len(stem), len(other)) < 2
    if not function and not (_is_person(stem) and _is_person(other)):
        return None
    if short and (function not in _NOMINAL or len(stem) == len(other)):
        return None
    return "name" if _apart(stem, other) > TYPO else None


def _is_word(token: str) -> bool:
    return any(char.isalnum() for char in token)


def _is_number(word: str, stem: str) -> bool:
    numbers = (_DIGITS.fullmatch(part) or _NUMERAL.fullmatch(part) for part in (word, stem))
    return any(numbers) or bool(re.fullmatch(rf"\d+(?:{_UNIT})", stem))


def _parted(word: str) -> tuple[str, str]:
    """A word as stem and the function of its particle, "" where it has none."""
    for form_, function in _PARTICLES:
        if word.endswith(form_) and len(word) > len(form_):
            return word[: -len(form_)], function
    return word, ""


def _is_person(stem: str) -> bool:
    return len(stem) == 3 and stem[0] in _SURNAMES and all("가" <= c <= "힣" for c in stem)


def _apart(stem: str, other: str) -> int:
    """How many letters (jamo) of the longer word have no counterpart in the other."""
    x, y = unicodedata.normalize("NFD", stem), unicodedata.normalize("NFD", other)
    blocks = SequenceMatcher(None, x, y, autojunk=False).get_matching_blocks()
    return max(len(x), len(y)) - sum(block.size for block in blocks)


def _negated(words: list[str]) -> bool:
    """Whether a run of tokens holds an odd number of negations."""
    return sum(len(_NEGATION.findall(word)) for word in words) % 2 == 1


def _same_but_negation(a: list[str], b: list[str]) -> bool:
    """Whether the words left without their negations begin alike, or there is nothing left."""
    left, right = ("".join(_NEGATION.sub("", word) for word in words) for words in (a, b))
    if "없" in "".join(a + b) and "있" in "".join(a + b):
        return True
    return not left or not right or left[0] == right[0] or _initial(left) == _initial(right)


def _initial(word: str) -> int:
    """The leading consonant and vowel group of a word's first syllable, blind to its final."""
    return (ord(word[0]) - 0xAC00) // 28
