"""Blocks of rows as units of work, and who executes them: one engine in this process.

eval/ray_executor.py has the other executor, several engines on Ray.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from eval.engines import loader
from eval.engines.interface import Engine, Setup


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


class Executor(Protocol):
    """Opens engines, executes tasks by them and closes them again."""

    def execute(
        self, setup: Setup, ask: Ask, tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, BlockResult]]:
        """Each task with its result, in the order in which they are ready; `tasks` is not empty.

        Raises `UserError` where the model cannot be opened or a row cannot be scored.
        """


@dataclass(frozen=True)
class LocalExecutor:
    """Executes tasks one after another by one engine in this process."""

    def execute(
        self, setup: Setup, ask: Ask, tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, BlockResult]]:
        """Each task with its result, in their order."""
        with closing(loader.open_engine(setup)) as engine:
            for task in tasks:
                yield task, perform(engine, ask, task)


def perform(engine: Engine, ask: Ask, task: Task) -> BlockResult:
    """Score one block by an open engine."""
    if task.adapter is not None:
        engine.use(task.adapter)
    begun = time.monotonic()
    values = ask(engine, task.places)
    return BlockResult(task.places, values, dict(engine.about), round(time.monotonic() - begun, 4))
