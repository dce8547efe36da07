"""What a build says: why nothing is left, where a missing file is had, whose data it is."""

import json
import shlex
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from core.jsonl import read_records
from core.records import Removed
from tests.support.build_place import Place, dump
from tests.support.paths import ROOT

FIXTURES = ROOT / "tests/fixtures/sources"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_mix_without_rows_names_what_was_looked_for_and_why_it_went(place: Place) -> None:
    pair = [{"from": "human", "value": "안녕?"}, {"from": "gpt", "value": ""}]
    talks = [{"conversations": pair}, {"conversations": pair[:1]}, {"conversations": pair[:1]}]
    dump(place.folder / "external/talks.json", talks)
    talk = {"source": "messages", "name": "talks", "path": "external/talks.json"}
    said = place.build(code=2, stages={"s": [talk]})
    assert (
        "stage s has no rows: talks (3 read, 0 kept): 2 bad-roles (user and assistant do not take "
        "turns, the assistant last), 1 empty (a text it needs is empty); name sources"
    ) in said


def test_a_corpus_of_which_nothing_can_be_asked_says_why(place: Place) -> None:
    six = {"id": "a", "question": "?", "choices": [*"가나다라마바"], "answer": "가"}
    unknown = {"id": "b", "question": "?", "choices": [*"가나"], "answer": "다"}
    dump(place.folder / "corpus/train.json", [six, {**six, "id": "c"}, unknown])
    corpus = {"source": "click", "train": "corpus/train.json"}
    for part in ({}, {"dev_share": 0.3}):
        said = place.build(
            code=2, corpus={**corpus, **part}, prompt="exam", stages={"s": [{"source": "click"}]}
        )
        assert "corpus/train.json: none of its 3 records can be asked: 2 bad-options (" in said
        assert "fewer than 2 or more than 5), 1 no-answer (" in said
    assert not place.out.exists()


def test_a_missing_file_is_to_be_had_where_its_kind_is_from(place: Place) -> None:
    corpus, exam = {"source": "exam", "train": "corpus/none.csv"}, {"s": [{"source": "exam"}]}
    said = place.build(code=2, corpus=corpus, stages=exam)
    assert "no such file: corpus/none.csv; get 수능형 문제 풀이 (boostcamp" in said
    assert "kli.korean.go.kr" not in said
    said = place.build("--corpus", "none", code=2, corpus=corpus, stages=exam)
    assert "none: no such folder; get 수능형 문제 풀이" in said
    kmmlu = {"source": "kmmlu", "path": "external/none.csv"}
    said = place.build(code=2, stages={"s": [kmmlu]})
    assert said.endswith("external/none.csv; fetch kmmlu or choose other --stages\n")
    demo = {"train": "data/demo-corpus/train.json"}
    said = place.build(code=2, corpus=demo, stages={"s": [{"source": "cci-2024"}]})
    assert said.endswith("train.json; make the demo's by `python prep/demo/synthetic.py`\n")


def test_files_are_found_however_their_hangul_is_composed(place: Place) -> None:
    names = {split: f"corpus/말뭉치_{split}.json" for split in ("train", "dev", "test")}
    place.build()
    first = place.files()
    for split, name in names.items():
        decomposed = unicodedata.normalize("NFD", name)
        (place.folder / f"corpus/{split}.json").rename(place.folder / decomposed)
    printed = place.build(corpus=names)
    assert "no dev file" not in printed
    for name in ("dev.jsonl", "test.jsonl", "stage2.jsonl"):
        assert place.files()[name] == first[name]
    inputs = json.loads((place.out / "build.json").read_text(encoding="utf-8"))["inputs"]
    assert inputs["cci-2024/dev"]["file"] == "말뭉치_dev.json"


def test_one_bad_chat_does_not_stop_a_build(place: Place) -> None:
    pairs = json.loads((place.folder / "external/pairs.json").read_text(encoding="utf-8"))
    dump(place.folder / "external/pairs.json", [*pairs, {"instruction": "말?"}])
    printed = " ".join(place.build().split())
    assert (
        "note: pairs: 1 records removed as malformed; external/pairs.json, item number" in printed
    )
    removed = read_records(place.out / "removed.jsonl", Removed)
    assert ("pairs-000005", "malformed") in [(r.id, r.reason) for r in removed]


def test_the_card_states_whose_data_it_is(place: Place) -> None:
    (place.folder / "external/tables").mkdir()
    shutil.copy(FIXTURES / "exam.csv", place.folder / "external/tables/a.csv")
    own = {"source": "exam", "name": "own", "path": "external/tables", "prompt": "exam"}
    stated = {"source": "kmmlu", "path": str(FIXTURES / "kmmlu.csv"), "prompt": "exam"}
    stated |= {"origin": "our own", "licence": "CC0"}
    corpus = {**place.run["corpus"], "origin": "made up"}
    stages = {"s": [{"source": "cci-2024"}, own, stated]}
    place.build(corpus=corpus, stages=stages, inputs="/")
    card = (place.out / "README.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in card.split("\n") if line.startswith("| ")]
    lines = {row[0][2:]: row for row in rows if len(row) == 8}
    assert lines["own/train"][1] == "not stated"
    assert lines["own/train"][2].startswith("수능형 문제 풀이 (boostcamp AI Tech")
    kmmlu = lines["kmmlu/train"]
    assert (kmmlu[1], kmmlu[3], kmmlu[4]) == ("our own", "CC0", "not stated")
    assert {lines[f"cci-2024/{split}"][1] for split in ("train", "dev", "test")} == {"made up"}


def test_the_command_of_the_card_builds_the_same(place: Place) -> None:
    place.build()
    folder = place.folder / "a b"
    folder.mkdir()
    for name in ("corpus", "params.yaml"):
        shutil.move(place.folder / name, folder / name)
    command = [sys.executable, str(ROOT / "prep/build.py")]
    where = ["--params", "a b/params.yaml", "--corpus", "a b/corpus", "--out", "other"]
    subprocess.run([*command, *where], cwd=place.folder, check=True, capture_output=True)
    out = place.folder / "other"
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    card = first["README.md"].decode()
    [line] = [line.strip() for line in card.split("\n") if "prep/build.py" in line]
    words = shlex.split(line)
    assert words[:2] == ["python", "prep/build.py"]
    assert str(place.folder) not in card
    subprocess.run([*command, *words[2:]], cwd=place.folder, check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
