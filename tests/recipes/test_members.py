"""Members: every one composes to a sound plain recipe, and says only what is its own."""

import csv
from math import ceil
from pathlib import Path

import pytest
import yaml
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.jsonl import write_json
from prep.assembly import build
from prep.config import load_run
from prep.corpus import moved
from prep.demo.synthetic import corpus as synthetic
from prep.demo.synthetic import unmarked
from recipes import compose as composing
from recipes.check import members, problems_of
from recipes.checks.schema import CAPABILITIES
from recipes.compose import compose, laid
from recipes.members.tables import Member, Members, before, load_members, load_methods, origin
from tests.support.paths import ROOT

MEMBERS = load_members()
SIZES = {
    "baseline": 1,
    "malbbungchi": 9,
    "nlp-13": 2,
    "pohanghang": 11,
    "nlp-06": 1,
    "tamago": 5,
    "best": 5,
    "stage1": 6,
    "demo": 4,
    "small": 2,
    "cci": 2,
}


def names(of: str) -> list[str]:
    return [name for name, member in MEMBERS.members.items() if member.set == of]


def changed(name: str, **fields: object) -> Members:
    """All members with one entry altered."""
    member = Member.model_validate({**MEMBERS.members[name].model_dump(), **fields})
    return MEMBERS.model_copy(update={"members": {**MEMBERS.members, name: member}})


def test_every_system_is_there():
    assert {of: len(names(of)) for of in SIZES} == SIZES
    assert sum(SIZES.values()) == len(MEMBERS.members)
    assert set(MEMBERS.sets) == SIZES.keys() - {"stage1"}


def test_every_composed_member_is_sound(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = members()
    assert len(made) == len(MEMBERS.members)
    found = [
        f"{path}: {problem}"
        for path, (recipe, text) in made.items()
        for problem in problems_of(
            path, recipe, [one for p, (one, _) in made.items() if p != path], text, live=False
        )
    ]
    assert found == []


def test_the_same_entry_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(composing, "OUTPUTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["compose.py", "malbbungchi-eeve", "--set", "best"])
    composing.main()
    written = {path: path.read_bytes() for path in tmp_path.rglob("*.yml")}
    assert len(written) == 6
    composing.main()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yml")} == written
    recipe = yaml.safe_load(written[tmp_path / "malbbungchi-eeve/recipe.yml"])
    assert recipe["datasets"][0]["path"] == "data/own-definition/stage2.jsonl"
    assert recipe["output_dir"] == f"./{tmp_path}/malbbungchi-eeve/trained"


def test_axolotl_takes_rates_as_numbers(monkeypatch):
    made = compose("pohanghang-01-polar-v02", MEMBERS)
    read = validate_config(
        DictDefault({k: v for k, v in yaml.safe_load(made.text).items() if k != "plugins"}),
        CAPABILITIES,
        {"torch_version": "2.11.0"},
    )
    assert read.learning_rate == 2e-4
    assert read.lora_target_modules[-1] == "lm_head"


def test_two_stages_change_nothing_of_the_hand_written_ones():
    for name, stage in (("cci-stage1", "stage1"), ("cci-stage2", "stage2")):
        plain = yaml.safe_load((ROOT / f"recipes/{stage}.yml").read_text("utf-8"))
        made = compose(name, MEMBERS).recipe
        assert {k for k in plain | made if plain.get(k) != made.get(k)} == set()


def test_adapters_learn_at_their_teams_rates_and_ours_at_the_usual_one():
    rates = {name: compose(name, MEMBERS).recipe["learning_rate"] for name in MEMBERS.members}
    first = {name: rate for name, rate in rates.items() if name.endswith("-stage1")}
    assert first.pop("demo-stage1") == 1e-3
    assert first.pop("small-stage1") == 2e-4
    assert first.pop("cci-stage1") == first.pop("best-gemma-stage1") == 2e-4
    assert set(first.values()) == {2e-5}
    assert {rate for name, rate in rates.items() if name.startswith("malbbungchi-")} == {2e-5}
    assert rates["nlp-06-qwen25-32b"] == 2e-5


@pytest.mark.parametrize("method", sorted(load_methods()))
def test_every_method_is_sound(method, monkeypatch):
    monkeypatch.chdir(ROOT)
    name = "malbbungchi-qwen2"
    fields = {"method": method, "patience": None, "changes": {}}
    made = compose(name, changed(name, **fields))
    assert list(problems_of(made.path, made.recipe, [], made.text, live=False)) == []


def test_a_set_asks_its_test_file_and_what_its_members_read():
    for name, one in MEMBERS.sets.items():
        runs = {member.rows for member in MEMBERS.of_set(name).values()}
        tests = {load_run(ROOT / "params.yaml", run).corpus.test for run in runs}
        rows = f"data/{one.rows}/test.jsonl"  # where a task has no form of its own
        assert one.test == rows or {one.test} == tests
        split = "test" if Path(one.known).name == name else "dev"
        assert MEMBERS.data(name) == Path("data", one.rows, f"{split}.jsonl")
        assert one.rows in runs
        assert Path(one.known) == Path("predictions", name if split == "test" else f"{name}-dev")


def test_a_vote_names_its_members():
    assert [path.stem for path in MEMBERS.voters("demo")] == [
        "demo-seed1",
        "demo-seed2",
        "demo-seed3",
    ]
    assert MEMBERS.compared("demo")[0] == Path("predictions/demo/demo-stage1.jsonl")
    assert MEMBERS.compared("demo")[-1] == Path("predictions/demo-vote/vote.jsonl")
    assert MEMBERS.compared("cci") == [
        Path(f"predictions/cci-dev/cci-stage{n}.jsonl") for n in (1, 2)
    ]
    with pytest.raises(UserError, match="no set pohang; the nearest known name is pohanghang"):
        MEMBERS.voters("pohang")
    alone = MEMBERS.model_copy(update={"members": {}})
    with pytest.raises(UserError, match="no member votes in set demo"):
        alone.voters("demo")


def test_every_run_of_members_makes_the_rows_they_read(tmp_path):
    for split, count in (("train", 12), ("dev", 4), ("test", 4)):
        items = unmarked(synthetic(split, count, 7))
        write_json(tmp_path / f"대화맥락추론_{split}.json", items)
    with (tmp_path / "train.csv").open("w", encoding="utf-8") as file:
        cells = csv.writer(file)
        cells.writerow(["id", "paragraph", "problems", "question_plus"])
        for number in range(20):
            passage = f"{number}번 마을에는 {number + 3}월마다 장이 섰다."
            problem = {"question": "맞는 것은?", "choices": ["가", "나", "다", "라"], "answer": 2}
            cells.writerow([f"e-{number}", passage, problem, ""])
    for name in {member.rows for member in MEMBERS.members.values()} - {"demo", "small"}:
        run = moved(load_run(ROOT / "params.yaml", name), tmp_path)
        made = build(name, run, ["stage2"]).files
        for file in ("stage2.jsonl", "dev-loss.jsonl"):
            assert {row.prompt.partition("@")[0] for row in made[file]} == {run.prompt}, name
        assert ("preferences.jsonl" in made) == (name == "own-definition")


def test_a_set_is_mixed_where_its_members_were_asked_differently():
    for name, one in MEMBERS.sets.items():
        asked = {MEMBERS.members[path.stem].rows for path in MEMBERS.voters(name)}
        assert one.mixed == (len(asked) > 1), name


def test_a_submission_has_the_format_of_its_test_file(tmp_path):
    path = tmp_path / "members.yml"
    path.write_text("members: {}\nsets: {a: {test: x.csv, format: json, known: p, rows: r}}\n")
    with pytest.raises(UserError, match=r"format is json, but a submission has that of x\.csv"):
        load_members(path)


def test_training_stops_early_by_accuracy_after_whole_epochs():
    for name, member in MEMBERS.members.items():
        if member.set == "demo":  # which counts steps
            continue
        recipe = compose(name, MEMBERS).recipe
        assert recipe.get("early_stopping_patience") == member.patience
        if member.patience is None:
            assert "eval_steps" not in recipe
            continue
        assert recipe["metric_for_best_model"] == "eval_accuracy"
        assert recipe["load_best_model_at_end"]
        assert recipe["save_steps"] == recipe["eval_steps"]
        assert not recipe.keys() & {"save_strategy", "eval_strategy"}
        for steps in (10, 758):  # of an epoch: transformers rounds a share of all steps up
            epochs = recipe["num_epochs"]
            assert ceil(recipe["eval_steps"] * epochs * steps) == steps
    stopping = {member.set for member in MEMBERS.members.values() if member.patience}
    assert stopping == {"malbbungchi", "nlp-06"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "qlorra"}, "no method qlorra; the nearest known name is qlora"),
        ({"model": "Qwen/Qwen2-7"}, "the nearest known name is Qwen/Qwen2-7B"),
        ({"model": None}, "names no model of recipes/members/backbones/qwen2.yml"),
        ({"rows": "question"}, "no run 'question'; choose one of"),
        (
            {"file": "stage3"},
            "run own-definition: makes no stage3.jsonl, which malbbungchi-qwen2 needs",
        ),
        ({"rows": "refined", "method": "orpo"}, "run refined: makes no preferences.jsonl"),
        ({"base": "outputs/nobody/model"}, "is no member's model"),
        ({"base": "outputs/malbbungchi-qwen2/model"}, "starts from itself"),
        ({"changes": {"num_epochs": 1}}, "patience needs two epochs or more"),
        ({"method": "orpo"}, "a method that keeps the best of them; take patience out"),
        ({"model": "Qwen/Qwen2.5-32B-Instruct"}, "published 2024-09-19, after 2024-07-01"),
    ],
)
def test_a_wrong_entry_is_one_sentence(fields, said):
    with pytest.raises(UserError, match=said):
        compose("malbbungchi-qwen2", changed("malbbungchi-qwen2", **fields))


def test_what_a_person_must_look_up_stands_in_the_header():
    made = compose("malbbungchi-qwen2-spow12", MEMBERS)
    assert [note.partition(": ")[2][:24] for note in made.notes] == [
        "publication date unknown",
        "licence CC-BY-NC-4.0 for",
        "no revision; pin it, or ",
    ]
    assert all(f"# Look up   {note}" in made.text for note in made.notes)
    assert compose("best-gemma-stage1", MEMBERS).notes == []


def test_unknown_fields_and_names_are_refused(tmp_path):
    path = tmp_path / "members.yml"
    path.write_text("members: {a: {set: s, rows: r, base: b, method: m, metod: x}}\nsets: {}\n")
    with pytest.raises(UserError, match=r"members\.yml: field members\.a\.metod"):
        load_members(path)
    with pytest.raises(UserError, match="the nearest known name is best-polar"):
        compose("best-pola", MEMBERS)


def test_an_unknown_set_is_not_left_out_beside_a_member(monkeypatch, tmp_path):
    monkeypatch.setattr(composing, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr("sys.argv", ["compose.py", "demo-stage1", "--set", "nope"])
    with pytest.raises(UserError, match="no set nope; the sets are demo, small, cci"):
        composing.main()
    assert not (tmp_path / "outputs").exists()


KEYS = st.dictionaries(st.sampled_from("abcdef"), st.none() | st.integers())


@given(KEYS, KEYS)
def test_a_layer_holds_whatever_lies_under_it(over, under):
    whole_ = laid(over, under)
    assert laid(over, whole_) == whole_
    for key in over.keys() | under.keys():
        assert whole_.get(key) == over.get(key, under.get(key))
    assert None not in whole_.values()


def test_chains_are_followed_to_their_backbone():
    assert before(MEMBERS, "best-gemma-seed1") == "best-gemma-stage1"
    assert before(MEMBERS, "best-gemma-stage1") is None
    assert origin(MEMBERS, "best-gemma-seed1").name == "google/gemma-2-9b-it"
