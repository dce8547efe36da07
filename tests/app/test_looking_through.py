"""What the pages Data and Results find, in files that the real commands wrote."""

import json
import shutil
import time
from pathlib import Path

import pytest

from app import record_texts, row_table, set_results
from app.language import KOREAN, in_language
from app.pages import data_lists
from app.project import Project, open_project
from app.row_table import Filter
from core.errors import UserError
from core.jsonl import read_records
from core.records import Changed, Question, Removed, Row
from eval.options import gold

TEST = Path("data/demo/test.jsonl")
ENGLISH = in_language("en")


@pytest.fixture
def project(app_project: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(app_project)
    return open_project(Path())


@pytest.fixture
def copied(app_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project once more, to be spoilt."""
    shutil.copytree(app_project, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return open_project(Path())


def test_filters_leave_what_they_say(project: Project) -> None:
    rows = read_records(TEST, Row)
    found = row_table.read(TEST)
    assert found.table["id"].to_pylist() == [row.id for row in rows]
    assert found.values("category") == sorted({row.category for row in rows})
    lengths = found.table["length"].to_pylist()
    assert lengths == [sum(len(m.content) for m in row.messages) for row in rows]
    word = rows[0].options[0].split()[1]
    cases = [
        (Filter(category="원인"), lambda row: row.category == "원인"),
        (Filter(split="dev"), lambda row: False),
        (Filter(text=word), lambda row: word in row.messages[0].content),
        (Filter(text=rows[3].id), lambda row: row.id == rows[3].id),
        (Filter(shortest=350, longest=360), lambda row: 350 <= len(row.messages[0].content) <= 360),
    ]
    for wanted, keeps in cases:
        left = found.matching(wanted)["id"].to_pylist()
        assert left == [row.id for row in rows if keeps(row)]
    assert row_table.page(found.table, 99)[1:] == (1, 1)


@pytest.mark.parametrize(
    ("given", "found"), [("", (None, None)), ("20-30", (20, 30)), ("20-", (20, None))]
)
def test_a_range_of_characters_is_read(given: str, found: tuple) -> None:
    assert row_table.lengths(given) == found


@pytest.mark.parametrize("given", ["-", "a lot", "20", "1-2-3"])
def test_no_range_ends_in_a_sentence(given: str) -> None:
    with pytest.raises(UserError, match="is no range"):
        row_table.lengths(given)


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_there_in_seconds(tmp_path: Path) -> None:
    row = Row(
        id="ID",
        record="ID",
        source="many",
        split="train",
        group="g",
        category="원인",
        prompt="p@1",
        messages=[{"role": "user", "content": "가나다라마바사 " * 60}],
        labels=["A", "B"],
        order=[0, 1],
        answer="A",
    )
    line = json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n"
    path = tmp_path / "many.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(100_000):
            file.write(line.replace("ID", f"row-{number}"))
    begun = time.monotonic()
    found = row_table.read(path).matching(Filter(text="row-99999", source="many"))
    assert found["id"].to_pylist() == ["row-99999"]
    assert time.monotonic() - begun < 20  # 2 s where nothing else runs


def test_raw_and_cleaned_are_those_of_the_build(project: Project) -> None:
    changed = [one for one in record_texts.changed(project, "demo") if one.split == "test"]
    assert changed  # or nothing below is tested
    assert changed[0] in read_records(Path("data/demo/changed.jsonl"), Changed)
    key = (changed[0].source, "test", changed[0].id)
    raw, cleaned = record_texts.published(project, "demo", key)
    built = {one.id: one for one in read_records(Path("data/demo/questions.jsonl"), Question)}
    assert cleaned == built[key[2]]
    assert raw != cleaned
    page = data_lists.published(project, "demo", key, ENGLISH)
    assert "≠" in page or "×" in page
    assert "▶" in page


def test_what_was_left_out_stands_with_its_reason_and_cluster(project: Project) -> None:
    listed = read_records(Path("data/demo/removed.jsonl"), Removed)
    duplicates = [one for one in listed if one.reason in record_texts.DUPLICATES]
    assert duplicates
    assert dict(record_texts.reasons(record_texts.removed(project, "demo")))[
        duplicates[0].reason
    ] == sum(one.reason == duplicates[0].reason for one in listed)
    clusters = record_texts.clusters(project, "demo")
    assert sum(len(one.members) for one in clusters) == len([d for d in duplicates if d.near])
    assert [len(one.members) for one in clusters] == sorted(
        (len(one.members) for one in clusters), reverse=True
    )
    place = (clusters[0].source, clusters[0].members[0].split, clusters[0].kept)
    page = data_lists.cluster(project, "demo", place, ENGLISH)
    assert page.count("<tr") == len(clusters[0].members) + 2
    assert "said" not in page  # every text of the cluster was found


def test_a_record_whose_source_is_gone_ends_in_a_sentence(copied: Project) -> None:
    shutil.rmtree("data/demo-corpus")
    with pytest.raises(UserError, match="is not there"):
        record_texts.published(copied, "demo", ("cci-2024", "test", "any"))
    page = data_lists.published(copied, "demo", ("cci-2024", "test", "any"), ENGLISH)
    assert "is not there" in page


def test_the_table_and_the_lists_are_those_of_the_predictions(project: Project) -> None:
    found = set_results.read(project, "demo")
    rows = {row.record: row for row in read_records(TEST, Row)}
    assert sorted(found.names) == ["letters", "texts", "vote"]
    assert found.refused == []
    scores = {line.name: line.score for line in found.lines}
    assert all(
        line.interval.low <= line.score.accuracy <= line.interval.high for line in found.lines
    )
    a, b = found.place("letters"), found.place("texts")
    missed = found.listed("missed", "letters", "texts")
    assert len(missed) == scores["letters"].n - scores["letters"].correct
    assert all(one.answers[a].choice != gold(rows[one.row.record]) for one in missed)
    flips = found.listed("flips", "letters", "texts")
    assert {one.answers[a].right + one.answers[b].right for one in flips} == {1}
    differ = found.listed("differ", "letters", "texts")
    assert {one.row.record for one in flips} <= {one.row.record for one in differ}
    some = found.listed("most", "letters", "texts", "원인")
    assert {one.row.category for one in some} == {"원인"}
    wrong = [len(one.wrong) for one in found.listed("most", "letters", "texts")]
    assert wrong == sorted(wrong, reverse=True)
    assert "letters" in found.verdict("letters", "texts")
    assert found.model("letters") == "recipes/tiny/base"
    with pytest.raises(UserError, match="no run nobody"):
        found.listed("flips", "nobody", "texts")


def test_half_a_file_hides_no_other(copied: Project) -> None:
    path = Path("predictions/demo/texts.jsonl")
    path.write_bytes(path.read_bytes()[:-40])
    found = set_results.read(copied, "demo")
    assert sorted(found.names) == ["letters", "vote"]
    assert len(found.refused) == 1
    assert "texts.jsonl: its last line is cut off" in found.refused[0]
    Path("predictions/demo/letters.meta.json").unlink()
    Path("predictions/demo-vote/vote.jsonl").unlink()
    with pytest.raises(UserError, match="letters"):
        set_results.read(copied, "demo")
    shutil.rmtree("predictions")
    with pytest.raises(UserError, match="holds no predictions"):
        copied.sets()


def test_results_of_data_that_were_built_anew_are_refused(copied: Project) -> None:
    TEST.write_text(TEST.read_text("utf-8").replace("화자1", "철수"), "utf-8")
    with pytest.raises(UserError, match="made from an earlier"):
        set_results.read(copied, "demo")


def test_a_label_without_a_korean_word_is_a_mistake() -> None:
    assert in_language("en")("Ask") == "Ask"
    assert in_language("ko")("Ask") == KOREAN["Ask"] != "Ask"
    with pytest.raises(KeyError):
        in_language("ko")("Not there")
