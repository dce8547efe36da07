"""Many rows scored in blocks that outlive a kill, whatever executes them.

A block is some hundred rows that begin alike. Its numbers depend on nothing outside it, so neither
a kill between two blocks nor the engine that scores one changes a byte.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core import prefix_tree
from core.files import atomic_file
from eval.engines.interface import Setup
from eval.executor import Ask, BlockResult, Executor, Task

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
        complete = [line.decode(errors="replace") for line in lines if line.endswith(b"\n")]
        if complete and complete[0] == self._head():
            for line in complete[1:]:
                result = json.loads(line)
                block = result.pop("block")
                self.done[block] = BlockResult(**result)
            with atomic_file(self.path) as file:  # without half a line at the end
                file.writelines(complete)
        elif lines:
            print(f"{self.path}: left by another model, data or setting; starting anew")
            self.drop()

    def add(self, block: int, result: BlockResult) -> None:
        """Keep a block's result, on disk first."""
        fresh = not self.path.is_file()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if fresh:
                file.write(self._head())
            file.write(json.dumps({"block": block, **vars(result)}) + "\n")
        self.done[block] = result

    def _head(self) -> str:
        return json.dumps({"key": self.key}) + "\n"

    def values(self, count: int) -> list[Any]:
        """The answers of all blocks in the order of the rows, of which there are `count`."""
        values: list[Any] = [None] * count
        for result in self.done.values():
            for place, value in zip(result.places, result.values, strict=True):
                values[place] = value
        return values

    def drop(self) -> None:
        """Remove the file; its answers are in the predictions."""
        self.path.unlink(missing_ok=True)


def run(
    setup: Setup,
    ask: Ask,
    partials: Mapping[str | None, Partial],
    executor: Executor,
) -> Iterator[str | None]:
    """Score all rows for each adapter; blocks that a killed run finished are not scored again.

    Args:
        setup: how an engine is opened; none is, where no block is left.
        ask: what is asked for each row.
        partials: the file that collects each adapter's results; None stands for the model itself.
        executor: who opens engines and scores the blocks.

    Yields:
        The adapters, each when all its rows are scored.

    Raises:
        UserError: where the executor does.
    """
    parts = [tuple(part) for part in prefix_tree.parts(ask.prompts, BLOCK)]
    total = len(ask.prompts) * len(partials)
    with tqdm(total=total, unit="row", desc="scoring", disable=None) as bar:
        tasks = []
        for name, partial in partials.items():
            partial.read()
            tasks += [Task(name, k, part) for k, part in enumerate(parts) if k not in partial.done]
            if known := sum(len(result.places) for result in partial.done.values()):
                print(f"{partial.path}: going on after {known} of {len(ask.prompts)} rows")
                bar.update(known)
            if len(partial.done) == len(parts):
                yield name
        for task, result in executor.execute(setup, ask, tasks) if tasks else ():
            partial = partials[task.adapter]
            partial.add(task.block, result)
            bar.update(len(task.places))
            if len(partial.done) == len(parts):
                yield task.adapter
