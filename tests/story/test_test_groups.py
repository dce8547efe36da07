"""Tests that share what is costly to make run in one process, so that it is made once."""

import os
import shutil
import subprocess
import sys

from tests.conftest import CHAIN
from tests.support.paths import ROOT

NOTES = """
import os
import pytest

@pytest.mark.parametrize("number", range(6))
def test_notes_its_process(number):
    with open(__file__ + ".log", "a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], file=file)
"""


def test_the_files_that_take_the_chain_are_named(request):
    taking = {
        i.path.name for i in request.session.items if "chain" in getattr(i, "fixturenames", ())
    }
    assert taking <= CHAIN
    assert all((ROOT / "tests/recipes" / name).is_file() for name in CHAIN)


def test_each_file_and_the_chain_have_one_process(tmp_path):
    names = [*sorted(CHAIN), "test_a.py", "test_b.py"]
    for name in names:
        (tmp_path / name).write_text(NOTES)
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--rootdir", ".", "."],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if "PYTEST" not in key}
        | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    ran = {name: set((tmp_path / f"{name}.log").read_text().split()) for name in names}
    assert [len(processes) for processes in ran.values()] == [1] * len(names)
    assert len(set.union(*(ran[name] for name in CHAIN))) == 1
    assert len(set.union(*ran.values())) == 2
