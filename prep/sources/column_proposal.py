"""A proposal of a table's mapping, by the names of its columns and what stands in them.

A proposal is shown to a person and never used by itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import UserError
from core.text import one_line, present
from prep.sources.cells import literal, notations, split_numbered
from prep.sources.mapping import value_at

# what columns are called, by field; compared in lower case
ALIASES: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "id": "id 번호 문항번호 문제번호 문항id 아이디 qid question_id idx index no no.",
        "passage": "passage paragraph context 지문 본문 글 제시문 text article 문맥",
        "dialogue": "dialogue dialog conversation turns 대화 대화문 utterances messages",
        "reference": "reference reference_id references 참조 참조발화 참조번호 focus",
        "question": "question input query 문제 질문 문항 발문 물음 problem stem sentence 문장",
        "note": "note question_plus 보기 조건 자료 hint",
        "options": "options choices 선택지 선지 보기들 선택항목 candidates alternatives endings",
        "answer": "answer target 정답 답 label answerkey answer_idx gold correct 정답번호 output",
        "category": "category categories subject 과목 과목명 교과 영역 분야 유형 type topic subset",
        "group": "group group_id 지문번호 지문id 대화번호 passage_id dialogue_id 묶음 세트",
    }.items()
}
# columns that hold an option each: the name without what counts
SERIES = re.compile(
    r"(?P<stem>.*?)[ _.-]?(?P<count>[0-9]{1,2}|[A-Za-z]|[①-⑳])(?P<end>번|\))?", re.DOTALL
)


@dataclass(frozen=True)
class Proposal:
    """A mapping as far as it can be seen: columns by field, and how answers may be written."""

    columns: dict[str, str | list[str]] = field(default_factory=dict)
    answers: tuple[str, ...] = ()  # notations in which every answer can be read


def propose(records: Sequence[Mapping[str, Any]]) -> Proposal:
    """A proposal for some records of a table."""
    names = list(dict.fromkeys(name for record in records for name in record))
    found: dict[str, str | list[str]] = {}
    taken: set[str] = set()
    several = _series(names)
    for kind, aliases in ALIASES.items():
        if kind == "options" and len(several) > 1:
            found[kind] = several
            taken |= set(several)
            continue
        named = [one for one in names if one.casefold() in aliases and one not in taken]
        if named and not (kind == "note" and _numbered(records, named[0])):
            found[kind] = named[0]
            taken.add(named[0])
    if "options" not in found:
        listed = [one for one in names if one not in taken and _numbered(records, one)]
        found |= {"options": listed[0]} if listed else {}
    if "passage" in found and "question" not in found:
        found["question"] = found.pop("passage")
    found = {kind: found[kind] for kind in ALIASES if kind in found}
    return Proposal(found, _answers(records, found))


def _series(names: Sequence[str]) -> list[str]:
    """The longest run of columns whose names count: A, B, C or 보기1, 보기2."""
    runs: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if mark := SERIES.fullmatch(name):
            kind = "digit" if mark["count"].isdecimal() else "letter"
            runs.setdefault((mark["stem"].casefold(), kind), []).append(name)
    starts = re.compile(r".*?(?:0?[01]|[Aa]|①)(?:번|\))?", re.DOTALL)
    counted = [run for run in runs.values() if len(run) > 1 and starts.fullmatch(run[0])]
    return max(counted, key=len, default=[])


def _numbered(records: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether a column holds options: lists, or texts that number them."""
    values = [
        value for one in records[:50] if (value := present(value_at(one, column))) is not None
    ]
    return bool(values) and all(len(_texts(value)) > 1 for value in values)


def _texts(value: Any) -> list[str]:
    """The options of one cell, or none."""
    if isinstance(value, str):
        try:
            text = value.strip()
            value = literal(text, "options") if text.startswith("[") else split_numbered(text)
        except (UserError, ValueError):
            return []
    if not isinstance(value, list):
        return []
    texts = [one.get("text") if isinstance(one, dict) else one for one in value]
    return [one_line(str(one)) for one in texts if present(one) is not None]


def _answers(
    records: Sequence[Mapping[str, Any]], found: Mapping[str, str | list[str]]
) -> tuple[str, ...]:
    column, options = found.get("answer"), found.get("options")
    if not isinstance(column, str) or options is None:
        return ()
    values, shown = [], []
    for record in records:
        value = present(value_at(record, column))
        if value is None:
            continue
        cells = [value_at(record, one) for one in options] if isinstance(options, list) else None
        values.append(value[0] if isinstance(value, list) and value else value)
        shown.append(_texts(cells if cells is not None else value_at(record, str(options))))
    return tuple(notations(values, shown))
