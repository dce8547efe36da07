"""A folder made anew is complete or not there, and what it replaces is looked at and kept."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import atomic_dir, set_aside
from recipes import export
from tests.support.paths import ROOT

# the command of recipes/export.py, killed just before it moves a folder for the COUNT-th time
KILLED = """
import os, runpy, signal, sys
from pathlib import Path
module, name = {"replace": (os, "replace"), "rename": (Path, "rename")}[sys.argv[1]]
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
    for name in (*export.NEEDED, "model.safetensors"):
        (folder / name).write_text("old")
    (tmp_path / "recipe.yml").write_text(f"output_dir: {folder}\n")
    export.link(folder, tmp_path / "model")
    for name in (*export.NEEDED, "model.safetensors"):
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
        ("rename", 1, [".model.old", "model"]),  # before the old one is set aside
    ],
)
def test_a_kill_loses_no_folder_and_the_next_start_settles_it(trained, call, count, found):
    place = trained.parent
    done = subprocess.run(
        [sys.executable, "-c", KILLED, call, str(count), "recipes/export.py", place / "recipe.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert left(place) == found
    now = "new" if call == "rename" else "old"
    model = place / ("model" if "model" in found else ".model.old")
    assert content(model) == dict.fromkeys((*export.NEEDED, "model.safetensors"), now)

    # a next start that comes to nothing puts back what was there, one that ends replaces it
    with pytest.raises(KeyboardInterrupt), atomic_dir(place / "model", "config.json"):
        raise KeyboardInterrupt
    assert left(place) == ["model"]
    assert set(content(place / "model").values()) == {now}
    export.link(trained, place / "model")
    assert left(place) == ["model"]
    assert set(content(place / "model").values()) == {"new"}
    (aside,) = (place / ".stale").iterdir()
    assert (aside.name, set(content(aside).values())) == ("model-1", {"old"})


def test_what_cannot_be_put_in_place_leaves_the_old_one_there(trained, monkeypatch):
    real = os.replace

    def refused(source, target):
        if Path(source).suffix == ".part":
            raise PermissionError("no")
        real(source, target)

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(PermissionError):
        export.link(trained, trained.with_name("model"))
    assert left(trained.parent) == ["model"]
    assert set(content(trained.with_name("model")).values()) == {"old"}


def test_a_first_folder_replaces_nothing(tmp_path):
    with atomic_dir(tmp_path / "new/model", "a") as part:
        (part / "a").write_text("one")
    assert content(tmp_path / "new/model") == {"a": "one"}
    assert left(tmp_path / "new") == ["model"]


def replaced(folder, text, *inputs, mark="mark"):
    with atomic_dir(folder, mark, inputs) as part:
        (part / "mark").write_text("")
        (part / "weights").write_text(text)


def test_what_is_replaced_is_kept_unless_it_is_the_same(tmp_path, capsys):
    out = tmp_path / "out"
    for text in ("one", "one", "two", "one", "two"):
        replaced(out, text)
    assert (out / "weights").read_text() == "two"
    kept = {path.name: (path / "weights").read_text() for path in (tmp_path / ".stale").iterdir()}
    assert kept == {"out-1": "one", "out-2": "two", "out-3": "one"}
    assert f"out: what it held is now in {tmp_path}/.stale/out-3" in capsys.readouterr().out
    assert list(tmp_path.glob("[!.]*")) == [out]  # what a pattern of members finds


def test_what_a_link_leads_to_is_replaced(tmp_path):
    replaced(tmp_path / "disk/out", "one")
    (tmp_path / "link").symlink_to(tmp_path / "disk/out")
    replaced(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk/out/weights").read_text() == "two"
    assert (tmp_path / "disk/.stale/out-1/weights").read_text() == "one"


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("given", "holds .*given, which is read"),
        ("given/../given/", "holds .*given, which is read"),
        ("", "holds .*given, which is read"),
        ("link", "holds .*given, which is read"),
        ("foreign", "holds thesis.txt, which this command did not make"),
        ("made", "holds another, which this command did not make"),
        ("file", "is a file"),
        ("file/in", "its folder cannot be made"),
    ],
)
def test_inputs_and_foreign_contents_are_not_replaced(tmp_path, out, said):
    (tmp_path / "link").symlink_to(tmp_path / "given")
    (tmp_path / "file").write_text("")
    for name in ("given/mark", "foreign/thesis.txt", "made/mark", "made/another/weights"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=said):
        replaced(tmp_path / out, "new", tmp_path / "given")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_folder_we_stand_in_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for out in (".", ".."):
        with pytest.raises(UserError, match="holds the folder you stand in"):
            replaced(Path(out), "new")


def test_names_set_aside_are_never_taken_twice(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / "run").mkdir()
        assert set_aside(tmp_path / "run") == tmp_path / f".stale/run-{number}"
