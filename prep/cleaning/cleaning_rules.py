r"""What a cleaning rule is, and the rules: on one utterance or option, or on a dialogue.

A symbol stays where it joins digits (8:30, 2/3, 5~7, 5 ~ 7), stands before a digit or a Latin
letter and after a word (3월~5월, 010-1234, A/S, K-pop), or is the sign of a number (-3도). What is
removed between two words leaves a space, so that the words do not grow together; after a closing
bracket or quotation mark there stands a particle, which must.

The rules of tamago (CPM-AI/Ai-Malpyung-ContextualReasoning-NA): it names the two steps and
publishes neither list nor code, so that both lists are this project's.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from core.records import Turn
from core.text import one_line


@dataclass(frozen=True)
class TextRule:
    """A rule on one text: an utterance, an option, or either, as `places` says.

    A rule that `spares` references leaves one of which it would keep nothing as it is.
    """

    name: str
    what: str
    examples: tuple[tuple[str, str], ...]
    change: Callable[[str], str]
    places: tuple[Literal["turns", "options"], ...] = ("turns",)
    spares: bool = True

    def turns(self, turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
        """The utterances after the rule; `focus` holds the ids of the references."""
        if "turns" not in self.places:
            return list(turns)
        return [self._turn(turn, turn.id in focus) for turn in turns]

    def _turn(self, turn: Turn, reference: bool) -> Turn:
        text = self.change(turn.text)
        lost = turn.text.strip() and not text.strip()
        if text == turn.text or (lost and reference and self.spares):
            return turn
        return turn.model_copy(update={"text": text})

    def options(self, options: Sequence[str]) -> list[str]:
        """The options after the rule, or as they were if it would make two of them equal."""
        if "options" not in self.places:
            return list(options)
        changed = [self.change(option) for option in options]
        return changed if len(set(changed)) == len(set(options)) else list(options)


@dataclass(frozen=True)
class TurnsRule:
    """A rule that drops or joins utterances; an example's reference is marked by an asterisk."""

    name: str
    what: str
    examples: tuple[tuple[str, str], ...]
    change: Callable[[Sequence[Turn], Set[str]], list[Turn]]

    def turns(self, turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
        """The utterances after the rule; `focus` holds the ids of the references."""
        return self.change(turns, focus)

    def options(self, options: Sequence[str]) -> list[str]:
        """The options as they are."""
        return list(options)


Rule = TextRule | TurnsRule


SYMBOLS = r"[~～!><@_/\-ᆢ:;()^]"  # those of pohanghang, and the wide tilde
SPECIAL = r"(?:[^\w\s.,?%]|_)"  # whatever is no letter, digit, space or mark of a sentence
JAMO = "ㄱ-ㅎㅏ-ㅣ"
_CLOSING = re.compile(r"[)>\]}\"'”’」』]+")
_BETWEEN_DIGITS = r"(?<=\d)(?: (?P<spaced>[:/~-]) |(?P<close>[:/~-])(?P=close)*)(?=\d)"
# name1 will be 화자1, which is no Latin word
_AFTER_A_WORD = r"(?<=[^\W_]|%)[/~-](?=[0-9A-Za-z])(?!name\d)"
_SIGN = r"(?<![^\W_])-(?=\d)"


def remover(symbols: str) -> Callable[[str], str]:
    """A rule that removes the symbols of a character class where they join nothing."""
    kept = f"{_BETWEEN_DIGITS}|(?P<join>{_AFTER_A_WORD}|{_SIGN})"
    pattern = re.compile(f"{kept}|(?:(?!{_SIGN}){symbols})+")

    def replacement(found: re.Match[str]) -> str:
        if joint := found["spaced"] or found["close"] or found["join"]:
            return joint
        text, start, end = found.string, found.start(), found.end()
        before, after = text[max(start - 1, 0) : start], text[end : end + 1]
        if not before.strip() or not re.match(r"[\w-]", after):
            return ""
        # ㅠ_ㅠ is one face, not two letters
        face = re.fullmatch(f"[{JAMO}]{{2}}", before + after)
        particle = _CLOSING.fullmatch(found[0]) and not after.isdigit()
        return "" if face or particle else " "

    return lambda text: one_line(pattern.sub(replacement, text))


SYMBOL_RULES = (
    TextRule(
        "symbols",
        "the symbols `~ ! > < @ _ / - ᆢ : ; ( ) ^` go, except in numbers and Latin words",
        (
            ("8:30에 5~7명이 와요!! (친구들)", "8:30에 5~7명이 와요 친구들"),
            ("와~진짜요? 영하 -3도였어^^;;", "와 진짜요? 영하 -3도였어"),
            ("A/S는 (그 번호)로, 010-1234!", "A/S는 그 번호로, 010-1234"),
        ),
        remover(SYMBOLS),
    ),
)


_MASKED = re.compile(r"[\[({<&]+((?:name|화자)\d+)[\])}>&]+(?!\d)")
_NAME = re.compile(r"(?<![A-Za-z])name([12])(?!\d)")
_GREETING = re.compile(
    r"안녕(?:하세요|하세용|하셔요|하십니까|하신가요)?|반가(?:워|워요|웠어|웠어요)"
    r"|반갑(?:네|네요|습니다)|(?:방가){1,2}|(?:하이){1,2}|헬로우?"
)
# words that make no greeting by themselves, but may stand in one
_IN_A_GREETING = re.compile(
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
    """Nothing where the text is a greeting and no more, else the text.

    Each word is looked at by itself. So of two texts that are no greetings, neither is the one they
    make when they are joined, and to clean twice is to clean once.
    """
    words = [re.sub(r"[\W_ㅋㅎㅠㅜ]", "", word) for word in text.split()]
    greeted = [bool(_GREETING.fullmatch(word)) for word in words]
    only = all(
        greeting or _IN_A_GREETING.fullmatch(word)
        for word, greeting in zip(words, greeted, strict=True)
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
    "an utterance that is a greeting and nothing else is dropped, unless it is a reference",
    (("네, 안녕하세요. 반갑습니다.", ""), ("안녕히 주무셨어요?", "안녕히 주무셨어요?")),
    greetings,
)
WORDLESS = TextRule(
    "wordless",
    "an utterance of punctuation alone is dropped, unless it asks or is a reference",
    (("...", ""), ("??", "??"), ("100%.", "100%.")),
    wordless,
)


# filled pauses and hedges; words that also point or ask (그, 저, 뭐) or answer (네, 응) are none
STOP_WORDS = frozenset("음 흠 어 아 에 엄 막 좀 그냥 약간 이제 인제 뭐랄까 있잖아 있잖아요".split())


def stop_words(text: str) -> str:
    """The text without its stop words, or as it is where it is made of nothing else."""
    words = text.split()
    kept = [word for word in words if word.rstrip(".,~…") not in STOP_WORDS]
    return " ".join(kept) if kept else text


TAMAGO_RULES = (
    TextRule(
        "special-characters",
        "only letters, digits, spaces and `. , ? %` stay, except in numbers and Latin words",
        (("★오늘★ 7:30에 '거기'로 ㅎㅎ!", "오늘 7:30에 거기로 ㅎㅎ"),),
        remover(SPECIAL),
    ),
    TextRule(
        "stop-words",
        f"the words {', '.join(sorted(STOP_WORDS))} are removed where other words remain",
        (("음... 그냥 집에 좀 있을래", "집에 있을래"), ("어.", "어.")),
        stop_words,
    ),
)


def empty(turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
    """The utterances that have a text, and all references."""
    return [turn for turn in turns if turn.text.strip() or turn.id in focus]


def merge(turns: Sequence[Turn], focus: Set[str]) -> list[Turn]:
    """Consecutive utterances of a speaker as one under the first one's id; no reference is one."""
    merged: list[Turn] = []
    for turn in turns:
        last = merged[-1] if merged else None
        if last and last.speaker == turn.speaker and not {last.id, turn.id} & focus:
            merged[-1] = last.model_copy(update={"text": f"{last.text} {turn.text}"})
        else:
            merged.append(turn)
    return merged


TURNS_RULES = (
    TurnsRule(
        "empty",
        "an utterance without text is dropped, unless it is a reference",
        (
            ("화자1: 갔어? / 화자2: / 화자1: 응", "화자1: 갔어? / 화자1: 응"),
            ("화자1: 갔어? / 화자2*: ㅋㅋ", "화자1: 갔어? / 화자2*: ㅋㅋ"),
        ),
        empty,
    ),
    TurnsRule(
        "merge",
        "consecutive utterances of a speaker become one, never across or into a reference (*)",
        (
            ("화자1: 밥은? / 화자1: 먹었어? / 화자2: 응", "화자1: 밥은? 먹었어? / 화자2: 응"),
            (
                "화자1: 비 온다 / 화자1*: 우산 없어 / 화자1: 어쩌지",
                "화자1: 비 온다 / 화자1*: 우산 없어 / 화자1: 어쩌지",
            ),
        ),
        merge,
    ),
)
