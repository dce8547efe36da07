"""Reader of a table of one's own: its mapping says which column is what (prep/sources/mapping.py).

Nothing is left out: a record that does not fit stops the build with one sentence, since the test
file of a task is read so too, and each of its questions must be answered.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from typing import Any

from core.errors import UserError
from core.records import LABELS, Changed, Question, Removed, Split, Turn
from core.text import context, nfc, one_line, present, short
from prep.sources.cells import focus_of, literal, option_of, split_numbered, turns_of
from prep.sources.column_proposal import ALIASES, propose
from prep.sources.forms import Found
from prep.sources.mapping import Columns, TableMapping, has, line, value_at
from prep.sources.reader import Option, Place, as_id

CELLS = (".csv", ".tsv", ".xlsx", ".parquet")  # have empty cells, and may have had merged ones
COUNTED = {"from 1": 1, "from 0": 0}
UNCLEAR = ("none", "null", "n/a")  # of an option: a text, or what a program wrote for nothing
MERGED = ("passage", "dialogue", "group", "category")


def checked(found: Iterable[Found], mapping: TableMapping, split: Split) -> list[Found]:
    """The records of a table, of which the columns and ids are looked at together.

    Empty cells take what stands above them where the mapping says so. Raises `UserError` where a
    column is missing (that of the answers may be, of a test file), where an id stands twice, and
    where a table has a second header, a line of empty cells or, perhaps, merged cells.
    """
    records = list(found)
    if not records or mapping.columns is None:
        return records
    columns = mapping.columns
    where = records[0][1]
    file = where.rpartition(", ")[0]
    _require_columns(records, columns, split, file)
    if _is_header(records[0][2], columns):
        raise UserError(
            f"{where}: holds names of columns once more, so that the file has two header lines; "
            "leave one"
        )
    for _, place, record in records:
        if all(present(value) is None for value in record.values()):
            raise UserError(f"{place}: is empty; delete the line")
    if mapping.empty or file.lower().removesuffix(".gz").endswith(CELLS):
        records = _filled(records, columns, mapping.empty)
    seen: dict[str, str] = {}
    for _, place, record in records if columns.id else ():
        own = _id(record, columns)
        if not own:
            raise UserError(f"{place}: has no id in column {columns.id}; give it one")
        if own in seen:
            raise UserError(
                f"{place}: id {short(own)} stands there twice, first in "
                f"{seen[own].rpartition(', ')[2]}; give each its own"
            )
        seen[own] = place
    return records


def question(record: dict[str, Any], place: Place) -> Iterator[Question | Removed | Changed]:
    """One record as a question; raises `UserError` where it is none that can be asked."""
    mapping, columns = place.mapping, place.mapping.columns
    if columns is None:
        raise UserError(f"{place.where}: its table has no mapping; name its columns")

    def cell(column: str | None) -> Any:
        return None if column is None else present(value_at(record, column))

    def text(column: str | None) -> Option:
        value = cell(column)
        if isinstance(value, list | dict):
            inside = f", or one in it such as {column}.{next(iter(value))}"
            raise UserError(
                f"{place.where}: column {column} holds a {type(value).__name__}, not a text; name "
                f"another column{inside if isinstance(value, dict) and value else ''}"
            )
        return value if isinstance(value, str | None) else _number(value)

    own = _id(record, columns)
    turns, focus = _dialogue(cell(columns.dialogue), cell(columns.reference), own, place)
    options = _options(record, mapping, place)
    shown = [one_line(str(option)) for option in options]
    asked = text(columns.question) if columns.question else mapping.fixed.question
    if (asked is None or not nfc(str(asked))) and not turns:
        raise UserError(f"{place.where}: has no question in column {columns.question}; give it one")
    yield place.question(
        own,
        category=str(text(columns.category) or mapping.fixed.category or place.source),
        question=asked,
        options=options,
        answer=_answer(cell(columns.answer), shown, place),
        passage=text(columns.passage),
        note=text(columns.note),
        turns=turns,
        focus=focus,
        group=_group(cell(columns.group), place),
        most=len(LABELS),
    )


def _id(record: Mapping[str, Any], columns: Columns) -> str | None:
    """A record's own id as text, whatever a column makes of it: 1.5, a date."""
    value = None if columns.id is None else as_id(value_at(record, columns.id))
    return None if value is None else nfc(str(value)) or None


def _number(value: Any) -> str | int:
    """A value that is no text; a number without its ".0", which a column with gaps has."""
    return int(value) if isinstance(value, float) and value.is_integer() else str(value)


def _require_columns(records: Sequence[Found], columns: Columns, split: Split, file: str) -> None:
    missing = [
        column
        for field, column in columns.named()
        if not any(has(record, column) for _, _, record in records)
        and not (field == "answer" and split == "test")
    ]
    if not missing:
        return
    there = dict.fromkeys(name for _, _, record in records for name in record)
    expected = ", ".join(column for _, column in columns.named())
    raise UserError(
        f"{file}: has no column {', '.join(map(short, missing))}; its columns are "
        f"{short_list(there)}, expected are {expected}; write under the source, as far as it fits, "
        f"{line(propose([record for _, _, record in records]).columns)}"
    )


def short_list(names: Iterable[str]) -> str:
    """Some names as errors list them."""
    listed = [short(name) or '""' for name in names]
    return ", ".join(listed[:15]) + (", …" if len(listed) > 15 else "")


def _is_header(record: dict[str, Any], columns: Columns) -> bool:
    """Whether a record says in two columns or more what such columns are called."""
    names = {field: {column} | ALIASES[field] for field, column in columns.named()}
    said = [
        field
        for field, column in columns.named()
        if isinstance(value := value_at(record, column), str)
        and one_line(value).casefold() in {name.casefold() for name in (*names[field], column)}
    ]
    return len(said) >= 2


def _filled(records: Sequence[Found], columns: Columns, empty: str | None) -> list[Found]:
    """Records of a table whose cells were merged, or not, as the mapping says."""
    result: list[Found] = []
    above: dict[str, Any] = {}
    for number, where, record in records:
        filled = dict(record)
        for field, column in columns.named():
            if field not in MERGED or column not in record:
                continue
            if context(str(present(record[column]) or "")):
                above[column] = record[column]
            elif nfc(str(present(record[column]) or "")) or column not in above:
                continue  # words for nothing are no empty cell
            elif empty is None:
                raise UserError(
                    f"{where}: {column} is empty under a cell that is not, as merged cells are "
                    "saved; say by `empty: above` that it is the same, or by `empty: none` that "
                    "there is none"
                )
            elif empty == "above":
                filled[column] = above[column]
        result.append((number, where, filled))
    return result


def _dialogue(
    value: Any, reference: Any, own: str | None, place: Place
) -> tuple[list[Turn], list[str]]:
    columns = place.mapping.columns
    if columns is None or columns.dialogue is None:
        return [], []
    if value is None:
        raise UserError(f"{place.where}: has no dialogue in column {columns.dialogue}; give it one")
    try:
        said = turns_of(value, place.where)
        ids = [name or str(number) for number, (name, _, _) in enumerate(said, start=1)]
        if len(set(ids)) < len(ids):
            raise ValueError("has two turns of one id")
        turns = [
            Turn(speaker=speaker, text=place.text(own, f"turns.{id_}", text, lines=False), id=id_)
            for id_, (_, speaker, text) in zip(ids, said, strict=True)
        ]
    except ValueError as error:
        raise UserError(
            f"{place.where}: column {columns.dialogue} {error}; a dialogue is a list of "
            '{"speaker": …, "text": …}, or lines of "화자1: …"'
        ) from None
    try:
        return turns, focus_of(reference, turns, place.where)
    except ValueError as error:
        raise UserError(
            f"{place.where}: column {columns.reference} {error}; name turns by their id, by their "
            "number from 1, or by their text"
        ) from None


def _options(record: Mapping[str, Any], mapping: TableMapping, place: Place) -> list[Option]:
    """The options as published, two or more, none absent or alike."""
    column = mapping.columns.options if mapping.columns else None
    if column is None:
        return [*(mapping.fixed.texts or [])]
    where = f"{place.where}, {'column ' + column if isinstance(column, str) else 'options'}"
    if isinstance(column, list):
        value: Any = [value_at(record, one) for one in column]
    else:
        value = present(value_at(record, column))
    if isinstance(value, str):
        try:
            given = value.strip().startswith("[")
            value = literal(value, where) if given else split_numbered(value)
        except ValueError as error:
            raise UserError(
                f"{where}: {error}; number the options, or give each a column"
            ) from None
    if not isinstance(value, list):
        raise UserError(f"{where}: holds no options; give it some, as a list or a numbered text")
    options = [one.get("text") if isinstance(one, dict) else one for one in value]
    options = [_number(one) if isinstance(present(one), float | bool) else one for one in options]
    for number, one in enumerate(options, start=1):
        if isinstance(one, str) and nfc(one).lower() in UNCLEAR:
            raise UserError(
                f"{where}: option {number} reads {short(one)!r}, a text or none at all; put it in "
                "quotation marks if it is meant, else empty it"
            )
        if isinstance(one, date | time | timedelta):
            raise UserError(
                f"{where}: option {number} is the date or time {one}, as spreadsheets make of 1/2 "
                "or 3:30; format its column as text, and type it anew"
            )
    while options and present(options[-1]) is None:  # a question with fewer than others
        options.pop()
    for number, one in enumerate(options, start=1):
        if isinstance(one, list | dict) or present(one) is None or not one_line(str(one)):
            raise UserError(f"{where}: option {number} is empty; give it a text")
    if not 2 <= len(options) <= len(LABELS):
        raise UserError(f"{where}: {len(options)} options; a question has 2 to {len(LABELS)}")
    shown = [one_line(str(one)) for one in options]
    if doubled := [one for one in shown if shown.count(one) > 1]:
        raise UserError(
            f"{where}: two options read {short(doubled[0])!r}, so that two answers would be right; "
            "correct or delete the record"
        )
    return options


def _answer(value: Any, options: Sequence[str], place: Place) -> int | None:
    """The index of the right option, or None where none is given."""
    mapping = place.mapping
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    index = option_of(value, mapping.answers, options, mapping.fixed.keys)
    if index is not None and mapping.answers in COUNTED:
        place.index(index + COUNTED[mapping.answers], len(options), COUNTED[mapping.answers])
    if index is not None and 0 <= index < len(options):
        return index
    expected = mapping.fixed.keys or [f"answers: {mapping.answers}"]
    raise UserError(
        f"{place.where}: answer {short(value)!r} is none of its {len(options)} options by "
        f"{', '.join(expected)}; correct it, or state how answers are written"
    )


def _group(value: Any, place: Place) -> str | None:
    """A group's name; of another split's it is another's, whose groups count anew."""
    named = "" if value is None else one_line(str(as_id(value)))
    return f"{place.split}-{named}" if named else None
