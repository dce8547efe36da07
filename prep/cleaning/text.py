"""Whitespace, names, marks and greetings: the corrected rules on one utterance or option."""

import re
import unicodedata

from prep.cleaning.rule import TextRule
from prep.text import one_line

_MASKED = re.compile(r"[\[({<&]+((?:name|화자)\d+)[\])}>&]+(?!\d)")
_NAME = re.compile(r"(?<![A-Za-z])name([12])(?!\d)")
_GREETING = re.compile(
    r"안녕(?:하세요|하세용|하셔요|하십니까|하신가요)?|반가(?:워|워요|웠어|웠어요)"
    r"|반갑(?:네|네요|습니다)|(?:방가){1,2}|(?:하이){1,2}|헬로우?"
)
# words that make no greeting by themselves, but may stand in one
_BESIDE = re.compile(
    r"|네|넵|예|응|어|아|오|저도|나도|정말|너무|만나서|처음|다들|모두|여러분"
    r"|(?:name|화자)\d+(?:님|씨|아|야)?"
)


def names(text: str) -> str:
    """name1 and name2 as the speakers 화자1 and 화자2; no brackets around an anonymised name."""
    return _NAME.sub(r"화자\1", _MASKED.sub(r"\1", text))


def speakers(text: str) -> str:
    """화자 1 as 화자1."""
    return re.sub(r"화자 ([12])(?!\d)", r"화자\1", text)


def marks(text: str) -> str:
    """Four dots or more as three, three question marks or more as two."""
    return re.sub(r"\?{3,}", "??", re.sub(r"\.{4,}", "...", text))


def greetings(text: str) -> str:
    """Nothing where the whole text is a greeting, else the text.

    Each word is looked at by itself. So of two texts that are no greetings, neither is the one they
    make when they are joined, and to clean twice is to clean once.
    """
    words = [re.sub(r"[\W_ㅋㅎㅠㅜ]", "", word) for word in text.split()]
    greeted = [bool(_GREETING.fullmatch(word)) for word in words]
    only = all(
        greeting or _BESIDE.fullmatch(word) for word, greeting in zip(words, greeted, strict=True)
    )
    return "" if only and any(greeted) else text


def wordless(text: str) -> str:
    """Nothing where the text is punctuation alone, unless it asks, else the text."""
    said = "".join(text.split())
    silent = all(unicodedata.category(c).startswith("P") and c not in "?？" for c in said)
    return "" if silent else text


SPACES = TextRule(
    "spaces",
    "every run of whitespace is one space, and none stands outside",
    (("오늘   어디\n가요? ", "오늘 어디 가요?"),),
    one_line,
    places=("turns", "options"),
)
NAMES = TextRule(
    "names",
    "`name1` and `name2` are 화자1 and 화자2, also in options; brackets of anonymised names go",
    (
        ("[name1]아, name2는 언제 와?", "화자1아, 화자2는 언제 와?"),
        ("(name3)도 온대", "name3도 온대"),
    ),
    names,
    places=("turns", "options"),
)
SPEAKERS = TextRule(
    "speakers",
    "in options, 화자 1 is 화자1 as everywhere else",
    (("화자 1은 산책을 좋아한다.", "화자1은 산책을 좋아한다."),),
    speakers,
    places=("options",),
)
MARKS = TextRule(
    "marks",
    "four dots or more are three, three question marks or more are two",
    (("글쎄..... 정말????", "글쎄... 정말??"),),
    marks,
)
GREETINGS = TextRule(
    "greetings",
    "an utterance that is a greeting and nothing else goes, unless it is a reference",
    (("네, 안녕하세요. 반갑습니다.", ""), ("안녕히 주무셨어요?", "안녕히 주무셨어요?")),
    greetings,
)
WORDLESS = TextRule(
    "wordless",
    "an utterance of punctuation alone goes, unless it asks or is a reference",
    (("...", ""), ("??", "??"), ("100%.", "100%.")),
    wordless,
)
