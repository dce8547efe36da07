"""Prove the GPU machine's two locks where there is no GPU: install, import, train three steps.

Run as: python3.12 requirements/check_gpu.py FOLDER

Each lock is installed into an environment of its own under FOLDER (8 and 9 GB; one that is there is
used again), as README.md says, but without flash-attn, which would compile for an hour.
"""

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = ("torch", "packaging", "ninja", "setuptools")  # others are built against these
BUILT = "flash-attn"
LOCKS = {"training": "requirements.txt", "vllm": "eval/requirements-vllm.txt"}
IMPORTS = {
    "training": (
        *("torch", "transformers", "axolotl.cli.train", "peft", "trl", "bitsandbytes", "datasets"),
        *("liger_kernel", "optimi", "simhash", "rensa", "ray", "kiwipiepy", "matplotlib"),
        *("koreanize_matplotlib", "sklearn", "statsmodels.api", "llguidance"),
    ),
    "vllm": ("torch", "transformers", "vllm", "ray", "llguidance"),
}
# what a GPU's environment must train here: the demo's rows, three steps of its first stage
STEPS = (
    ("prep/demo/synthetic.py",),
    ("prep/build.py", "--run", "demo"),
    (
        *("-m", "axolotl.cli.train", "recipes/tiny/stage1.yml"),
        *("--max-steps", "3", "--warmup-steps", "1"),
    ),
)


def environment(folder: Path, lock: Path) -> Path:
    """The interpreter of an environment that holds a lock, made where there is none."""
    python, done = folder / "bin" / "python", folder / "locked.txt"
    pins = [line for line in lock.read_text("utf-8").splitlines() if line[:1] not in ("#", "")]
    pins = [line for line in pins if not line.startswith(f"{BUILT}==")]
    if done.is_file() and done.read_text("utf-8").splitlines() == pins:
        return python
    venv.create(folder, with_pip=True, clear=True)
    chosen = folder / "pins.txt"
    for names in (FIRST, None):
        part = [line for line in pins if names is None or line.partition("==")[0] in names]
        chosen.write_text("\n".join(part) + "\n", encoding="utf-8")
        install = ["install", "--quiet", "--no-build-isolation", "--no-deps", "-r", str(chosen)]
        run([str(python), "-m", "pip", *install])
    chosen.rename(done)
    return python


def run(command: list[str], where: Path = ROOT) -> None:
    """Run a command; end with its name where it fails."""
    print("+", *command, flush=True)
    settings = {"PYTHONPATH": str(ROOT), "AXOLOTL_DO_NOT_TRACK": "1", "WANDB_MODE": "disabled"}
    if subprocess.run(command, cwd=where, env=os.environ | settings).returncode:
        sys.exit(f"error: {' '.join(command)} failed, as said above")


def main() -> None:
    """Check both locks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for the environments, outside the project")
    parser.add_argument("--only", choices=LOCKS, help="one of the two")
    args = parser.parse_args()
    if sys.version_info[:2] != (3, 12):
        sys.exit(f"error: the GPU locks are for Python 3.12, and this is {sys.version.split()[0]}")
    folder = args.folder.resolve()
    for name in [args.only] if args.only else LOCKS:
        python = str(environment(folder / name, ROOT / LOCKS[name]))
        run([python, "-m", "pip", "check"])
        run([python, "-c", "\n".join(f"import {module}" for module in IMPORTS[name])])
        if name == "training":
            work = folder / "work"
            work.mkdir(parents=True, exist_ok=True)
            for part in ("prep", "recipes", "core", "params.yaml"):
                (work / part).unlink(missing_ok=True)
                (work / part).symlink_to(ROOT / part)
            for step in STEPS:
                run([python, *step], work)
    print("the GPU locks are sound")


if __name__ == "__main__":
    main()
