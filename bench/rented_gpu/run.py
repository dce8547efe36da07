"""Measure training and scoring on one rented GPU in ten minutes, without a network.

Run as: python bench/rented_gpu/run.py --packages packages.zip --gpu h200 --out figures

It needs Python 3.12 with torch 2.11 for CUDA 13, triton and the usual scientific packages; what
else it needs is in the archive that bench/rented_gpu/pack.py made. Each part is a process of its
own that is ended at its limit. Trainings start together, since importing, tokenising and hashing
take a minute and no GPU, and then have the GPU one by one, the most wanted first. A line of
results.jsonl tells of each as soon as it ends, and log.txt holds what all of them printed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
MADE = "from bench.workload import save_model; from pathlib import Path; import sys; "
MADE += "save_model(Path(sys.argv[1]), sys.argv[2])"
PACKED = ("sample_packing=true", "pad_to_sequence_len=true")
ONE_ROW = ("gradient_checkpointing=false", "micro_batch_size=1", "gradient_accumulation_steps=15")
LIGER = ("liger_rms_norm=true", "liger_glu_activation=true", "liger_rope=true")
FEW = ("gradient_accumulation_steps=1",)  # TRL's row takes a second: as many a step as one batch


@dataclass(frozen=True)
class Part:
    """A command and its limit in seconds."""

    name: str
    limit: int
    command: list[str]


@dataclass
class Running:
    """A part that was started, and when its time began."""

    part: Part
    child: subprocess.Popen[bytes]
    log: Path
    begun: float


def training(
    name: str, recipe: str, way: str, steps: int, args: argparse.Namespace, *changes: str
) -> Part:
    """A recipe by one way for some steps; changes are KEY=VALUE. The limit is that of the steps."""
    command = ["bench/gpu.py", f"recipes/{recipe}.yml", "--config", args.config]
    command += ["--base", str(args.base), "--gpu", args.gpu, "--ways", way, "--steps", str(steps)]
    for change in [*changes, *args.set]:
        command += ["--set", change]
    return Part(name, 60, [*command, "--out", str(args.scratch / name)])


def first(args: argparse.Namespace) -> list[Part]:
    """The base that all others need, and what runs while it is made."""
    tests = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "compiled"]
    return [
        Part("base", 100, ["-c", MADE, str(args.base), args.config]),
        Part("checks", 100, ["bench/rented_gpu/gpu_checks.py"]),
        Part("kernels", 100, [*tests, "tests/recipes/test_fused_loss.py"]),
    ]


def scoring(args: argparse.Namespace) -> Part:
    """The scorer against the loop."""
    command = ["bench/scoring.py", "--config", args.config, "--base", str(args.base), "--no-vllm"]
    command += ["--items", str(args.items), "--rounds", "1"]
    return Part("scoring", 150, [*command, "--json", str(args.scratch / "scoring/figures.json")])


def trainings(args: argparse.Namespace) -> list[Part]:
    """The most wanted first; full fine-tuning of nine billion weights needs more than 80 GB."""
    listed = [
        training("stage2", "stage2", "axolotl", 5, args),
        training("stage1-packed", "stage1", "axolotl", 5, args, *PACKED),
        training("stage2-fast", "stage2", "axolotl", 5, args, *ONE_ROW, *LIGER),
        training("stage2-trl", "stage2", "trl", 5, args),
        training("stage1-trl", "stage1", "trl", 5, args, *FEW),
        training("stage1", "stage1", "axolotl", 5, args),
        training("stage2-liger", "stage2", "axolotl", 4, args, *LIGER),
        training("stage2-no-checkpointing", "stage2", "axolotl", 4, args, *ONE_ROW),
    ]
    return [part for part in listed if args.gpu == "h200" or not part.name.startswith("stage2")]


def unpack(archive: Path, folder: Path) -> None:
    """Lay the carried packages out."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)


def start(part: Part, args: argparse.Namespace) -> Running:
    """Start a part in a process group of its own, so that it can be ended with all it started."""
    turns = args.scratch / "turns" / part.name
    turns.mkdir(parents=True, exist_ok=True)
    log = args.scratch / f"{part.name}.log"
    env = args.env | {"BENCH_TURNS": str(turns)}
    if part.name in args.profile:
        env["BENCH_PROFILE"] = "1"
    with log.open("wb") as written:
        child = subprocess.Popen(
            [sys.executable, *part.command],
            cwd=ROOT,
            env=env,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Running(part, child, log, time.monotonic())


def finish(running: Running, args: argparse.Namespace) -> None:
    """Wait for a part up to its limit or the end of all, and write its line."""
    part, child = running.part, running.child
    try:
        left = min(running.begun + part.limit * args.patience, args.end) - time.monotonic()
        code: int | str = child.wait(max(left, 0.1))
    except subprocess.TimeoutExpired:
        code = "ended at its limit"
    with suppress(ProcessLookupError):  # what it left running too
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    took = time.monotonic() - running.begun
    said = running.log.read_text(encoding="utf-8", errors="replace")
    line: dict[str, Any] = {"part": part.name, "code": code, "seconds": round(took, 1)}
    for file in sorted((args.scratch / part.name).glob("**/*.json")):
        if file.name in ("figures.json", "meter.json"):
            line[file.stem] = json.loads(file.read_text())
    if part.name == "checks" and code == 0:
        line["figures"] = json.loads(said.strip().splitlines()[-1])
    if code or part.name == "kernels":
        line["last"] = said[-1500:]
    with (args.out / "results.jsonl").open("a") as results:
        results.write(json.dumps(line) + "\n")
    with (args.out / "log.txt").open("a") as log:
        log.write(f"\n===== {part.name}: {code}, {took:.0f} s\n{said}")
        for table in (args.scratch / part.name).glob("*/profile.txt"):
            log.write(table.read_text())
    print(json.dumps(line)[:1500], flush=True)


def turn(running: Running, name: str, args: argparse.Namespace) -> None:
    """Let a training that waits for this turn go on."""
    (args.scratch / "turns" / running.part.name / name).touch()


def ready(running: Running, name: str, args: argparse.Namespace) -> bool:
    """Wait until a training waits for this turn; false where it ended or time is up instead."""
    file = args.scratch / "turns" / running.part.name / f"{name}.ready"
    while not file.exists():
        if running.child.poll() is not None or time.monotonic() > args.end:
            return False
        time.sleep(0.05)
    return True


def in_turns(started: list[Running], args: argparse.Namespace) -> None:
    """Let trainings have the GPU one by one; while one trains, the next loads."""
    if not started:
        return
    turn(started[0], "load", args)
    for running, after in zip(started, [*started[1:], None], strict=True):
        here = ready(running, "train", args)
        turn(running, "train", args)
        running.begun = time.monotonic()
        if after and here and ready(after, "load", args):
            turn(after, "load", args)
        finish(running, args)
        if after:
            turn(after, "load", args)


def main() -> None:
    """Run the parts within the time given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=Path, help="the archive of bench/rented_gpu/pack.py")
    parser.add_argument("--gpu", choices=("h100", "h200"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=560, help="for all (default: %(default)s)")
    parser.add_argument("--config", default="gemma-2-9b")
    parser.add_argument("--items", type=int, default=200, help="to score (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="PART", default=[])
    parser.add_argument("--profile", nargs="+", metavar="TRAINING", default=[])
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="in every recipe"
    )
    parser.add_argument(
        "--patience", type=float, default=1, help="times each part's limit, to rehearse on a CPU"
    )
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/rented-gpu"))
    args = parser.parse_args()
    args.end = time.monotonic() + args.seconds
    args.out.mkdir(parents=True, exist_ok=True)
    memory = Path("/dev/shm")  # a disk in memory, if it has room for the base
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 24 * 2**30
    args.base = (memory if roomy else args.scratch) / f"base-{Path(args.config).stem}"
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    if args.packages:
        unpack(args.packages, args.scratch / "packages")
        paths.insert(0, str(args.scratch / "packages"))
    args.env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    args.env |= {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "WANDB_MODE": "disabled"}
    print(f"unpacked after {args.seconds - (args.end - time.monotonic()):.0f} s", flush=True)
    wanted = [part for part in trainings(args) if part.name in args.only or not args.only]
    begun = [start(part, args) for part in first(args) if part.name in args.only or not args.only]
    if begun:
        finish(begun.pop(0), args)  # the base
    waiting = [start(part, args) for part in wanted]
    if not args.only or "scoring" in args.only:
        begun.append(start(scoring(args), args))
    for running in begun:
        finish(running, args)
    in_turns(waiting, args)


if __name__ == "__main__":
    main()
