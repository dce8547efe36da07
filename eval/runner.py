"""Many rows scored in blocks that outlive a kill, by one engine or by several replicas.

A block is some hundred rows that begin alike. Its numbers depend on nothing outside it, so neither
a kill between two blocks nor which replica scores one changes a byte.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.errors import UserError
from core.files import atomic_file
from eval.engines import loader, prefix_sharing
from eval.engines.interface import Setup
from eval.tasks import Ask, BlockResult, Task, perform

BLOCK = 128  # rows: what a kill costs at most


class Partial:
    """The answers of a run under way: `NAME.jsonl.partial`, one line a block, kept by its key."""

    def __init__(self, out: Path, key: str) -> None:
        self.path = out.with_name(out.name + ".partial")
        self.key = key
        self.done: dict[int, BlockResult] = {}

    def read(self) -> None:
        """Take over what an earlier run of the same key finished; anything else is dropped."""
        lines = self.path.read_bytes().splitlines(True) if self.path.is_file() else []
        whole = [line.decode(errors="replace") for line in lines if line.endswith(b"\n")]
        if whole and whole[0] == self._head():
            for line in whole[1:]:
                said = json.loads(line)
                block = said.pop("block")
                self.done[block] = BlockResult(**said)
            with atomic_file(self.path) as file:  # without half a line at the end
                file.writelines(whole)
        elif lines:
            print(f"{self.path}: left by another model, data or setting; starting anew")
            self.drop()

    def add(self, block: int, answer: BlockResult) -> None:
        """Keep a block's answer, on disk first."""
        fresh = not self.path.is_file()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if fresh:
                file.write(self._head())
            file.write(json.dumps({"block": block, **vars(answer)}) + "\n")
        self.done[block] = answer

    def _head(self) -> str:
        return json.dumps({"key": self.key}) + "\n"

    def values(self, count: int) -> list[Any]:
        """The answers of all blocks in the order of the rows, of which there are `count`."""
        result: list[Any] = [None] * count
        for answer in self.done.values():
            for place, value in zip(answer.places, answer.values, strict=True):
                result[place] = value
        return result

    def drop(self) -> None:
        """Remove the file; its answers are in the predictions."""
        self.path.unlink(missing_ok=True)


def run(
    setup: Setup,
    ask: Ask,
    partials: Mapping[str | None, Partial],
    replicas: int = 1,
    cluster: str | None = None,
) -> Iterator[str | None]:
    """Score all rows for each adapter (None: the model itself); yields those that are complete.

    Blocks that a killed run finished are not scored again. `cluster` is the address of the Ray
    cluster on which the replicas are; None: this machine.
    """
    parts = [tuple(part) for part in prefix_sharing.parts(ask.prompts, BLOCK)]
    total = len(ask.prompts) * len(partials)
    with tqdm(total=total, unit="row", desc="scoring", disable=None) as bar:
        tasks = []
        for name, partial in partials.items():
            partial.read()
            tasks += [Task(name, k, part) for k, part in enumerate(parts) if k not in partial.done]
            if known := sum(len(answer.places) for answer in partial.done.values()):
                print(f"{partial.path}: going on after {known} of {len(ask.prompts)} rows")
                bar.update(known)
            if len(partial.done) == len(parts):
                yield name
        for task, answer in _answers(setup, ask, tasks, replicas, cluster):
            partial = partials[task.adapter]
            partial.add(task.block, answer)
            bar.update(len(task.places))
            if len(partial.done) == len(parts):
                yield task.adapter


def _answers(
    setup: Setup, ask: Ask, tasks: Sequence[Task], replicas: int, cluster: str | None
) -> Iterator[tuple[Task, BlockResult]]:
    """Open what scores, and score every task; replicas answer as they are ready."""
    if not tasks:
        return
    if replicas > 1 or cluster:
        if not find_spec("ray"):
            raise UserError("replicas need Ray, which this environment has not; score without them")
        from eval import ray_executor

        yield from ray_executor.answers(setup, ask, tasks, replicas, cluster)
        return
    with closing(loader.open_engine(setup)) as engine:
        for task in tasks:
            yield task, perform(engine, ask, task)
