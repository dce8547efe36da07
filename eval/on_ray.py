"""Several replicas of an engine, each in an actor of Ray Data's and scoring whole blocks."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from eval import backend
from eval.backend import Setup
from eval.blocks import Answer, Ask, Task, perform
from prep.dedup.methods import Ray
from prep.dedup.on_ray import running


class Replica:
    """One engine in a process of its own; opened once, then fed block after block."""

    def __init__(self, setup: Setup, ask: Ask, tasks: Sequence[Task]) -> None:
        self.engine, self.ask, self.tasks = backend.open_engine(setup), ask, tasks

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Score the task of that number."""
        answer = perform(self.engine, self.ask, self.tasks[row["task"]])
        return {"task": row["task"], "answer": json.dumps(vars(answer))}


def answers(
    setup: Setup, ask: Ask, tasks: Sequence[Task], replicas: int
) -> Iterator[tuple[Task, Answer]]:
    """Score the tasks by that many replicas on this machine's processors or GPUs."""
    with running(Ray(workers=replicas)):
        import ray

        ray.data.DataContext.get_current().enable_progress_bars = False
        scored = ray.data.from_items(
            [{"task": number} for number in range(len(tasks))], override_num_blocks=len(tasks)
        ).map(
            Replica,
            fn_constructor_args=(setup, ask, tasks),
            concurrency=replicas,
            num_cpus=1,
            num_gpus=setup.tensor_parallel if torch.cuda.is_available() else 0,
        )
        for row in scored.iter_rows():
            yield tasks[row["task"]], Answer(**json.loads(row["answer"]))
