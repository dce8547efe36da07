"""Axolotl plugin and trainer callback that note what each training step took and held.

A recipe that lists bench.meter.MeterPlugin writes meter.json into its output_dir.
"""

import time
from pathlib import Path
from typing import Any

import torch
from axolotl.integrations.base import BasePlugin
from transformers import Trainer, TrainerCallback

from prep.jsonl import write_json


def peak() -> int:
    """Bytes at the fullest moment so far: torch's on a GPU, the process's own memory on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return 1024 * status("VmHWM")


def status(key: str) -> int:
    """A figure in KiB of /proc/self/status, or 0 where there is no such file."""
    file = Path("/proc/self/status")
    lines = file.read_text().splitlines() if file.is_file() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)


class Meter(TrainerCallback):
    """Times optimizer steps and counts the tokens in them that are no padding."""

    def __init__(self, trainer: Trainer, folder: Path, before: int):
        self.folder, self.before = folder, before
        self.tokens: list[int] = []
        self.seconds: list[float] = []
        pad = trainer.processing_class.pad_token_id
        step = trainer.training_step

        def counted(model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            self.tokens[-1] += int((inputs["input_ids"] != pad).sum())
            return step(model, inputs, *rest, **named)

        trainer.training_step = counted

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Set the peak of loading apart from that of training."""
        self.loading = peak() - self.before
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self.tokens.append(0)
        self.start = self.now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop the clock."""
        self.seconds.append(self.now() - self.start)

    def on_train_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Write what was noted; `held` is the peak above what was there before the model.

        Bytes; on a GPU `held` counts from the first step, `loading` up to it.
        """
        times = {"tokens": self.tokens, "seconds": self.seconds}
        held = {"held": peak() - self.before, "loading": self.loading}
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        write_json(self.folder / "meter.json", times | held | {"losses": losses})

    @staticmethod
    def now() -> float:
        """The time when everything started on the GPU has ended, in seconds."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


class MeterPlugin(BasePlugin):
    """Puts the meter into Axolotl's trainer."""

    def pre_model_load(self, cfg: Any) -> None:
        """Note what the process holds without a model."""
        self.before = 0 if torch.cuda.is_available() else 1024 * status("VmRSS")

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Trainer) -> list[TrainerCallback]:
        """The meter."""
        return [Meter(trainer, Path(cfg.output_dir), self.before)]
