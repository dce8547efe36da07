"""The teachers that may be asked: address, model, price, and whether outputs may train a model."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from core import addresses
from core.errors import UserError
from core.jsonl import validated
from core.records import Strict
from core.yaml_io import read_mapping
from prep.guards.track import NAMES, Finding, Track

TEACHERS = Path(__file__).with_name("teachers.yml")


class Price(Strict):
    """Of a million tokens that are read, and of a million that are written."""

    prompt: float = Field(ge=0, allow_inf_nan=False, strict=False)
    completion: float = Field(ge=0, allow_inf_nan=False, strict=False)


class Teacher(Strict):
    """One teacher; the comments of teachers.yml explain its keys. Without a price none is known."""

    name: str
    address: Annotated[str, AfterValidator(addresses.checked)]
    model: str | None = None
    key: str | None = None
    licence: str | None = None
    training: Literal["allowed", "forbidden", "unknown"] = "unknown"
    price: Price | None = None
    tokenizer: str | None = None

    @property
    def here(self) -> bool:
        """Whether it is served on this machine."""
        return addresses.here(self.address)

    def secret(self) -> str | None:
        """Its key; raises `UserError` where the environment does not hold it."""
        return addresses.secret(self.key, f"teacher {self.name}")

    def cost(self, prompt: int, completion: int) -> float | None:
        """What so many tokens cost, or None where the price is not known."""
        if self.price is None:
            return None
        return (prompt * self.price.prompt + completion * self.price.completion) / 1e6


def load_teacher(name: str, path: Path = TEACHERS) -> Teacher:
    """A teacher of a file; raises `UserError` naming the file, the teacher, the field and why."""
    known = read_mapping(path).get("teachers")
    if not known or not isinstance(known, dict):
        raise UserError(f"{path}: names no teachers; list them under `teachers:`")
    if name not in known:
        names = ", ".join(map(str, known))
        raise UserError(f"{path}: no teacher {name!r}; choose one of {names}, or add it there")
    where = f"{path}, teacher {name}"
    if not isinstance(known[name], dict):
        raise UserError(f"{where}: is no mapping; write it as the others there")
    given = {"name": name}
    for field, value in known[name].items():
        if isinstance(value, str) and value.startswith("$"):
            if not os.environ.get(value[1:]):
                raise UserError(f"{where}: environment variable {value[1:]} is not set")
            value = os.environ[value[1:]]
        given[field] = value
    return validated(given, Teacher, where)


def check_teacher(track: Track | None, teacher: Teacher) -> list[Finding]:
    """What a teacher's rows break in a run: its track allows none, or its licence forbids it."""
    found = []
    if track == "ga":
        why = f"track {NAMES[track]} allows no data besides the corpus, and a teacher's is such"
        found.append(Finding(f"teacher {teacher.name}", "refused", f"{why}; take another run"))
    licence = teacher.licence or "unknown"
    if teacher.training == "forbidden":
        why = f"licence {licence} forbids training on its outputs; take another teacher"
        found.append(Finding(f"teacher {teacher.name}", "refused", why))
    elif teacher.training == "unknown":
        why = f"licence {licence}; look up whether it allows training on its outputs"
        found.append(Finding(f"teacher {teacher.name}", "flagged", why))
    return found
