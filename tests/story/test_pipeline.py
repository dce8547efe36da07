"""The pipeline of dvc.yaml over the members: what each command makes leads to a submission."""

import json
import os
import shutil
import subprocess

import pytest

from recipes.members.tables import load_members
from tests.support.paths import DVC, ROOT

MEMBERS = load_members()


STUB = """#!/usr/bin/env python3
# stands in for python and accelerate: notes the command, makes its outputs, fails for one member
import pathlib, sys
said = " ".join(sys.argv[1:])
with open("log.txt", "a") as log:
    log.write(said + "\\n")
if "compose.py" in said:
    made = [f"outputs/{sys.argv[-1]}/recipe.yml"]
elif "build.py" in said:
    made = [f"data/{sys.argv[-1]}/{file}.jsonl" for file in ("stage1", "stage2", "dev", "test")]
elif "axolotl.cli.train" in said:
    if "best-polar" in said and not pathlib.Path("repaired").exists():
        sys.exit(1)
    made = [str(pathlib.Path(sys.argv[-1]).with_name("trained") / "model.safetensors")]
elif "export.py" in said:
    made = [str(pathlib.Path(sys.argv[-1]).with_name("model") / "model.safetensors")]
elif "score.py" in said:
    made = [sys.argv[-1], sys.argv[-1].replace(".jsonl", ".meta.json")]
else:
    name = sys.argv[-1]
    format = "csv" if name.startswith("nlp") else "json"
    made = [f"submissions/{name}.{format}", f"predictions/{name}-vote/vote.jsonl"]
for name in made:
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).write_text(said)
"""


@pytest.fixture
def story(tmp_path):
    """A folder with the story and empty corpora, where every command is a stub; runs DVC in it."""
    for name in (
        "dvc.yaml",
        "params.yaml",
        "core",
        "earlier_systems",
        "recipes",
        "prep",
        "eval",
        "ensemble",
    ):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(ROOT / name)
    for folder in (".dvc", "bin", "corpus/exam"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text((ROOT / ".dvc/config").read_text())
    for split in ("train", "dev", "test"):
        (tmp_path / f"corpus/대화맥락추론_{split}.json").write_text("[]")
        (tmp_path / f"corpus/exam/{split}.csv").write_text("id\n")
    for name in ("python", "accelerate"):
        (tmp_path / "bin" / name).write_text(STUB)
        (tmp_path / "bin" / name).chmod(0o755)

    def repro(*arguments: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        (tmp_path / "log.txt").write_text("")
        done = subprocess.run(
            [DVC.resolve(), "repro", "--keep-going", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "DVC_TEST": "1"},
            capture_output=True,
            text=True,
        )
        return done, (tmp_path / "log.txt").read_text().splitlines()

    return repro


EVERY_STAGE = """
from dvc.repo import Repo

index = Repo().index
index.check_graph()
for stage in index.stages:
    print(stage.addressing, *stage.cmd.split(), sep=" ")
"""


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_every_set_votes_in_its_own_way():
    done = subprocess.run(
        [DVC.with_name("python"), "-c", EVERY_STAGE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    stages = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    votes = {name: command for name, command in stages.items() if name.startswith("vote@")}
    assert votes == {
        f"vote@{name}": f"python ensemble/vote.py --set {name}" for name in MEMBERS.sets
    }
    for kind in ("recipe", "train", "export", "score", "score-dev"):
        made = {name.removeprefix(f"{kind}@") for name in stages if name.startswith(f"{kind}@")}
        assert made == set(MEMBERS.members)


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_an_exam_set_ends_in_a_submission_of_its_own_format(story, tmp_path):
    done, ran = story("--quiet", "vote@nlp-06")
    assert done.returncode == 0, done.stderr
    assert "prep/build.py --run exam-tutor" in ran
    assert (tmp_path / "submissions/nlp-06.csv").is_file()


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_one_failed_member_loses_no_others_work(story, tmp_path):
    done, ran = story("--quiet", "vote@best")
    scored = {path.stem for path in (tmp_path / "predictions/best").glob("*.jsonl")}
    assert done.returncode != 0
    assert scored == {name for name in MEMBERS.of_set("best")} - {"best-polar"}
    assert not any("vote.py" in command for command in ran)
    (tmp_path / "repaired").touch()
    done, ran = story("--quiet", "vote@best")
    assert done.returncode == 0
    assert [command.split()[0] for command in ran] == [
        "launch",
        "recipes/export.py",
        "eval/score.py",
        "ensemble/vote.py",
    ]
    assert (tmp_path / "submissions/best.json").is_file()


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_figures_are_compared_with_those_of_a_commit(tmp_path):
    """The lines of docs/reports.md, but for the run that makes the new figures."""
    shown = (ROOT / "docs/reports.md").read_text("utf-8").split("```sh\n")[1:]
    [lines] = [part for part in shown if "dvc metrics diff" in part.partition("```")[0]]
    once, commit, new = lines.partition("```")[0].splitlines()
    new = new.removeprefix("dvc repro report@demo && ")
    for name in (".dvc/config", ".gitignore", "dvc.yaml", "params.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    shutil.copytree(ROOT / "recipes/members", tmp_path / "recipes/members")
    figures = tmp_path / "metrics/demo.json"
    figures.parent.mkdir()
    user = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.invalid"}
    user |= {name.replace("AUTHOR", "COMMITTER"): said for name, said in user.items()}
    path = os.pathsep.join([str(DVC.resolve().parent), os.environ["PATH"]])

    def said(command: str) -> str:
        env = {**os.environ, **user, "PATH": path, "DVC_TEST": "1"}
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, check=True, capture_output=True, text=True
        )
        return done.stdout

    figures.write_text(json.dumps({"results": {"vote": {"accuracy": 0.5}}}))
    said("git init -q && git add . && git commit -qm start")
    said(once)
    said(commit)
    figures.write_text(json.dumps({"results": {"vote": {"accuracy": 0.75}}}))
    assert said(new).splitlines()[-1].split()[1:] == [
        "results.vote.accuracy",
        "0.5",
        "0.75",
        "0.25",
    ]
    assert said("git status --short").split() == ["M", "metrics/demo.json"]
