"""Readers for external chat sets: alpaca-style pairs, and messages or conversations (Magpie).

A set is a local .json or .jsonl file, or a data set of the hub at a pinned revision. Columns that
are not read are no error: such sets carry scores, model names and the like.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prep.config import Source
from prep.errors import UserError
from prep.jsonl import read_json, read_objects, validated
from prep.records import Chat, Removed
from prep.text import nfc, writable

ROLES = {"human": "user", "gpt": "assistant"}  # ShareGPT's names
Pairs = list[tuple[str, str]]  # (role, text)


def read(source: Source) -> tuple[list[Chat], list[Removed]]:
    """The chats of a set in its order, and those left out because a text of theirs is empty.

    The id is the record's `id` or `uuid`, else the set's name and the record's number from 1.
    Raises `UserError` naming file, record, field and remedy.
    """
    messages_of = {"alpaca": _alpaca, "messages": _messages}[source.source]
    name = source.name or source.source
    chats: list[Chat] = []
    removed: list[Removed] = []
    seen: set[str] = set()
    for number, where, record in _records(source):
        chat_id = _id(record, where) or f"{name}-{number:06d}"
        if chat_id in seen:
            raise UserError(f"{where}: field id: {chat_id} is there twice; give each its own")
        seen.add(chat_id)
        pairs = messages_of(writable(record, where), where)
        if any(not text for role, text in pairs if role != "system"):
            removed.append(Removed(id=chat_id, source=name, split="train", reason="empty"))
            continue
        messages = [{"role": role, "content": text} for role, text in pairs if text]
        value = {"id": chat_id, "source": name, "messages": messages}
        chats.append(validated(value, Chat, where))
    return chats, removed


def _records(source: Source) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number from 1, where it stands, the record) for every record of a set."""
    if source.hub:
        for number, record in enumerate(_from_hub(source.hub, source.revision), start=1):
            yield number, f"{source.hub}, row {number}", record
        return
    path = Path(source.path or "")
    if path.suffix == ".jsonl":
        for line, record in read_objects(path):
            yield line, f"{path}, line {line}", record
    elif path.suffix == ".json":
        values = read_json(path)
        if not isinstance(values, list):
            raise UserError(f"{path}: a {type(values).__name__}, not a list of records; mend it")
        for number, value in enumerate(values, start=1):
            if not isinstance(value, dict):
                raise UserError(f"{path}, record {number}: not an object; mend or delete it")
            yield number, f"{path}, record {number}", value
    else:
        raise UserError(f"{path}: neither .json nor .jsonl; convert it or rename it")


def _from_hub(name: str, revision: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a hub data set's train split; no code of the data set is ever run."""
    from datasets import load_dataset  # slow to import, and a local set does not need it

    try:
        yield from load_dataset(name, revision=revision, split="train")
    except Exception as error:  # the hub's client raises errors of three libraries
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{name}@{revision}: cannot be loaded from the hub ({cause}); check name, revision and "
            "network, or download the set and give its `path`"
        ) from None


def _id(record: dict[str, Any], where: str) -> str:
    """The record's own id, or "" where it has none."""
    value = record.get("id", record.get("uuid"))
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UserError(f"{where}: field id: a {type(value).__name__}; give text or a number")
    return str(value)


def _text(record: dict[str, Any], field: str, where: str, needed: bool = True) -> str:
    """A text field in NFC without outer whitespace; "" where it may be absent and is."""
    if not needed and record.get(field) is None:
        return ""
    if field not in record:
        raise UserError(f"{where}: field {field}: missing; add it or choose the other source type")
    value = record[field]
    if not isinstance(value, str):
        raise UserError(f"{where}: field {field}: a {type(value).__name__}; give text")
    return nfc(value)


def _alpaca(record: dict[str, Any], where: str) -> Pairs:
    """instruction and input, a blank line between, as the user's text; output as the answer."""
    instruction = _text(record, "instruction", where)
    given = _text(record, "input", where, needed=False)
    asked = f"{instruction}\n\n{given}" if instruction and given else instruction or given
    return [("user", asked), ("assistant", _text(record, "output", where))]


def _messages(record: dict[str, Any], where: str) -> Pairs:
    """A list of {role, content} or {from, value}: an optional system text, then turns in turn."""
    field = next((name for name in ("messages", "conversations") if name in record), None)
    if field is None:
        raise UserError(
            f"{where}: neither messages nor conversations; add one or choose source alpaca"
        )
    turns = record[field]
    if not isinstance(turns, list) or not turns:
        raise UserError(f"{where}: field {field}: no list of messages; mend or delete the record")
    pairs: Pairs = []
    for k, turn in enumerate(turns):
        if not isinstance(turn, dict):
            raise UserError(f"{where}: field {field}.{k}: not an object; mend or delete the record")
        role_field, text_field = ("role", "content") if "role" in turn else ("from", "value")
        role = _text(turn, role_field, f"{where}, {field}.{k}")
        pairs.append((ROLES.get(role, role), _text(turn, text_field, f"{where}, {field}.{k}")))
    system = pairs[0][0] == "system"
    expected = ["system"] * system + ["user", "assistant"] * max(1, (len(pairs) - system) // 2)
    if (roles := [role for role, _ in pairs]) != expected:
        raise UserError(
            f"{where}: field {field}: roles {', '.join(roles)}; user and assistant must take "
            "turns, the assistant last, with a system text at most in front"
        )
    return pairs
