"""What teachers have answered: one file an answer, named by a hash of what was asked."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from core.errors import UserError
from core.files import atomic_file
from core.jsonl import read_json, validated
from core.records import Strict


class Call(Strict):
    """One request: the endpoint below a teacher's address, and its body without the model."""

    endpoint: Literal["chat/completions", "completions"]
    body: dict[str, Any]

    def most(self) -> tuple[int, int]:
        """The most tokens that it can read and write: no byte of a text is more than one token."""
        messages = self.body.get("messages") or [{"content": self.body["prompt"]}]
        read = sum(len(one["content"].encode()) + 16 for one in messages)  # 16: the template's own
        return read, self.body["max_tokens"]


class Completion(Strict):
    """What came back: the text, whether the model ended it, and the tokens that are paid for.

    `first` are log-probabilities of what the first token could have been, where they were asked.
    """

    text: str
    ended: bool
    prompt_tokens: int
    completion_tokens: int
    first: dict[str, float] | None = None


class Stored(Strict):
    """A file of the store: the question, so that the file speaks for itself, and the answer."""

    teacher: str
    model: str
    call: Call
    completion: Completion


class AnswerStore:
    """A folder of answers; a killed run leaves no half of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, teacher: str, model: str, call: Call) -> Path:
        """Where the answer to a call is, or will be."""
        value = [teacher, model, call.endpoint, call.body]
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        name = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.json"

    def get(self, path: Path) -> Completion | None:
        """The answer in a file, None where there is none; raises `UserError` for half a file."""
        if not path.exists():
            return None
        try:
            return validated(read_json(path), Stored, str(path)).completion
        except UserError:
            raise UserError(
                f"{path}: is no complete answer; delete it, and the teacher is asked again"
            ) from None

    def put(self, path: Path, stored: Stored) -> None:
        """Write an answer, all or nothing."""
        with atomic_file(path) as file:
            file.write(stored.model_dump_json(indent=1) + "\n")
