"""Blocks of rows as units of work, and who executes them: one engine here, or several on Ray.

On Ray each engine is a replica in an actor of Ray Data, which scores block after block.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from core.errors import UserError
from core.ray_session import Ray, session
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


PACKAGE = Path(__file__).resolve().parent  # eval, which the replicas import


class Replica:
    """One engine in a process of its own; opened at the first block, then fed block after block."""

    def __init__(self, setup: Setup, ask: Ask, tasks: Sequence[Task]) -> None:
        self.setup, self.ask, self.tasks = setup, ask, tasks
        self.engine: Engine | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Score the task of that number, or say why it cannot be scored.

        A `UserError` is passed on as text: Ray would try again, and show a traceback in the end.
        """
        try:
            self.engine = self.engine or _open(self.setup)
            result = perform(self.engine, self.ask, self.tasks[row["task"]])
        except UserError as error:
            return {**row, "result": None, "refusal": str(error)}
        return {**row, "result": json.dumps(vars(result)), "refusal": None}


@dataclass(frozen=True)
class RayExecutor:
    """Executes tasks by `replicas` engines, on the cluster at an address or on this machine.

    A replica reads the model's folder itself, so it lies at one path on all machines.
    """

    replicas: int
    cluster: str | None = None

    def execute(
        self, setup: Setup, ask: Ask, tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, BlockResult]]:
        """Each task with its result, as the replicas finish them."""
        with session(Ray(address=self.cluster, workers=self.replicas), PACKAGE):
            import ray

            replicas = min(self.replicas, len(tasks))
            needs = require_room(ray.nodes(), replicas, setup.tensor_parallel)
            ray.data.DataContext.get_current().enable_progress_bars = False
            scored = ray.data.from_items(
                [{"task": number} for number in range(len(tasks))], override_num_blocks=len(tasks)
            ).map(
                Replica,
                fn_constructor_args=(_absolute(setup), ask, tasks),
                # no block waits for a replica that is at work while another opens
                compute=ray.data.ActorPoolStrategy(size=replicas, max_tasks_in_flight_per_actor=1),
                **needs,
            )
            for row in scored.iter_rows():
                if row["refusal"]:
                    raise UserError(row["refusal"])
                yield tasks[row["task"]], BlockResult(**json.loads(row["result"]))


def require_room(
    nodes: Sequence[Mapping[str, Any]], replicas: int, parallel: int
) -> dict[str, int]:
    """What a replica takes of a single node: `parallel` GPUs where any node has one, else a CPU.

    Raises `UserError` where fewer replicas find room: Ray would wait for more machines forever.
    """
    have = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = parallel if any(one.get("GPU") for one in have) else 0
    kind, each = ("GPU", gpus) if gpus else ("CPU", 1)
    room = sum(int(one.get(kind, 0) // each) for one in have)
    if room < replicas:
        raise UserError(
            f"Ray has room for {room} replicas of {each} {kind}, each on one machine, and not for "
            f"{replicas}; ask for fewer --replicas or a smaller --tensor-parallel"
        )
    return {"num_cpus": 1, "num_gpus": gpus}


def _open(setup: Setup) -> Engine:
    for folder in (setup.folder, *setup.adapters.values()):
        if not folder.is_dir():
            raise UserError(
                f"{folder}: a machine of the Ray cluster has no such folder; put the model where "
                "all of them find it at this path"
            )
    return loader.open_engine(setup)


def _absolute(setup: Setup) -> Setup:
    """With paths that hold wherever a replica is started."""
    adapters = {name: folder.absolute() for name, folder in setup.adapters.items()}
    return replace(setup, folder=setup.folder.absolute(), adapters=adapters)
