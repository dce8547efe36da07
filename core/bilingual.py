"""Texts in English and Korean at once: a page shows either, by a switch; all else reads English."""

from typing import Self

from markupsafe import Markup


class Both(str):
    """A text in English, which is what it is everywhere, and the same in Korean for pages."""

    ko: str

    def __new__(cls, en: str, ko: str) -> Self:
        """The English text, which knows the Korean one."""
        made = super().__new__(cls, en)
        made.ko = ko
        return made

    def __html__(self) -> Markup:
        """Both, of which a page hides one."""
        pair = Markup('<span lang="en">{}</span><span lang="ko">{}</span>')
        return pair.format(str(self), self.ko)


def korean(text: str) -> str:
    """The Korean of a text where it has one, else the text."""
    return text.ko if isinstance(text, Both) else text


def joined(parts: list[str], between: str = " ") -> Both:
    """Texts one behind the other in both languages."""
    return Both(between.join(map(str, parts)), between.join(map(korean, parts)))
