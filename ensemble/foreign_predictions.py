"""Predictions that were made elsewhere, as Predictions of ours: joined by id, never by place.

| form                  | how it is known                 | what it gives                          |
|-----------------------|---------------------------------|----------------------------------------|
| answers, a submission | a column of ids, one of answers | choices, by the notation that is named |
| official JSON         | `input` and `output`            | choices                                |
| (log-)probabilities   | `id` and `logprobs` or `probs`  | both, by published option              |
| lm-evaluation-harness | `doc` and `filtered_resps`      | both, or choices of generated answers  |
| LLaMA-Factory         | `prompt` and `predict`          | choices; joined by the row's own text  |
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.records import LABELS, Prediction
from core.text import nfc, one_line, present, short
from ensemble.sheet import Sheet
from eval.methods.generated import read_text
from eval.options import choose, option_logprobs
from eval.predictions import SUM
from eval.rows import read_rows
from prep.sources.cells import option_of
from prep.sources.downloads import records
from prep.sources.mapping import value_at
from prep.sources.reader import as_id

OFFICIAL = re.compile(r"inference_(\d+)")
ANSWER = ("answer", "choice", "prediction", "pred", "output", "정답", "답")
ID = ("id", "ID", "번호", "doc.id", "doc.ID")
LEAST = 1e-12  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Item:
    """A question that is to be answered; options in published order, `labels` as `order` shows."""

    id: str
    options: int
    labels: Sequence[str]
    order: Sequence[int]
    texts: Sequence[str] | None = None
    prompt: str | None = None


def items_of_rows(path: Path) -> list[Item]:
    """The questions of a file of rows, as prep/build.py writes it; raises `UserError`."""
    items = []
    for row in read_rows(path):
        if row.labels is None or row.order is None:
            raise UserError(f"{path}, row {row.id}: has no labels; name the rows that are scored")
        shown = dict(zip(row.order, row.options or [], strict=False))
        texts = [shown[k] for k in range(len(row.labels))] if row.options else None
        prompt = row.messages[-1].content if row.messages[-1].role == "user" else None
        items.append(Item(row.record, len(row.labels), row.labels, row.order, texts, prompt))
    return items


def items_of_sheet(sheet: Sheet) -> list[Item]:
    """The questions of a test file."""
    pairs = zip(sheet.ids, sheet.options, strict=True)
    return [Item(id_, count, LABELS[:count], range(count)) for id_, count in pairs]


@dataclass(frozen=True)
class Reading:
    """How a file's answers are read: their notation, and the columns where they are not found."""

    answers: str | None = None
    id: str | None = None
    answer: str | None = None


def read(
    path: Path, items: Sequence[Item], against: Path, how: Reading
) -> tuple[str, list[Prediction]]:
    """The form of a file, and its predictions in the order of the items.

    Raises `UserError` where it is of no known form, where it answers other ids than these, twice or
    with what is no option.
    """
    found = list(records(path))
    first = found[0][2]
    by_id = {item.id: item for item in items}
    if {"prompt", "predict"} <= first.keys():
        form, given = "LLaMA-Factory", _by_prompt(found, items, path, against)
    else:
        form, reader = _form(first, path, how)
        given = (
            (where, own, reader(record, by_id[own], where) if own in by_id else None)
            for _, where, record in found
            for own in [_id(record, where, how)]
        )
    made: dict[str, Prediction | None] = {}
    for where, own, prediction in given:
        if own in made:
            raise UserError(f"{where}: id {short(own)} stands there twice; leave one answer to it")
        made[own] = prediction
    if odd := [own for own in made if own not in by_id]:
        raise UserError(
            f"{path}: {len(odd)} ids are not in {against}, the first is {short(odd[0])}; name the "
            "file that these predictions answer, or their column of ids by --id"
        )
    if lost := [own for own in by_id if own not in made]:
        raise UserError(
            f"{path}: no answer to {len(lost)} of {len(items)} ids of {against}, the first is "
            f"{lost[0]}; add them, empty where there is none"
        )
    return form, [one for item in items if (one := made[item.id]) is not None]


def _form(
    first: Mapping[str, Any], path: Path, how: Reading
) -> tuple[str, Callable[[Mapping[str, Any], Item, str], Prediction]]:
    """What a file is, by its first record, and what reads a record of it."""
    if {"doc", "filtered_resps"} <= first.keys():
        return "lm-evaluation-harness", _harness
    for name in ("logprobs", "probs"):
        if name in first and how.answer is None:
            return name, partial(_probabilities, name)
    names = [how.answer] if how.answer else [one for one in ANSWER if one in first]
    if not names or (value_at(first, names[0]) is None and names[0] not in first):
        raise UserError(
            f"{path}: of no known form (its columns: {', '.join(map(short, first))}); name its "
            "answers by --answer and its ids by --id"
        )
    if names == ["output"] and "input" in first:
        return "official JSON", partial(_official, names[0])
    if how.answers is None:
        raise UserError(
            f"{path}: how its column {names[0]} counts is not stated; say --answers with one of "
            "'from 1', 'from 0', A, ①, 가, text"
        )
    return "answers", partial(_stated, names[0], how.answers)


def _id(record: Mapping[str, Any], where: str, how: Reading) -> str:
    names = [how.id] if how.id else ID
    own = next((value for name in names if (value := as_id(value_at(record, name)))), None)
    if own is None:
        place = f" in {how.id}" if how.id else ""
        raise UserError(
            f"{where}: has no id{place}, and predictions are joined by id, never by their place; "
            "name its column by --id"
        )
    return nfc(str(own))


def _prediction(item: Item, choice: int | None, logprobs: list[float] | None = None) -> Prediction:
    return Prediction(id=item.id, order=[*range(item.options)], logprobs=logprobs, choice=choice)


def _official(name: str, record: Mapping[str, Any], item: Item, where: str) -> Prediction:
    value = present(value_at(record, name))
    found = OFFICIAL.fullmatch(str(value))
    if value is not None and (found is None or not 1 <= int(found[1]) <= item.options):
        raise UserError(f"{where}: {name} {short(value)!r} is none of its {item.options} options")
    return _prediction(item, int(found[1]) - 1 if found else None)


def _stated(
    name: str, answers: str | None, record: Mapping[str, Any], item: Item, where: str
) -> Prediction:
    value = present(value_at(record, name))
    if value is None:
        return _prediction(item, None)
    if item.texts is None and answers == "text":
        raise UserError(f"{where}: answers are texts, which a test file does not tell; give --data")
    texts = [one_line(text) for text in item.texts or [""] * item.options]
    choice = option_of(value, answers, texts)
    if choice is None or not 0 <= choice < item.options:
        raise UserError(
            f"{where}: {name} {short(value)!r} is none of its {item.options} options by --answers "
            f"{answers}; correct it, or state how answers are written"
        )
    return _prediction(item, choice)


def _probabilities(name: str, record: Mapping[str, Any], item: Item, where: str) -> Prediction:
    value = record[name]
    if isinstance(value, Mapping):
        keys = [LABELS[k] for k in range(item.options)]
        if set(value) != set(keys):
            raise UserError(f"{where}: {name} names {short_keys(value)}, not {', '.join(keys)}")
        value = [value[key] for key in keys]
    numbers = _numbers(value, item, name, where)
    if name == "probs":
        if min(numbers) < 0 or abs(math.fsum(numbers) - 1) > SUM:
            raise UserError(
                f"{where}: probs are none, for they do not sum to 1; correct the record"
            )
        numbers = [math.log(max(number, LEAST)) for number in numbers]
    logprobs = option_logprobs(numbers, range(item.options))
    return _prediction(item, choose(logprobs), logprobs)


def short_keys(value: Mapping[str, Any]) -> str:
    """The keys of an object as errors list them."""
    return ", ".join(short(key) for key in [*value][:9]) or "nothing"


def _numbers(value: Any, item: Item, name: str, where: str) -> list[float]:
    """One finite number for each option."""
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != item.options or not all(map(math.isfinite, numbers)):
        raise UserError(
            f"{where}: {name} holds no {item.options} finite numbers, one for each option in "
            "published order; correct the record"
        )
    return numbers


def _harness(record: Mapping[str, Any], item: Item, where: str) -> Prediction:
    """A sample of lm-evaluation-harness: a log-likelihood for each choice, or a generated text."""
    given = record["filtered_resps"]
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        return _said(given[0], item)
    # make.py's own tasks have the end of the prompt as one more choice, the same for all
    pairs = given[: item.options] if isinstance(given, list) and "gold" in record["doc"] else given
    try:
        numbers = [pair[0] if isinstance(pair, list) else pair for pair in pairs]
    except TypeError:
        numbers = []
    shown = _numbers(numbers, item, "filtered_resps", where)
    order = item.order if "gold" in record["doc"] else range(item.options)
    logprobs = option_logprobs(shown, order)
    return _prediction(item, choose(logprobs), logprobs)


def _said(text: str, item: Item) -> Prediction:
    """What a reply answers; none where no single answer can be read."""
    shown = [item.texts[k] for k in item.order] if item.texts else None
    place = read_text(nfc(text), item.labels, shown)
    return _prediction(item, item.order[place] if isinstance(place, int) else None)


def _by_prompt(
    found: Sequence[tuple[int, str, dict[str, Any]]],
    items: Sequence[Item],
    path: Path,
    against: Path,
) -> Iterator[tuple[str, str, Prediction]]:
    """Replies of LLaMA-Factory, which writes no ids: its prompt holds the row's own text."""
    if any(item.prompt is None for item in items):
        raise UserError(
            f"{path}: LLaMA-Factory writes no ids, so that its prompts are compared with the rows "
            "that it was given; name those by --data"
        )
    texts = {item.id: "".join(nfc(item.prompt or "").split()) for item in items}
    for _, where, record in found:
        prompt = "".join(nfc(str(record["prompt"])).split())
        held = [item for item in items if texts[item.id] in prompt]
        if len(held) != 1:
            raise UserError(
                f"{where}: its prompt holds the text of {len(held)} rows of {against}, not of one; "
                "name the rows that LLaMA-Factory was given"
            )
        yield where, held[0].id, _said(str(record["predict"]), held[0])
