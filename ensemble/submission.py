"""The test file and the submission: the official JSON, the exam's CSV, rows, or one's own table.

Which of the first three it is, its name tells: .json, to be filled in; .csv, answered by the
columns id and answer; .jsonl, rows of prep, answered likewise. A table is one where a run of
params.yaml maps its columns. Answers in a test file are never used.
"""

import argparse
import copy
import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.jsonl import loads, read_json
from ensemble.sheet import Sheet, TextSheet, other_ids
from ensemble.table_sheet import TableSheet
from eval.rows import read_rows
from prep.config import load_run
from prep.sources import exams
from prep.sources.downloads import records
from prep.sources.mapping import TABLE
from prep.sources.reader import collect

OPTION = re.compile(r"inference_[1-5]")
COLUMNS = ["id", "answer"]
ANEW = "write it anew"

TestItem = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The arguments by which a command finds the test file and how it is answered."""
    add = parser.add_argument
    add("--test", required=required, type=Path, help="the test file that the submission answers")
    add("--run", help="a run of the params file whose table it is, with the mapping of its columns")
    add("--params", type=Path, default=Path("params.yaml"), help="the params file")


def sheet_of(args: argparse.Namespace) -> Sheet:
    """The test file that the arguments above name; raises `UserError`."""
    if args.run is None:
        return read_sheet(args.test)
    corpus = load_run(args.params, args.run).corpus
    return TableSheet(args.test, corpus) if corpus.source == TABLE else read_sheet(args.test)


def read_sheet(path: Path) -> Sheet:
    """A competition's test file by its kind; raises `UserError` where it is none or malformed."""
    kinds = {".json": Official, ".csv": Exam, ".jsonl": Rows}
    if path.suffix.lower() not in kinds:
        raise UserError(
            f"{path}: none of {', '.join(kinds)}; name the official test file or rows of prep, or "
            "of a table of your own its run too, by --run"
        )
    return kinds[path.suffix.lower()](path)


class Official(TextSheet):
    """The institute's JSON: a list of items with two to five options `inference_1` ..."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` for no list of such items with string ids, or an id twice."""
        self.path = path
        self._items = _by_id(read_json(path), path)
        inputs = [item["input"] for item in self._items.values()]
        self.ids = list(self._items)
        self.options = [_option_count(given) for given in inputs]
        self.categories = [unicodedata.normalize("NFC", str(i.get("category"))) for i in inputs]
        self.groups = [_dialogue(i) or id_ for i, id_ in zip(inputs, self.ids, strict=True)]

    def text(self, choices: Mapping[str, int]) -> str:
        """The same JSON with `output` filled and nothing else changed."""
        filled = [copy.deepcopy(item) for item in self._items.values()]
        for id_, item in zip(self.ids, filled, strict=True):
            item["output"] = f"inference_{choices[id_] + 1}"
        return json.dumps(filled, ensure_ascii=False, indent=4)

    def validate_text(self, text: str, path: Path) -> None:
        """The same ids in the same order, every other field equal, each output an option."""
        answered = _by_id(_parsed(text, path), path, ANEW)
        if list(answered) != self.ids:
            raise other_ids(path, list(answered), self.ids)
        for id_, item in answered.items():
            given = self._items[id_]
            rest, expected = ({k: v for k, v in i.items() if k != "output"} for i in (item, given))
            if _written(rest) != _written(expected):
                raise UserError(f"{path}, item {id_}: differs from the test file; write it anew")
            output = item.get("output")
            if not OPTION.fullmatch(str(output)) or output not in item["input"]:
                raise UserError(
                    f"{path}, item {id_}: output {output!r} is no option; write it anew"
                )


class Exam(TextSheet):
    """The exam's CSV; its submission has the columns id and answer, which counts from 1."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` where a question has no id, or prep would leave it out."""
        self.path = path
        found = list(records(path))
        for _, where, record in found:
            if "problems" not in record:
                raise UserError(
                    f"{path}: has no column problems, as an exam has; of a table of your own name "
                    "its run too, by --run"
                )
            if not (record.get("id") or "").strip():
                raise UserError(f"{where}: has no id, which the submission needs; give it one")
        read = collect(exams.csat, found, "exam", "test")
        if read.removed:
            one = read.removed[0]
            raise UserError(
                f"{path}: question {one.id} cannot be answered ({one.reason}), nor can "
                f"{len(read.removed) - 1} others; correct the test file"
            )
        ids = Counter(record["id"].strip() for _, _, record in found)
        if doubled := [id_ for id_, count in ids.items() if count > 1]:
            raise UserError(
                f"{path}: id {doubled[0]} stands there twice, so that no answer could say which "
                "question it is for; correct the test file"
            )
        self.ids = [question.id for question in read.questions]
        self.options = [len(question.options) for question in read.questions]
        self.categories = [question.category for question in read.questions]
        self.groups = [question.group for question in read.questions]
        self._published = [record["id"] for _, _, record in found]

    def text(self, choices: Mapping[str, int]) -> str:
        """Lines of the id as published and the option's number from 1, under `id,answer`."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        answers = [choices[id_] + 1 for id_ in self.ids]
        writer.writerows([COLUMNS, *zip(self._published, answers, strict=True)])
        return lines.getvalue()

    def validate_text(self, text: str, path: Path) -> None:
        """The columns id and answer, the same ids in the same order, each answer an option."""
        try:
            lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
        except csv.Error as error:
            raise UserError(f"{path}: malformed CSV ({error}); write it anew") from None
        if not lines or lines[0] != COLUMNS:
            raise UserError(f"{path}: its first line must read id,answer; write it anew")
        for number, line in enumerate(lines[1:], start=1):
            if len(line) != len(COLUMNS):
                raise UserError(f"{path}, answer {number}: {len(line)} cells, not 2; write it anew")
        ids = [id_ for id_, _ in lines[1:]]
        if ids != self._published:
            raise other_ids(path, ids, self._published)
        for (id_, answer), options in zip(lines[1:], self.options, strict=True):
            if answer not in [str(number) for number in range(1, options + 1)]:
                raise UserError(
                    f"{path}, question {id_}: answer {answer!r} is none of 1 to {options}; "
                    "write it anew"
                )


class Rows(TextSheet):
    """Rows of prep, for a task without a form of its own: id and option, from 1, a line of JSON."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` for a file that holds no rows, or a question twice."""
        self.path = path
        rows = read_rows(path)
        self.ids = [row.record for row in rows]
        self.options = [len(row.order or ()) for row in rows]
        self.categories = [row.category or "" for row in rows]
        self.groups = [row.group for row in rows]

    def text(self, choices: Mapping[str, int]) -> str:
        """A line for each question, in the order of the rows."""
        given = ({"id": id_, "answer": choices[id_] + 1} for id_ in self.ids)
        return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in given)

    def validate_text(self, text: str, path: Path) -> None:
        """The same ids in the same order, each answer an option."""
        lines = [_parsed(line, path) for line in text.splitlines()]
        if odd := [one for one in lines if not isinstance(one, dict) or [*one] != COLUMNS]:
            raise UserError(f"{path}: {odd[0]!r} is no object of id and answer; {ANEW}")
        if (ids := [str(one["id"]) for one in lines]) != self.ids:
            raise other_ids(path, ids, self.ids)
        for one, options in zip(lines, self.options, strict=True):
            if type(one["answer"]) is not int or not 1 <= one["answer"] <= options:
                raise UserError(
                    f"{path}, question {one['id']}: answer {one['answer']!r} is none of 1 to "
                    f"{options}; {ANEW}"
                )


def _parsed(text: str, path: Path) -> Any:
    try:
        return loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: malformed JSON at line {error.lineno}, column {error.colno} ({error.msg}); "
            f"{ANEW}"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; {ANEW}") from None


def _written(item: TestItem) -> str:
    """An item as JSON, in which 1, 1.0 and true differ and the order of keys does not count."""
    return json.dumps(item, sort_keys=True)


def _option_count(given: dict[str, Any]) -> int:
    """How many options an item's input has: they are numbered from 1 without a gap, or it is 0."""
    count = sum(OPTION.fullmatch(key) is not None for key in given)
    return count if all(f"inference_{n}" in given for n in range(1, count + 1)) else 0


def _dialogue(given: dict[str, Any]) -> str | None:
    """The stem that the ids of a dialogue's utterances share, as in prep/sources/cci.py."""
    try:
        name = given["conversation"][0]["utterance_id"]
        return str(name if isinstance(name, str) else name[0]).rpartition(".")[0] or None
    except (KeyError, IndexError, TypeError):
        return None


def _by_id(
    value: Any, path: Path, remedy: str = "name the official test file"
) -> dict[str, TestItem]:
    """Items of an official file by id (NFC), in their order; raises `UserError`."""
    if not isinstance(value, list) or not value:
        raise UserError(f"{path}: not a list of items; {remedy}")
    items: dict[str, TestItem] = {}
    for number, item in enumerate(value, start=1):
        where = f"{path}, item {number}"
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise UserError(f"{where}: has no id that is a string; {remedy}")
        if not isinstance(item.get("input"), dict) or not 2 <= _option_count(item["input"]) <= 5:
            raise UserError(
                f"{where} ({item['id']}): its input has no inference_1, inference_2 ...; {remedy}"
            )
        id_ = unicodedata.normalize("NFC", item["id"])
        if id_ in items:
            raise UserError(f"{where}: id {id_} stands there twice; correct the file")
        items[id_] = item
    return items
