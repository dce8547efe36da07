"""A folder made anew is never lost: a kill at any step leaves the old one or the new one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recipes import whole
from recipes.swap import replacing_folder

ROOT = Path(__file__).resolve().parent.parent
# the command of recipes/whole.py, killed just before it calls `CALL` for the COUNT-th time
KILLED = """
import os, runpy, shutil, signal, sys
module, name = {"replace": (os, "replace"), "rmtree": (shutil, "rmtree")}[sys.argv[1]]
real, left = getattr(module, name), int(sys.argv[2])

def call(*given, **more):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **more)

setattr(module, name, call)
script = sys.argv[3]
sys.argv = sys.argv[3:]
runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture
def trained(tmp_path):
    """A finished training and its recipe, whose model is already parted from it: `old`."""
    folder = tmp_path / "trained"
    folder.mkdir()
    for name in (*whole.NEEDED, "model.safetensors"):
        (folder / name).write_text("old")
    (tmp_path / "recipe.yml").write_text(f"output_dir: {folder}\n")
    whole.link(folder, tmp_path / "model")
    for name in (*whole.NEEDED, "model.safetensors"):
        (folder / name).unlink()  # it shares its content with the link
        (folder / name).write_text("new")
    return folder


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def left(place):
    return sorted(path.name for path in place.iterdir() if "model" in path.name)


@pytest.mark.parametrize(
    ("call", "count", "found"),
    [
        ("replace", 1, [".model.part", "model"]),
        ("replace", 2, [".model.old", ".model.part"]),  # between the two steps
        ("rmtree", 4, [".model.old", "model"]),  # two find nothing to remove when it begins
    ],
)
def test_a_kill_loses_no_folder_and_the_next_start_settles_it(trained, call, count, found):
    place = trained.parent
    done = subprocess.run(
        [sys.executable, "-c", KILLED, call, str(count), "recipes/whole.py", place / "recipe.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert left(place) == found
    now = "new" if call == "rmtree" else "old"
    model = place / ("model" if "model" in found else ".model.old")
    assert content(model) == dict.fromkeys((*whole.NEEDED, "model.safetensors"), now)

    # a next start that comes to nothing puts back what was there, one that ends replaces it
    with pytest.raises(KeyboardInterrupt), replacing_folder(place / "model"):
        raise KeyboardInterrupt
    assert left(place) == ["model"]
    assert set(content(place / "model").values()) == {now}
    whole.link(trained, place / "model")
    assert left(place) == ["model"]
    assert set(content(place / "model").values()) == {"new"}


def test_what_cannot_be_put_in_place_leaves_the_old_one_there(trained, monkeypatch):
    real = os.replace

    def refused(source, target):
        if Path(source).suffix == ".part":
            raise PermissionError("no")
        real(source, target)

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(PermissionError):
        whole.link(trained, trained.with_name("model"))
    assert left(trained.parent) == ["model"]
    assert set(content(trained.with_name("model")).values()) == {"old"}


def test_a_first_folder_replaces_nothing(tmp_path):
    with replacing_folder(tmp_path / "new/model") as part:
        (part / "a").write_text("one")
    assert content(tmp_path / "new/model") == {"a": "one"}
    assert left(tmp_path / "new") == ["model"]
