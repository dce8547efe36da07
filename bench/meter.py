"""Axolotl plugin and trainer callback that note what each training step took and held.

A recipe that lists bench.meter.MeterPlugin writes meter.json into its output_dir.
"""

import os
import time
from pathlib import Path
from typing import Any

import torch
from axolotl.integrations.base import BasePlugin
from torch.profiler import ProfilerActivity, profile
from transformers import Trainer, TrainerCallback

from core.jsonl import write_json


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


def wait_for(turn: str) -> None:
    """Where several runs are ready for one GPU (bench/rented_gpu/run.py), wait for this one's turn.

    BENCH_TURNS names a folder: `turn.ready` there says that this run waits, `turn` that it may go.
    """
    if folder := os.environ.get("BENCH_TURNS"):
        (Path(folder) / f"{turn}.ready").touch()
        while not (Path(folder) / turn).exists():
            time.sleep(0.05)


class Meter(TrainerCallback):
    """Times optimizer steps and counts the tokens in them that are no padding."""

    def __init__(self, trainer: Trainer, folder: Path, before: int):
        self.folder, self.before = folder, before
        self.tokens: list[int] = []
        self.seconds: list[float] = []
        self.profile: profile | None = None
        pad = trainer.processing_class.pad_token_id
        step = trainer.training_step

        def counted(model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            self.tokens[-1] += int((inputs["input_ids"] != pad).sum())
            return step(model, inputs, *rest, **named)

        trainer.training_step = counted

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Set the peak of loading apart from that of training."""
        wait_for("train")
        self.loading = peak() - self.before
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_step_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        """Start the clock; of the last step a profile may be wanted (BENCH_PROFILE)."""
        if os.environ.get("BENCH_PROFILE") and state.global_step + 1 == state.max_steps:
            self.profile = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
            self.profile.start()
        self.tokens.append(0)
        self.start = self.now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop the clock, and write what was noted: a run may be ended before its last step.

        Bytes; on a GPU `held` is the peak since the first step, `loading` that before it.
        """
        self.seconds.append(self.now() - self.start)
        times = {"tokens": self.tokens, "seconds": self.seconds}
        held = {"held": peak() - self.before, "loading": self.loading}
        write_json(self.folder / "meter.json", times | held)
        if self.profile:
            self.profile.stop()
            table = self.profile.key_averages().table("self_cuda_time_total", row_limit=40)
            (self.folder / "profile.txt").write_text(table)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """End the process: weights that were drawn at random are not worth saving."""
        raise SystemExit(0)

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
        wait_for("load")
        self.before = 0 if torch.cuda.is_available() else 1024 * status("VmRSS")

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Trainer) -> list[TrainerCallback]:
        """The meter."""
        return [Meter(trainer, Path(cfg.output_dir), self.before)]
