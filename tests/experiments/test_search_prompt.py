"""A search for a prompt: scored by the real scorer, held-out folds unseen, nothing made twice."""

import json
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.jsonl import read_json
from eval import score
from eval.options import gold
from eval.predictions import read
from eval.rows import read_rows
from experiments import search_prompt
from experiments.pieces import Piece
from prep.config import load_run
from prep.corpus import questions_of
from prep.dedup import Simhash
from prep.demo.synthetic import corpus
from prep.guards.group_folds import fold_numbers, near_contexts
from prep.render import load_prompt
from tests.support.experiment_place import RUN
from tests.support.paths import ROOT
from tests.support.teaching_server import Body, TeachingServer, Trouble, teaching

ASKED = ("--model", "base", "--folds", "2", "--out", "found", "--backend", "hf", "--teacher", "t")
ASKED += ("--teachers", "teachers.yml", "--run", "demo")


@pytest.fixture
def scorings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A small corpus in the folder where the test runs; fills as prompts are scored."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/train.json").write_text(json.dumps(corpus("train", 10, 7)), "utf-8")
    runs = {"demo": RUN | {"stages": {"stage2": [{"source": "cci-2024"}]}}}
    runs["ga"] = runs["demo"] | {"track": "ga"}
    Path("params.yaml").write_text(yaml.safe_dump({"runs": runs}), "utf-8")
    shutil.copytree(ROOT / "recipes/tiny/base", "base")
    made: list[Path] = []

    def make(piece: Piece, label: str, lock: int) -> float:
        del label, lock
        piece.folder.mkdir(parents=True)
        (piece.folder / "rows.jsonl").write_text(piece.files["rows.jsonl"], "utf-8")
        [command] = piece.commands
        score.main([word.replace("{folder}", str(piece.folder)) for word in command[1:]])
        (piece.folder / "done.json").write_text('{"seconds": 0}', "utf-8")
        made.append(piece.folder)
        return 0.0

    monkeypatch.setattr(Piece, "make", make)
    return made


def teacher(server: TeachingServer) -> None:
    own: dict[str, Any] = {"address": server.address, "training": "allowed"}
    own["price"] = {"prompt": 1, "completion": 1}
    Path("teachers.yml").write_text(yaml.safe_dump({"teachers": {"t": own}}), "utf-8")


def test_the_estimate_is_of_folds_that_no_search_has_seen(
    scorings: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(body: Body) -> str | Trouble:
        if len(asked) == 1:
            return json.dumps({"instruction": "{% evil %}"})
        if len(asked) == 4:
            return Trouble(status=403)
        return json.dumps({"instruction": f"답만 고르세요 {len(asked)}."})

    with teaching(answer) as server:
        asked = server.asked
        teacher(server)
        with pytest.raises(UserError, match="say by --budget"):
            search_prompt.main([*ASKED, "--rounds", "2"])
        search_prompt.main([*ASKED, "--rounds", "2", "--dry-run"])
        assert "to score at most 7 prompts, 6 of them to be written" in capsys.readouterr().out
        assert (server.asked, scorings) == ([], [])
        with pytest.raises(UserError, match="status 403, busy; what was answered is kept"):
            search_prompt.main([*ASKED, "--rounds", "2", "--budget", "1"])
        assert not Path("found/history.json").exists()
        search_prompt.main([*ASKED, "--rounds", "2", "--budget", "1"])
        history = read_json(Path("found/history.json"))
        assert asked[3] == asked[4]  # what was refused, and nothing that was answered
        assert len(asked) == 7
        assert len(scorings) == 6  # the first, and five of six: one was no text
        said = [body["messages"][0]["content"] for body in asked]

        # what was held out of a search was not shown in it
        questions = json.loads(Path("data/train.json").read_text("utf-8"))
        shown = [
            {one["id"].rsplit("-", 1)[0] for one in questions if talk(one) in text} for text in said
        ]
        assert all(shown)
        assert not (shown[0] | shown[1]) & (shown[2] | shown[4])

        # the same command makes nothing twice
        again = (Path("found/history.json").read_bytes(), len(scorings))
        search_prompt.main([*ASKED, "--rounds", "2", "--budget", "1"])
        assert (Path("found/history.json").read_bytes(), len(scorings)) == again
        assert len(asked) == 7

    # every accuracy is the scorer's own; the estimate is of each choice on what it has not seen
    right: dict[str, list[bool]] = {}
    for folder in scorings:
        rows, scored = read_rows(folder / "rows.jsonl"), read(folder / "predictions.jsonl")[0]
        name = str(rows[0].prompt).partition("@")[0]
        right[name] = [scored[row.record].choice == gold(row) for row in rows]
    asked_of = questions_of(load_run(Path("params.yaml"), "demo"), "train").questions
    folds = fold_numbers(asked_of, 2, 42, near_contexts(asked_of, Simhash()))
    searches, unseen = history["searches"], []
    assert [*searches] == ["0", "1", "all"]
    for fold, one in searches.items():
        for tried in one["tried"]:
            seen = [
                hit
                for hit, own in zip(right[tried["prompt"]], folds, strict=True)
                if str(own) != fold
            ]
            assert tried["accuracy"] == pytest.approx(fmean(seen), abs=1e-6)
        assert next(t for t in one["tried"] if t["prompt"] == one["best"])["accuracy"] == max(
            tried["accuracy"] for tried in one["tried"]
        )
        pairs = zip(right[one["best"]], folds, strict=True)
        unseen += [hit for hit, own in pairs if str(own) == fold]
    assert history["nested"]["accuracy"] == pytest.approx(fmean(unseen), abs=1e-6)
    assert history["nested"]["interval95"]
    assert history["flattered"] == max(tried["accuracy"] for tried in searches["all"]["tried"])
    assert Path(f"found/candidates/{searches['all']['best']}.jinja").read_text("utf-8") == (
        Path("found/prompt.jinja").read_text("utf-8")
    )
    load_prompt("found/prompt.jinja")


def talk(question: dict[str, Any]) -> str:
    """A dialogue's utterances as the prompt shows them."""
    turns = question["input"]["conversation"]
    return "\n".join(f"화자{turn['speaker']}: {turn['utterance']}" for turn in turns)


def test_a_track_without_outside_data_allows_no_rewriting(scorings: list[Path]) -> None:
    with teaching(lambda _: "") as server:
        teacher(server)
        with pytest.raises(UserError, match="track 가 allows no data besides the corpus"):
            search_prompt.main([*ASKED, "--run", "ga", "--rounds", "1"])
        assert (server.asked, scorings) == ([], [])
