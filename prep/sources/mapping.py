"""The mapping of `source: table`: which columns of a table of one's own make its questions.

It stands in params.yaml next to the files:

    source: table
    columns: {id: 번호, passage: 지문, question: 문제, options: [가, 나, 다, 라], answer: 정답}
    answers: from 1
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BeforeValidator, Field, model_validator

from core.records import LABELS, Strict
from core.text import nfc

TABLE = "table"
Answers = Literal["from 1", "from 0", "A", "①", "가", "text"]
ANSWERS: tuple[str, ...] = get_args(Answers)


def _composed(value: Any) -> Any:
    """Names of columns as tables are read: NFC. A number, which YAML makes of 1, is its digits."""
    if isinstance(value, list):
        return [_composed(one) for one in value]
    return nfc(str(value)) if isinstance(value, str | int) else value


def _keyed(value: Any) -> Any:
    """Fixed options; keys and texts that YAML reads as true, 1 and the like are text."""
    if isinstance(value, dict):
        return {
            nfc(key) if isinstance(key, str) else as_key(key): _composed(text)
            for key, text in value.items()
        }
    return _composed(value)


def as_key(value: Any) -> str:
    """An answer as it is compared with the keys of fixed options: "TRUE", true and 1.0 are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(nfc(str(value)).casefold().split())


Column = Annotated[str, BeforeValidator(_composed), Field(min_length=1)]


class Columns(Strict):
    """By field of a question, its column; a name with dots reaches into objects, `doc.question`.

    `options` is one column, of a list or of a numbered text, or several columns in their order.
    """

    id: Column | None = None
    passage: Column | None = None
    dialogue: Column | None = None
    reference: Column | None = None
    question: Column | None = None
    note: Column | None = None
    options: Annotated[str | list[Column] | None, BeforeValidator(_composed)] = None
    answer: Column | None = None
    category: Column | None = None
    group: Column | None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if isinstance(value, dict) and (odd := [key for key in value if key not in FIELDS]):
            raise ValueError(f"{odd[0]!r} is no field; the fields are {', '.join(FIELDS)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.options, list) and not 2 <= len(self.options) <= len(LABELS):
            raise ValueError(f"options are 2 to {len(LABELS)} columns, or one of a list or text")
        if self.passage and self.dialogue:
            raise ValueError("a question has a passage or a dialogue; leave one out")
        if self.reference and not self.dialogue:
            raise ValueError("reference names turns of a dialogue; name its column too")
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """(field, column) for each column named."""
        for field, column in self.model_dump(exclude_none=True).items():
            for one in column if isinstance(column, list) else [column]:
                yield field, one


FIELDS = tuple(Columns.model_fields)


class Fixed(Strict):
    """What is the same for every question, and so stands in no column.

    `options` are texts in their order, or what an answer's column says by the text shown for it:
    {O: 맞다, X: 틀리다}.
    """

    question: str | None = None
    category: str | None = None
    options: Annotated[list[str] | dict[str, str] | None, BeforeValidator(_keyed)] = None

    @property
    def texts(self) -> list[str] | None:
        """The options' texts in their order."""
        return [*self.options.values()] if isinstance(self.options, dict) else self.options

    @property
    def keys(self) -> list[str] | None:
        """What the answer's column says for each option, where that is stated by keys, as written
        there; compared by `as_key`."""
        return [*self.options] if isinstance(self.options, dict) else None


class TableMapping(Strict):
    """The keys of a table's mapping, which a corpus and a part of a mix share.

    `answers` says how answers are written; it is never guessed, for 1 may be the first option or
    the second. `empty` says of an empty cell under a filled one whether it is empty, or merged with
    that above.
    """

    columns: Columns | None = None
    fixed: Fixed = Fixed()
    answers: Answers | None = None
    empty: Literal["none", "above"] | None = None

    @property
    def stated(self) -> dict[str, Any]:
        """The mapping alone, to give to another source."""
        return {name: getattr(self, name) for name in TableMapping.model_fields}

    @property
    def blind(self) -> "TableMapping":
        """The mapping without the answers, of which a test file may have placeholders."""
        columns = self.columns and self.columns.model_copy(update={"answer": None})
        return TableMapping(columns=columns, fixed=self.fixed, empty=self.empty)

    def require_mapping(self, where: str) -> None:
        """Raise `ValueError` where no table can be read by this."""
        columns = self.columns
        if columns is None:
            raise ValueError(
                f"{where} needs its columns; `python prep/init.py FILE` proposes them for a file"
            )
        if bool(columns.options) == bool(self.fixed.options):
            raise ValueError(f"{where}: name the options under either columns or fixed")
        if not columns.question and not self.fixed.question and not columns.dialogue:
            raise ValueError(f"{where}: name a column of questions, or fix one question for all")
        if columns.question and self.fixed.question:
            raise ValueError(f"{where}: name the question under either columns or fixed")
        if self.fixed.texts and not 2 <= len(set(self.fixed.texts)) == len(self.fixed.texts):
            raise ValueError(f"{where}: fixed options are two or more, no two alike")
        keys = self.fixed.keys or []
        if len({as_key(key) for key in keys}) < len(keys):
            raise ValueError(f"{where}: keys of fixed options differ in more than case")
        if columns.answer and (self.answers is None) == (self.fixed.keys is None):
            raise ValueError(
                f"{where}: answers are stated by `answers:` (one of {', '.join(ANSWERS)}), or by "
                "the keys of fixed options"
            )


def value_at(record: Mapping[str, Any], column: str) -> Any:
    """A record's value of a column, or None; a name with dots reaches into its objects."""
    if column in record:
        return record[column]
    value: Any = record
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def has(record: Mapping[str, Any], column: str) -> bool:
    """Whether a record has a column, be it empty."""
    if column in record:
        return True
    holder, _, last = column.rpartition(".")
    inside = value_at(record, holder) if holder else None
    return isinstance(inside, Mapping) and last in inside


def line(fields: Mapping[str, str | Sequence[str]]) -> str:
    """A mapping of columns as params.yaml has it, on one line."""
    shown = {
        field: f"[{', '.join(map(_quoted, column))}]"
        if not isinstance(column, str)
        else _quoted(column)
        for field, column in fields.items()
    }
    return f"columns: {{{', '.join(f'{field}: {name}' for field, name in shown.items())}}}"


def _quoted(name: str) -> str:
    """A column's name as YAML reads it as that text."""
    try:
        plain = yaml.safe_load(f"{{x: {name}}}") == {"x": name}
    except yaml.YAMLError:
        plain = False
    return name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
