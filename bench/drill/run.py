"""Measure training and scoring on one rented GPU in ten minutes, without a network.

Run as: python bench/drill/run.py --packages packages.zip --gpu h200 --out figures

It needs Python 3.12 with torch 2.11 for CUDA 13, triton and the usual scientific packages; what
else it needs is in the archive that bench/drill/carry.py made. Parts run one after the other, the
most wanted first, each in a process of its own that is ended at its limit. A line of results.jsonl
tells of each as soon as it ends, and log.txt holds what all of them printed.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
MADE = "from bench.workload import save_model; from pathlib import Path; import sys; "
MADE += "save_model(Path(sys.argv[1]), sys.argv[2])"
LIGER = "liger_rms_norm=true liger_glu_activation=true liger_rope=true"


@dataclass(frozen=True)
class Part:
    """A command, its limit in seconds, and whether the next part starts without waiting for it."""

    name: str
    limit: int
    command: list[str]
    along: bool = False


def training(
    name: str, limit: int, way: str, steps: int, args: argparse.Namespace, *changes: str
) -> Part:
    """A recipe by one way for some steps; changes are KEY=VALUE."""
    command = ["bench/gpu.py", f"recipes/{name.split('-')[0]}.yml", "--config", args.config]
    command += ["--base", str(args.base), "--gpu", args.gpu, "--ways", way, "--steps", str(steps)]
    for change in [*changes, *args.set]:
        command += ["--set", change]
    return Part(name, limit, [*command, "--out", str(args.scratch / name)])


def parts(args: argparse.Namespace) -> list[Part]:
    """All parts in order; full fine-tuning of nine billion weights needs more than 80 GB."""
    packed = ("sample_packing=true", "pad_to_sequence_len=true")
    one_row = ("gradient_checkpointing=false", "micro_batch_size=1")
    scored = ["bench/scoring.py", "--config", args.config, "--base", str(args.base), "--no-vllm"]
    scored += ["--items", str(args.items), "--rounds", "1"]
    scored += ["--json", str(args.scratch / "scoring/figures.json")]
    tests = ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "compiled"]
    listed = [
        Part("checks", 60, ["bench/drill/checks.py"], along=True),
        Part("kernels", 100, [*tests, "tests/test_loss.py"], along=True),
        Part("base", 100, ["-c", MADE, str(args.base), args.config]),
        training("stage2", 120, "axolotl", 5, args),
        training("stage1-packed", 120, "axolotl", 5, args, *packed),
        training("stage2-trl", 90, "trl", 6, args),
        training("stage1-trl", 90, "trl", 6, args),
        Part("scoring", 150, scored),
        training("stage1", 100, "axolotl", 7, args),
        training("stage2-no-checkpointing", 100, "axolotl", 5, args, *one_row,
                 "gradient_accumulation_steps=15"),
        training("stage2-liger", 100, "axolotl", 5, args, *LIGER.split()),
    ]  # fmt: skip
    wanted = args.only or [part.name for part in listed]
    small = args.gpu != "h200"
    return [p for p in listed if p.name in wanted and not (small and p.name.startswith("stage2"))]


def unpack(archive: Path, folder: Path) -> None:
    """Lay the carried packages out."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)


def start(part: Part, log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a part in a process group of its own, so that it can be ended with all it started."""
    with log.open("wb") as written:
        return subprocess.Popen(
            [sys.executable, *part.command],
            cwd=ROOT, env=env, stdout=written, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def finish(
    part: Part,
    child: subprocess.Popen[bytes],
    begun: float,
    log: Path,
    args: argparse.Namespace,
) -> None:
    """Wait for a part up to its limit or the end of all, and write its line."""
    left = min(begun + part.limit, args.end) - time.monotonic()
    try:
        code: int | str = child.wait(max(left, 0.1))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        code = "ended at its limit"
    took = time.monotonic() - begun
    said = log.read_text(encoding="utf-8", errors="replace")
    line: dict[str, Any] = {"part": part.name, "code": code, "seconds": round(took, 1)}
    figures = args.scratch / part.name / "figures.json"
    if code == 0 and figures.is_file():
        line["figures"] = json.loads(figures.read_text())
    elif code == 0 and part.name == "checks":
        line["figures"] = json.loads(said.strip().splitlines()[-1])
    else:
        line["last"] = said[-3000:] if code else said[-400:]
    with (args.out / "results.jsonl").open("a") as results:
        results.write(json.dumps(line) + "\n")
    with (args.out / "log.txt").open("a") as whole:
        whole.write(f"\n===== {part.name}: {code}, {took:.0f} s\n{said}")
    print(json.dumps(line)[:1500], flush=True)


def end(running: list[tuple[Part, subprocess.Popen[bytes], float, Path]], args: Any) -> None:
    """Wait for all that run, the last started first."""
    while running:
        finish(*running.pop(), args)


def main() -> None:
    """Run the parts within the time given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=Path, help="the archive of bench/drill/carry.py")
    parser.add_argument("--gpu", choices=("h100", "h200"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=560, help="for all (default: %(default)s)")
    parser.add_argument("--config", default="gemma-2-9b")
    parser.add_argument("--items", type=int, default=200, help="to score (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="PART")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="in every recipe"
    )
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/drill"))
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
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    env |= {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "WANDB_MODE": "disabled"}
    print(f"unpacked after {args.seconds - (args.end - time.monotonic()):.0f} s", flush=True)
    running: list[tuple[Part, subprocess.Popen[bytes], float, Path]] = []
    for part in parts(args):
        if time.monotonic() > args.end - 10:
            break
        log = args.scratch / f"{part.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        running.append((part, start(part, log, env), time.monotonic(), log))
        if not part.along:
            end(running, args)
    end(running, args)


if __name__ == "__main__":
    main()
