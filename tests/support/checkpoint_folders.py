"""Folders of weights and of a trainer's state, as a run of a few steps leaves them."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file


def save_weights(folder: Path, value: float = 1.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.full((64,), value)}, folder / "model.safetensors")
    return folder


def save_checkpoint(run: Path, step: int, processes: int = 1) -> Path:
    folder = save_weights(run / f"checkpoint-{step}", step)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    model = torch.nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(8)).sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save({"last_epoch": step}, folder / "scheduler.pt")
    for rank in range(processes):
        name = "rng_state.pth" if processes == 1 else f"rng_state_{rank}.pth"
        torch.save(torch.get_rng_state(), folder / name)
    return folder


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
