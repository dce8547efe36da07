"""What is to be answered, and how a submission for it is written and checked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files import atomic_file, decoded, read_bytes
from ensemble.member_answers import Items


class Sheet(ABC):
    """What is to be answered: ids, numbers of options, categories and groups in the file's order.

    `group` is the dialogue or passage, named as `prep/` names it.
    """

    path: Path
    ids: list[str]
    options: list[int]
    categories: list[str]
    groups: list[str]

    @property
    def items(self) -> Items:
        """What the members must answer."""
        return Items(self.ids, np.array(self.options, dtype=np.int8), self.path)

    @abstractmethod
    def content(self, choices: Mapping[str, int]) -> bytes:
        """The submission with choices (id → 0-based option)."""

    @abstractmethod
    def validate(self, content: bytes, path: Path) -> None:
        """Raise `UserError` unless a submission's content answers exactly this file."""

    def require_suffix(self, out: Path) -> None:
        """Raise `UserError` where a submission's name promises another form."""
        if out.suffix.lower() != self.path.suffix.lower():
            raise UserError(
                f"{out}: a submission for {self.path} must end in {self.path.suffix}; rename it"
            )

    def write(self, out: Path, choices: Mapping[str, int]) -> None:
        """Write the submission, validated first; a failure leaves an earlier one untouched."""
        self.require_suffix(out)
        content = self.content(choices)
        self.validate(content, out)
        with atomic_file(out, binary=True) as file:
            file.write(content)

    def check(self, path: Path) -> None:
        """Raise `UserError` unless a submission's file is valid, as `validate` asks."""
        self.require_suffix(path)
        if path.resolve() == self.path.resolve():
            raise UserError(f"{path}: is the test file itself; name the submission")
        self.validate(read_bytes(path), path)


class TextSheet(Sheet):
    """A sheet whose submission is a text: UTF-8 without a byte order mark."""

    @abstractmethod
    def text(self, choices: Mapping[str, int]) -> str:
        """The submission with choices (id → 0-based option)."""

    @abstractmethod
    def validate_text(self, text: str, path: Path) -> None:
        """Raise `UserError` unless a submission's text answers exactly this file."""

    def content(self, choices: Mapping[str, int]) -> bytes:
        """The text in UTF-8."""
        return self.text(choices).encode()

    def validate(self, content: bytes, path: Path) -> None:
        """As `validate_text`."""
        self.validate_text(without_mark(content, path), path)


def without_mark(content: bytes, path: Path) -> str:
    """A submission's text; raises `UserError` where it is not UTF-8 or begins with a mark."""
    text = decoded(content, path)
    if content.startswith(b"\xef\xbb\xbf"):
        raise UserError(f"{path}: begins with a byte order mark; save it as UTF-8 without one")
    return text


def other_ids(path: Path, ids: list[str], expected: list[str]) -> UserError:
    """What is wrong with a submission's ids, in one sentence."""
    missing = sorted(set(expected) - set(ids))
    extra = sorted(set(ids) - set(expected))
    if missing:
        fault = f"{len(missing)} of {len(expected)} ids are missing, the first is {missing[0]}"
    elif extra:
        fault = f"{len(extra)} ids are not in the test file, the first is {extra[0]}"
    elif len(ids) > len(expected):
        fault = "an id stands there twice"
    else:
        fault = "its ids are in another order than in the test file"
    return UserError(f"{path}: {fault}; write it anew")
