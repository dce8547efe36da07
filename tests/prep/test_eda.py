"""prep/eda.py from a corpus to its page: what it draws, the same bytes, what it refuses."""

import json
import os
import random
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.errors import UserError
from core.jsonl import write_json
from core.records import CATEGORIES, Question
from prep import corpus
from prep.cleaning import PRESETS
from prep.config import load_run
from prep.demo.synthetic import corpus as synthetic
from prep.demo.synthetic import unmarked
from prep.eda import draw, write
from prep.plots.charts import charts
from prep.plots.counts import Facts, word_counts
from tests.support.paths import ROOT
from tests.support.plot_questions import asked

SPLITS = {"train": 10, "dev": 5, "test": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("raw")
    for split, dialogues in SPLITS.items():
        write_json(place / f"{split}.json", unmarked(synthetic(split, dialogues, 7)))
    return place


@pytest.fixture(scope="module")
def questions(folder) -> list[Question]:
    run = corpus.moved(load_run(ROOT / "params.yaml", "demo"), folder)
    parts = [corpus.questions_of(run, split) for split in SPLITS]
    return [question for part in parts for question in part.questions]


@pytest.fixture(scope="module")
def shorter(questions) -> list[Question]:
    """As cleaning leaves them: some turns gone, all else the same."""
    return [
        q.model_copy(update={"turns": [t for t in q.turns if len(t.text) > 9 or t.id in q.focus]})
        for q in questions
    ]


def test_categories_and_answers_hold_every_question(questions, shorter) -> None:
    facts = Facts.of({"raw": questions, "cleaned": shorter})
    by_name = {chart.name: chart for chart in charts(facts, {})}
    categories = by_name["categories"].panels["train", "raw"]
    assert list(categories.index) == list(CATEGORIES)
    assert categories.sum() == 2 * SPLITS["train"]
    answers = by_name["answers"].panels["dev", "cleaned"]
    expected = [sum(q.answer == k for q in questions if q.split == "dev") for k in range(3)]
    assert answers.tolist() == expected
    table = by_name["answers-by-category"].panels["dev", "raw"]
    assert table.sum().tolist() == expected
    assert table.sum(axis=1).tolist() == [2, 2, 2, 2, 2]


def test_raw_and_cleaned_stand_side_by_side_only_where_they_differ(questions, shorter) -> None:
    facts = Facts.of({"raw": questions, "cleaned": shorter})
    by_name = {chart.name: chart for chart in charts(facts, {})}
    once = [(split, version) for split, version, _ in by_name["categories"].rows[0]]
    assert once == [("train", ""), ("dev", ""), ("test", "")]
    both = [[(split, version) for split, version, _ in row] for row in by_name["turns"].rows]
    assert both == [[(split, "raw"), (split, "cleaned")] for split in SPLITS]


def test_no_glyph_is_missing_in_any_chart(questions, shorter) -> None:
    versions = {"raw": questions[::5], "cleaned": shorter[::5]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for chart in charts(Facts.of(versions), word_counts(versions)):
            chart.png()


def test_the_order_of_the_questions_does_not_matter(questions, shorter) -> None:
    few = [k for k, question in enumerate(questions) if question.split == "dev"]
    mixed = random.Random(1).sample(few, len(few))
    one, other = (
        draw("말", [], [questions[k] for k in places], [shorter[k] for k in places])
        for places in (few, mixed)
    )
    assert one == other


class Links(HTMLParser):
    """The addresses that a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def eda(
    folder: Path, out: Path, *more: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    arguments = ("--run", "demo", "--corpus", str(folder), "--out", str(out), *more)
    return subprocess.run(
        [sys.executable, "prep/eda.py", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_two_runs_write_the_same_self_contained_page(folder, tmp_path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for split in ("train", "dev"):
        (few / f"{split}.json").write_bytes((folder / f"{split}.json").read_bytes())
    first = eda(few, tmp_path / "one", PYTHONHASHSEED="1")
    assert first.returncode == 0, first.stderr
    second = eda(few, tmp_path / "two", PYTHONHASHSEED="2")
    assert second.returncode == 0, second.stderr
    files = {file.name: file.read_bytes() for file in (tmp_path / "one").iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "two").iterdir()}

    text = files["index.html"].decode()
    page = Links()
    page.feed(text)
    assert all(link.startswith("#") for link in page.links)
    assert "://" not in text
    assert text.count("url(") == text.count("url(data:")
    drawn = {name.removesuffix(".png") for name in files if name.endswith(".png")}
    assert drawn == {link.removeprefix("#") for link in page.links} - {"cloud"}
    assert len(drawn) >= 8
    figures = json.loads(files["figures.json"])
    assert {(line["split"], line["file"]) for line in figures["inputs"]} == {
        (split, f"{split}.json") for split in ("train", "dev")
    }
    raw = [line for line in figures["overview"] if line["version"] == "raw"]
    assert {line["split"]: (line["questions"], line["groups"]) for line in raw} == {
        split: (2 * SPLITS[split], SPLITS[split]) for split in ("train", "dev")
    }


def test_the_page_shows_names_as_they_are() -> None:
    inputs = [{"split": "train", "file": "<b>&.json", "sha256": "0"}]
    page = draw("<i>가", inputs, [asked("가", "우산을 샀어요")])["index.html"].decode()
    assert "&lt;i&gt;가" in page
    assert "<b>" not in page


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_split_may_be_absent(folder, split, tmp_path) -> None:
    for name in set(SPLITS) - {split}:
        (tmp_path / f"{name}.json").write_bytes((folder / f"{name}.json").read_bytes())
    run = corpus.moved(load_run(ROOT / "params.yaml", "demo"), tmp_path)
    read = {name: corpus.questions_of(run, name) for name in SPLITS}
    assert [name for name in SPLITS if read[name] is None] == [split]
    assert {q.split for name in set(SPLITS) - {split} for q in read[name].questions} == set(
        SPLITS
    ) - {split}


def test_answers_of_a_test_file_are_left_out_where_the_run_says_so(folder) -> None:
    run = corpus.moved(load_run(ROOT / "params.yaml", "demo"), folder)
    dropped = run.model_copy(update={"test_answers": "drop"})
    answers = {
        split: {q.answer for q in corpus.questions_of(dropped, split).questions} for split in SPLITS
    }
    assert answers["test"] == {None}
    assert answers["dev"] <= {0, 1, 2}


def test_wrong_arguments_end_with_one_sentence_and_no_file(folder, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = eda(empty, tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such file" in done.stderr
    assert "--corpus" in done.stderr
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="none: no such folder"):
        corpus.moved(load_run(ROOT / "params.yaml", "demo"), tmp_path / "none")


def test_a_folder_that_cannot_be_written_is_said(tmp_path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="out: cannot be written"):
        write({"index.html": b"page"}, tmp_path / "out")
    (tmp_path / "there/index.html").mkdir(parents=True)
    with pytest.raises(UserError, match="there: cannot be written"):
        write({"index.html": b"page"}, tmp_path / "there")
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["index.html"]


def test_cleaning_presets_are_those_there_are(folder) -> None:
    run = corpus.moved(load_run(ROOT / "params.yaml", "demo"), folder)
    assert corpus.rules(run, "maerak") == PRESETS["maerak"]
    assert corpus.rules(run, None) == ()
    with pytest.raises(UserError, match="nearest known name"):
        corpus.rules(run, "none such")
