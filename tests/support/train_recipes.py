"""Several Axolotl runs in one process: prints the exit code of each.

Run as: python train_recipes.py RECIPE[@BYTES] FOLDER<COUNT ..., from a workplace

BYTES is the largest file that the run may write, as if the disk were full. FOLDER<COUNT makes of a
finished run one that was killed before its last COUNT checkpoints; FOLDER-uninterrupted keeps it as
it was.
FOLDER=SIZE mounts a disk of a size there, or changes it; FOLDER:COPY copies what lies there.
"""

import resource
import shutil
import sys
from pathlib import Path


def train(recipe: str, limit: int) -> int:
    from axolotl.cli.train import do_cli
    from axolotl.integrations.base import PluginManager

    PluginManager.get_instance().plugins.clear()  # those of the run before
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        do_cli(recipe)
    except SystemExit as left:
        return int(left.code or 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    return 0


def kill(folder: Path, count: int) -> None:
    shutil.copytree(folder, folder.with_name(f"{folder.name}-uninterrupted"))
    (folder / "model.safetensors").unlink()
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    for checkpoint in checkpoints[-count:]:
        shutil.rmtree(checkpoint)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if "<" in argument:
            folder, _, count = argument.partition("<")
            kill(Path(folder), int(count))
            continue
        if "=" in argument:
            from tests.support.disks import mount

            folder, _, size = argument.partition("=")
            mount(Path(folder), size)
            continue
        if ":" in argument:
            shutil.copytree(*argument.split(":"))
            continue
        path, _, limit = argument.partition("@")
        print(f"CODE {train(path, int(limit or resource.RLIM_INFINITY))}", flush=True)
