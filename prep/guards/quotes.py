"""Long runs of characters that a text has in common with a known one.

Records are compared as a whole elsewhere; this finds a dialogue inside a longer text, and windows
cut from one conversation. A run of 48 letters and digits is some 13 to 15 Korean words; 13 words is
the run at which Brown et al. (2020, appendix C) call a text contaminated.
"""

import re

from prep.dedup.text import kept_characters

RUN = 48  # characters in common
STEP = 16  # of a text, every 16th window is looked up
WINDOW = RUN - STEP + 1  # every run holds one of these
SPEAKER = re.compile(
    r"^[^\w\n]{0,8}\w{1,8}(?: ?\d)?\s?[:：]|(?:화자|name) ?\d\s?[:：]?", re.MULTILINE
)


class Quotes:
    """Known texts, and which of them another text quotes."""

    def __init__(self) -> None:
        self._known: list[tuple[str, str]] = []  # (text, name)
        self._windows: dict[str, list[int]] = {}  # to the known texts that hold it

    def add(self, text: str, name: str) -> None:
        """Make a text known by a name."""
        kept = _compared(text)
        for window in {kept[k : k + WINDOW] for k in range(len(kept) - WINDOW + 1)}:
            self._windows.setdefault(window, []).append(len(self._known))
        self._known.append((kept, name))

    def find(self, text: str) -> str | None:
        """The name of a known text that has a run in common with this one, or None."""
        if not self._windows:
            return None
        kept = _compared(text)
        for start in range(0, len(kept) - WINDOW + 1, STEP):
            around = range(max(0, start - STEP + 1), min(start, len(kept) - RUN) + 1)
            for place in self._windows.get(kept[start : start + WINDOW], ()):
                known, name = self._known[place]
                if any(kept[k : k + RUN] in known for k in around):
                    return name
        return None


def _compared(text: str) -> str:
    """Letters and digits of a text, without who speaks at the start of a line."""
    return kept_characters(SPEAKER.sub(" ", text))
