"""An experiment is read in full before anything runs: what it resolves to, and what it refuses."""

import copy
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from experiments import inputs
from experiments.ablate import prepare
from experiments.experiment import ACCURACY, BROUGHT, EVALUATION, load
from experiments.jobs import build
from experiments.pieces import alone, train_piece
from tests.support.experiment_place import RUN, SMALL, make_place, save
from tests.support.paths import ROOT

CHANGE = {"recipe": {"seed": 2}}
TAUGHT = {"teacher_letters": "letters.jsonl", "teacher_weight": 0.5}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_place(tmp_path)
    monkeypatch.chdir(made)
    return made


def refused(place: Path, **changes: Any) -> str:
    path = save(place, **changes)
    with pytest.raises(UserError) as said:
        load(path)
    assert not (place / "outputs").exists()
    assert "\n" not in str(said.value)
    return str(said.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"receipe": {"seed": 2}}, "field changes.x.receipe: Extra inputs are not permitted"),
        ({"run": {"promt": "task"}}, "x: run has no key promt to change; did you mean prompt?"),
        ({"run": {"seed": 1}}, "x: run has no key seed to change"),
        ({"run": {"prompt": "tusk"}}, "tusk.jinja: no such prompt"),
        ({"run": {"orders": 5}}, "small.yml, x: field orders"),
        ({"run": {"clean": "soap"}}, "small.yml, x: field clean"),
        ({"run": {"stages": {"stage2": [{"source": "alpaca", "name": "a", "path": "data/a"}]}}},
         "x: no stage takes the corpus's own questions, so there are no folds"),
        ({"scoring": {"methode": "option"}}, "did you mean method?"),
        ({"scoring": {"method": "options"}}, "x: scoring: argument --method: invalid choice"),
        ({"scoring": {"normalise": "bytes"}}, "--normalise needs --method option, not letter"),
        ({"recipe": {"test_datasets": []}}, "x: test_datasets is the experiment's own"),
        ({"recipe": {"learning_rate": 1.0e-3}}, "small.yml, x: equals the base"),
        ({"recipe": {"eval_steps": 70}}, "x: eval_steps is the experiment's own"),
        ({"run": {"track": "ga"}, "recipe": TAUGHT}, "x: track 가 allows no teacher"),
        ({}, "small.yml, x: equals the base"),
        ({"stage1": False}, "small.yml, x: equals the base"),
    ],
)  # fmt: skip
def test_a_change_that_is_none_is_refused(place: Path, change: dict, said: str) -> None:
    assert said in refused(place, changes={"x": change})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": "demo-sede1"}, "small.yml: base demo-sede1 is no member of recipes/members/"),
        ({"base": "recipes/nothing.yml"}, "recipes/nothing.yml: no such file"),
        ({"rows": "demmo"}, "params.yaml: no run 'demmo'"),
        ({"folds": 1}, "small.yml: field folds"),
        ({"seeds": [1, 1]}, "a seed is named twice"),
        ({"seeds": [1, 2]}, "another-seed: seed is varied by seeds already"),
        ({"changes": {}}, "small.yml: field changes"),
        ({"changes": {"base": CHANGE}}, "no change can be called base"),
        ({"base": "recipes/tiny/orpo.yml", "rows": "demo"}, "makes no preferences.jsonl"),
    ],
)
def test_an_experiment_that_is_none_is_refused(place: Path, changes: dict, said: str) -> None:
    assert said in refused(place, **changes)


def test_two_changes_of_one_name_are_refused(place: Path) -> None:
    path = place / "twice.yml"
    path.write_text("base: demo-seed1\nchanges:\n  x: {stage1: false}\n  x: {run: {orders: 3}}\n")
    with pytest.raises(UserError, match=r"twice.yml, line 4: key x is there twice"):
        load(path)


HUB = {"source": "kobest", "hub": "a/b", "revision": "0" * 40, "train": "test"}


@pytest.mark.parametrize("corpus", [{"train": "data/train.json", "test": "data/train.json"}, HUB])
def test_no_fold_is_made_of_a_scored_test_set(place: Path, corpus: dict) -> None:
    stages = {**RUN["stages"], "stage2": [{"source": corpus.get("source", "cci-2024")}]}
    run = {**RUN, "corpus": corpus, "stages": stages}
    (place / "params.yaml").write_text(yaml.safe_dump({"runs": {"demo": run}}))
    assert "corpus.train is a scored test set, whose labels are never used" in refused(place)


def test_fewer_dialogues_than_folds_are_said_by_the_build(place: Path) -> None:
    loaded = load(save(place, folds=13))
    with alone() as lock, pytest.raises(UserError) as said:
        build(loaded.variants["base"]).make("small.yml, base", lock)
    assert str(said.value).startswith("small.yml, base: 13 folds of 12 dialogues or passages;")


def test_a_second_command_waits_for_the_first(place: Path) -> None:
    with alone(), pytest.raises(UserError, match="still at work there"), alone():
        pass


def test_variants_are_what_they_say(place: Path) -> None:
    changes = {
        "all": {"run": {"orders": 6}},
        "shared": {"recipe": {"shared_prefix": True, "sample_packing": False}},
        "taught": {"recipe": TAUGHT | {"shared_prefix": True}},
        "rank": {"stage1": {"lora_r": 4}},
        "rotated": {"scoring": {"permutations": "cyclic"}},
    }
    common = copy.deepcopy(SMALL["common"])
    del common["stage1"]
    made = load(save(place, changes=changes, common=common)).variants
    base = made["base"]
    assert base.run.folds == 2
    assert base.run.test_answers == "drop"
    assert [link.file for link in base.links] == ["stage1", "stage2"]
    assert base.links[1].recipe["max_steps"] == 2
    for one in made.values():
        for link in one.links:
            assert not {*EVALUATION} & link.recipe.keys()
            assert ACCURACY not in link.recipe["plugins"]
    assert made["all"].run.orders == "all"
    assert BROUGHT["shared_prefix"] in made["shared"].links[1].recipe["plugins"]
    assert made["taught"].links[1].recipe["plugins"][-2:] == [*BROUGHT.values()]
    assert [one.recipe["lora_r"] for one in made["rank"].links[:1]] == [4]
    assert made["rank"].links[1] == base.links[1]
    assert made["rotated"].run.scoring_orders == "cyclic"
    assert made["rotated"].links == base.links
    off = load(save(place, changes={"off": {"stage1": False}}, common=common)).variants["off"]
    assert [link.file for link in off.links] == ["stage2"]
    assert off.links[0].recipe["base_model"] == "./recipes/tiny/base"


def test_other_letters_of_a_teacher_are_another_training(place: Path) -> None:
    loaded = load(save(place, changes={"x": {"recipe": TAUGHT}}))
    with pytest.raises(UserError, match=r"x: letters\.jsonl: no such file; make it by prep/teach"):
        prepare(loaded, ["base", "x"], lock=-1)  # before anything is made
    taught = loaded.variants["x"].links[-1].recipe
    folders = []
    for text in ("1", "2", "1"):
        Path("letters.jsonl").write_text(text)
        folders.append(train_piece(taught, "{}\n", None, "", 0.0).folder)
    assert folders[0] == folders[2] != folders[1]


def test_whatever_a_run_reads_makes_other_rows(place: Path) -> None:
    """Files by pattern, in folders, named by Hangul composed otherwise, and what is no corpus."""
    read = {
        "data/task/train.json": (place / "data/train.json").read_text("utf-8"),
        unicodedata.normalize("NFD", "data/말.jsonl"): '{"messages": []}',
        "data/many/a.jsonl": '{"messages": []}',
        "data/many/b.jsonl": '{"messages": []}',
        "data/known/deep/one.md": "물시계",
        "data/model/model.safetensors": "weights",
        "data/model/config.json": "{}",
        "data/model/1_Pooling/config.json": "{}",
        "data/tokens/tokenizer.json": "{}",
        "data/own.jinja": "{{ question }}",
        "data/long.yml": "sequence_len: 512",
    }
    for name, text in read.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, "utf-8")
    talk = {"source": "messages", "name": "talk", "path": "data/말.jsonl"}
    mixed = [{"source": "cci-2024"}, talk | {"prompt": "data/own.jinja"}]
    mixed += [
        {"source": "messages", "name": name, "path": "data/many", "member": f"{name}.jsonl"}
        for name in "ab"
    ]
    run = RUN | {
        "corpus": {"train": "data/*/train.json"},
        "lengths": {"recipes": {"stage2": "data/long.yml"}, "tokenizer": "data/tokens"},
        "retrieve": {"documents": ["data/known"], "rerank": {"model": "data/model"}},
        "stages": {**RUN["stages"], "stage2": mixed},
    }
    (place / "params.yaml").write_text(yaml.safe_dump({"runs": {"demo": run}}), "utf-8")

    def rows() -> Path:
        inputs._read.cache_clear()
        return build(load(save(place)).variants["base"]).folder

    folders = {rows()}
    for name, text in read.items():
        (place / name).write_text(text + " ", "utf-8")
        folders.add(rows())
    assert len(folders) == 1 + len(read)


def test_evidence_is_a_change(place: Path) -> None:
    (place / "data/known.txt").write_text("물시계", "utf-8")
    shown = {"retrieve": {"documents": ["data/known.txt"], "k": 1}, "prompt": "exam-evidence"}
    made = load(save(place, changes={"evidence": {"run": shown}})).variants
    assert made["base"].run.retrieve is None
    assert made["evidence"].run.retrieve is not None
    assert build(made["evidence"]).folder != build(made["base"]).folder


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yml")), ids=lambda p: p.name)
def test_the_experiments_that_are_shipped_are_sound(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    loaded = load(path.relative_to(ROOT))
    assert len(loaded.variants) > 1
