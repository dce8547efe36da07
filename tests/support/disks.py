"""Disks of a few megabytes, to be full: tmpfs in a mount namespace that ends with its process."""

import shutil
import subprocess
from pathlib import Path

import pytest

ALONE = ("unshare", "--map-root-user", "--mount")


def allowed() -> bool:
    """Whether this user may mount a tmpfs in a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    command = (*ALONE, "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    return subprocess.run(command, capture_output=True).returncode == 0


ALLOWED = allowed()
needed = pytest.mark.skipif(not ALLOWED, reason="no mount namespaces for this user here")


def mount(folder: Path, size: str) -> None:
    """A disk of a size at a folder or, where one is, another size for it."""
    folder.mkdir(exist_ok=True)
    options = f"remount,size={size}" if folder.is_mount() else f"size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
