"""What a run in several processes needs where there is no GPU: they must find one another.

Accelerate joins processes on a CPU only where it is told to, and Axolotl never does: each process
would train a copy of its own, on all rows, and all would write into one folder. `accelerate launch
--cpu --num_processes 2` starts a single process; torchrun starts them all.
"""

import os
from typing import Any

import torch
from accelerate import PartialState


def join() -> None:
    """Join the processes that torchrun started, over gloo; nothing to do for one, or on GPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.cuda.is_available():
        # the trainer makes this state anew, and reads the environment for it
        os.environ["ACCELERATE_USE_CPU"] = "true"
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"  # not cpu:1, onto which torch loads nothing
        PartialState._reset_state()
        PartialState(cpu=True)


def place(cfg: Any) -> None:
    """Keep the model on the CPU; Axolotl gives each of several processes a GPU's number."""
    if cfg.world_size != 1 and not torch.cuda.is_available():
        cfg.device_map = {"": "cpu"}
