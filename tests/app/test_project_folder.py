"""What the app may read: the project's folder and no other, by no path and no link."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app import fragments, record_texts, row_table, set_results
from app.language import in_language
from app.models import Models
from app.pages.data_lists import file_of
from app.project import open_project
from core.bilingual import Both
from core.errors import UserError
from tests.support.paths import ROOT


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text("runs: {}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_empty_folders_say_what_fills_them(empty: Path) -> None:
    project = open_project(Path())
    for ask, command in ((project.runs, "prep/build.py"), (project.sets, "eval/score.py")):
        with pytest.raises(UserError, match=command):
            ask()
    assert Models(project).known() == []


def test_links_and_names_that_lead_out_are_refused(
    empty: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "rows.jsonl").write_text("{}\n")
    (empty / "data/run").mkdir(parents=True)
    (empty / "data/linked").symlink_to(outside)
    (empty / "data/run/test.jsonl").symlink_to(outside / "rows.jsonl")
    (empty / "predictions").symlink_to(outside)
    project = open_project(Path())
    asks = [
        lambda: project.rows("linked"),
        lambda: file_of(project, "run", "test.jsonl"),
        lambda: file_of(project, "run", "../../params.yaml"),
        lambda: file_of(project, "run", str(outside / "rows.jsonl")),
        lambda: file_of(project, "..", "params.yaml"),
        lambda: set_results.read(project, "."),
        lambda: set_results.read(project, "any"),
        lambda: record_texts.removed(project, "linked"),
        lambda: Models(project).get(str(outside)),
    ]
    for ask in asks:
        with pytest.raises(UserError):
            ask()
    allowed = open_project(Path(), [outside])
    assert allowed.inside(outside / "rows.jsonl") == outside / "rows.jsonl"


def test_a_file_cut_off_and_an_empty_one_end_in_a_sentence(empty: Path) -> None:
    for text in ("", '{"id": "a", "messages": [{"role": "user"', "[1]\n"):
        (empty / "rows.jsonl").write_text(text)
        with pytest.raises(UserError, match=r"rows\.jsonl: holds no"):
            row_table.read(Path("rows.jsonl"))
    with pytest.raises(UserError, match="cannot be read"):
        row_table.read(Path("nothing.jsonl"))


@pytest.mark.parametrize("case", ["no folder", "no project", "taken", "no port"])
def test_a_start_that_cannot_be_ends_in_a_sentence(empty: Path, case: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = {
            "no folder": (["--root", "nothing"], "nothing: no such folder"),
            "no project": (["--root", str(ROOT / "docs")], "holds no params.yaml"),
            "taken": (["--port", str(taken.getsockname()[1])], "cannot be listened on"),
            "no port": (["--port", "99999"], "cannot be listened on"),
        }
        given, said = arguments[case]
        done = subprocess.run(
            [sys.executable, str(ROOT / "app/main.py"), *given],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_refusal_is_said_in_the_language_of_the_page() -> None:
    """Sentences that other commands say too are English, as those print them."""
    ours, shared = UserError(Both("no run", "런이 없습니다")), UserError("x.jsonl: no such file")
    said = [fragments.refused(ours, in_language(language)) for language in ("en", "ko")]
    assert [">no run<" in said[0], ">런이 없습니다<" in said[1]] == [True, True]
    assert "x.jsonl: no such file" in fragments.refused(shared, in_language("ko"))
