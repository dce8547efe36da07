"""What every reader does to text before it becomes a record, and when two texts are the same."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from core.errors import UserError

# Unicode's Default_Ignorable_Code_Point, controls and the blank Braille pattern. Variation
# selectors and joiners stay behind an emoji or a letter of another script, which they shape.
_IGNORABLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_JOINERS = "\u200c\u200d\ufe00-\ufe0f\U000e0000-\U000e0fff"
_SHAPED = "\u0600-\u0dff\u2600-\u27bf\U0001f000-\U0001faff"  # Arabic to Sinhala, pictures
_INVISIBLE = re.compile(rf"((?![{_IGNORABLE}])[{_SHAPED}][{_JOINERS}]+)|[{_IGNORABLE}{_JOINERS}]")

# words for a missing value: those that programs write, and those that people write for a context
_PROGRAMS = {"", "nan", "none", "null", "n/a", "#n/a", "<na>", "nat"}
_PEOPLE = re.compile(
    r"(?:(?:지문|본문|보기|자료|제시문|참고|글|해당(?:사항)?)(?:이|은|는)?)?없(?:음|습니다)"
    r"|no(?:passage|context|paragraph)|notapplicable|na"
)


def visible(text: str) -> str:
    """The text without characters that show nothing: zero widths, Hangul fillers, controls."""
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub(r"\1", text)


def nfc(text: str) -> str:
    """The text with composed Hangul and "\n" at every line's end, without invisible characters and
    outer whitespace."""
    lines = visible(text).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", lines).strip()


def one_line(text: str) -> str:
    """`nfc`, and every run of whitespace as one space."""
    return " ".join(nfc(text).split())


def present(value: Any) -> Any:
    """A value as it is, or None where it is absent: NaN, empty, or a program's word for that."""
    if isinstance(value, float) and value != value:
        return None
    return None if isinstance(value, str) and nfc(value).lower() in _PROGRAMS else value


def context(text: str | None) -> str:
    """A passage, a note or other context, "" where it is absent: also in words ("지문 없음", ".").

    An option or an answer of such words is meant, so that only contexts are looked at so.
    """
    given = nfc(present(text) or "")
    said = "".join(char for char in plain(given) if char.isalnum() or _is_symbol(char))
    return "" if said in _PROGRAMS or _PEOPLE.fullmatch(said) else given


def short(value: object) -> str:
    """A value as errors quote it: on one line, printable, at most 60 characters."""
    text = "".join(char if char.isprintable() else "�" for char in str(value)[:61])
    return text if len(text) <= 60 else f"{text[:59]}…"


# Signs of one meaning, written in several ways: widths, units in one character, dashes
_SAME = {
    **{code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFF01, 0xFF5F)},
    **{code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x3300, 0x3400)},
    **dict.fromkeys(map(ord, "‐‑‒–—―−﹣"), "-"),
    **dict.fromkeys(map(ord, "⋅∙•・"), "·"),
    **{ord("≦"): "≤", ord("≧"): "≥", ord("⩽"): "≤", ord("⩾"): "≥", ord("′"): "'", ord("’"): "'"},
}
_PICTURE = re.compile("[\u25a0-\u25ff\u2600-\u27bf\U0001f000-\U0001faff]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BULLET = re.compile(r"^[ \t]*[-+*·○●◎□■◇◆△▲▷▶☞★☆※][ \t]+", re.MULTILINE)
_ANGLES = re.compile(r"(?<![0-9a-z)])<(?=[^\s=<>-])([^<>\n]{1,30})(?<=\S)>")  # <보기>
_RULE = re.compile(r"([=+~*#._-])\1{2,}")  # a line drawn with signs
_O, _C = "(?<=[0-9a-zα-ω)\\]}∞])", "(?=[0-9a-zα-ω(\\[{∞√])"  # behind and before an operand
_PART = re.compile(
    rf"""
    (?P<number>\d+(?:[.,:/~-]\d+)*)
  | (?P<word>[^\W\d_]+|[^\W_])
  | (?P<sign>
      {_O}\s?-(?=\s?-) | {_O}\s?-\s?{_C} | {_O}-+ | -+{_C}   # a minus, a charge, a grade
    | {_O}(?P<gap>\s?)[*/^&\\~·]+(?P=gap){_C}     # operators between their operands
    | {_O}\s?:\s?{_C} | (?<=\d)\s?,\s?(?=\d)      # a ratio; an enumeration of numbers
    | (?<!\w)\.(?=\d) | (?<=\d)\s?[%‰]            # .5, 50 %
    | (?<=[a-z])\#+ | (?<!\|)\|+{_C} | {_O}\|+   # C#, |x|
    | (?:(?<=[0-9)])|(?<=(?<![a-z])[a-z]))!+ | !(?==) | [~!](?=[a-z](?![a-z]))    # 5!, !=, ~p
    | (?<=[a-z)])'+(?=\s?[(=+])                   # f'(x)
    | (?<=[-+*/^×÷=<>√])\s?[(\[{{] | [)\]}}](?=\s?[-+*/^×÷])     # what is reckoned first
    | (?<=[0-9a-z])\((?=[-0-9a-z]) | \[(?=[-0-9∞]) | (?<=[0-9∞])\]   # 2(3 + 4), [0, 1)
    | \$(?=\s?\d)
    )
  | (?P<mark>[^\w\s])
    """,
    re.VERBOSE,
)
# most texts hold nothing but words and the punctuation of sentences, and need no closer look
_CANDIDATE = re.compile(r"[^\w\s.,?!'\"…~]|[0-9a-z)]\s?[!',]|[.!~][0-9a-z=]")


def plain(text: str) -> str:
    """The text in lower case, on one line, signs of one meaning written in one way."""
    text = _BULLET.sub(" ", nfc(text).translate(_SAME).casefold())
    text = _RULE.sub(" ", _ANGLES.sub(r" \1 ", text))
    return _THOUSANDS.sub("", " ".join(text.split()))


def signs(plain_text: str) -> Iterator[tuple[int, int]]:
    """Where signs stand that carry meaning, in a text made `plain`; those in numbers, as 1.5, and
    pictures, as emoji or ★, are left out."""
    for part in _PART.finditer(plain_text if _CANDIDATE.search(plain_text) else ""):
        mark = part["mark"]
        if part["sign"] or (mark and _is_symbol(mark) and not _PICTURE.match(mark)):
            yield part.span()


def compared(text: str) -> str:
    """What texts share that are the same: letters, digits, and signs that carry meaning.

    Those are symbols (+, ≤, →, ℃, ㉠, ★) but for accents and lines, and punctuation where it
    operates on something (3 - 2, 1:2, C#). Case, whitespace, other punctuation and invisible
    characters are no difference. A text of such characters alone is compared by them.
    """
    given = plain(text)
    kept = [
        part[0] for part in _PART.finditer(given) if not part["mark"] or _is_symbol(part["mark"])
    ]
    return "".join("".join(kept).split()) or given or one_line(text)


def digest(text: str) -> str:
    """16 hexadecimal digits that texts share which are the same as `compared`."""
    return hashlib.sha256(compared(text).encode()).hexdigest()[:16]


def _is_symbol(char: str) -> bool:
    if char in "~^`|$" or "\u2500" <= char <= "\u259f":
        return False
    return unicodedata.category(char) in ("Sm", "Sc", "So")


def writable(record: Any, where: str) -> Any:
    r"""A parsed record as it is; raises `UserError` where it holds half a surrogate pair.

    JSON can escape one ("\ud800"), but no UTF-8 file can hold it.
    """
    try:
        json.dumps(record, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{where}: holds half a character (\\ud800 to \\udfff); correct it"
        ) from None
    return record
