"""A block of rows as a unit of work: what is asked of an engine, and what comes back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from eval.engines.interface import Engine


class Ask(Protocol):
    """What is asked of an engine for the rows in some places; picklable, and its answers JSON.

    `prompts` are the rows' token ids: those that begin alike are asked together.
    """

    prompts: Sequence[Sequence[int]]

    def __call__(self, engine: Engine, places: Sequence[int]) -> list[Any]:
        """One answer for each place."""


@dataclass(frozen=True)
class Task:
    """A block of rows, for the adapter of that name or, with None, for the model itself."""

    adapter: str | None
    block: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class BlockResult:
    """A block's answers, in the order of its places, and what gave them in how many seconds."""

    places: Sequence[int]
    values: list[Any]
    about: dict[str, Any]
    seconds: float


def perform(engine: Engine, ask: Ask, task: Task) -> BlockResult:
    """Score one block by an open engine."""
    if task.adapter is not None:
        engine.use(task.adapter)
    begun = time.monotonic()
    values = ask(engine, task.places)
    return BlockResult(task.places, values, dict(engine.about), round(time.monotonic() - begun, 4))
