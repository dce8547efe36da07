"""The matrix: every member composes to a sound plain recipe, and says only what is its own."""

import csv
import os
import subprocess
from itertools import pairwise
from math import ceil

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
from recipes import export
from recipes.check import members, problems_of
from recipes.checks.schema import CAPABILITIES
from recipes.compose import compose, laid
from recipes.members.tables import Matrix, Member, before, load_matrix, load_methods, origin
from tests.support.paths import DVC, ROOT

MATRIX = load_matrix()
SIZES = {
    "baseline": 1,
    "malbbungchi": 9,
    "nlp-13": 2,
    "pohanghang": 11,
    "nlp-06": 1,
    "tamago": 5,
    "best": 5,
    "stage1": 6,
}
# backbone, method, learning rate, prompt and cleaning of the eleven, as their report's table has
# them; the ninth as its script has it
ELEVEN = """
    x2bee/POLAR-14B-v0.2 qlora 2e-4 official-term none
    x2bee/POLAR-14B-v0.5 qlora 2e-4 guided pohanghang
    beomi/Solar-Ko-Recovery-11B lora 1e-4 instruction none
    chihoonlee10/T3Q-ko-solar-dpo-v7.0 lora 2e-4 instruction none
    x2bee/POLAR-14B-v0.5 qlora 1e-4 instruction none
    x2bee/POLAR-14B-v0.5 qlora 2e-4 definition none
    beomi/Solar-Ko-Recovery-11B lora 1e-4 guided none
    beomi/Solar-Ko-Recovery-11B lora 1e-4 reference none
    beomi/Solar-Ko-Recovery-11B qlora 2e-4 reference pohanghang
    beomi/Solar-Ko-Recovery-11B lora 2e-4 reference none
    beomi/Solar-Ko-Recovery-11B lora 1e-4 definition none
"""
EPOCHS = {
    "bllossom": 15,
    "polar": 18,
    "ko-gemma": 23,
    "solar-ko": 11,
    "eeve": 14,
    "qwen2": 6,
    "qwen2-instruct": 8,
    "qwen2-spow12": 5,
    "qwen2-orpo": 40,
}


def names(of: str) -> list[str]:
    return [name for name, member in MATRIX.matrix.items() if member.set == of]


def changed(name: str, **fields: object) -> Matrix:
    """The matrix with one entry altered."""
    member = Member.model_validate({**MATRIX.matrix[name].model_dump(), **fields})
    return MATRIX.model_copy(update={"matrix": {**MATRIX.matrix, name: member}})


def test_every_system_is_there():
    assert {of: len(names(of)) for of in SIZES} == SIZES
    assert sum(SIZES.values()) == len(MATRIX.matrix)
    assert set(MATRIX.sets) == SIZES.keys() - {"stage1"}


def test_every_composed_member_is_sound(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = members()
    assert len(made) == len(MATRIX.matrix)
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
    made = compose("pohanghang-01-polar-v02", MATRIX)
    read = validate_config(
        DictDefault({k: v for k, v in yaml.safe_load(made.text).items() if k != "plugins"}),
        CAPABILITIES,
        {"torch_version": "2.11.0"},
    )
    assert read.learning_rate == 2e-4
    assert read.lora_target_modules[-1] == "lm_head"


def test_pohanghang_has_its_eleven():
    found = []
    for name in names("pohanghang"):
        made = compose(name, MATRIX)
        rate = f"{made.recipe['learning_rate']:.0e}".replace("e-0", "e-")
        asked = f"{made.run.prompt} {made.run.clean}"
        found.append(f"    {made.origin.name} {made.member.method} {rate} {asked}")
        assert made.recipe["gradient_accumulation_steps"] == 64
        assert made.recipe.get("load_in_4bit", False) == (made.member.method == "qlora")
    assert found == ELEVEN.strip("\n").split("\n")[:11]


def test_malbbungchi_has_its_epochs():
    found = {
        name.removeprefix("malbbungchi-"): compose(name, MATRIX).recipe["num_epochs"]
        for name in names("malbbungchi")
    }
    assert found == EPOCHS


def test_siblings_differ_only_where_they_mean_to():
    one, other = (compose(f"pohanghang-{n}-polar-v05", MATRIX).recipe for n in ("05", "06"))
    assert {key for key in one | other if one.get(key) != other.get(key)} == {
        "datasets",
        "learning_rate",
        "output_dir",
        "test_datasets",
    }
    for first, second in pairwise(names("pohanghang")):
        orders = [list(compose(name, MATRIX).recipe) for name in (first, second)]
        shared = [key for key in orders[0] if key in orders[1]]
        assert shared == [key for key in orders[1] if key in orders[0]]


def test_stage_2_goes_on_where_stage_1_ends():
    stage1 = compose("tamago-gemma-stage1", MATRIX).recipe
    stage2 = compose("tamago-gemma", MATRIX).recipe
    assert stage2["base_model"] == "./outputs/members/tamago-gemma-stage1/model"
    assert stage1["base_model"] == "google/gemma-2-9b-it"
    assert len(stage1["revision_of_model"]) == 40
    assert "revision_of_model" not in stage2
    for recipe, file in ((stage1, "stage1"), (stage2, "stage2")):
        assert recipe["datasets"][0]["path"] == f"data/letters/{file}.jsonl"
        assert (recipe["chat_template"], recipe["eot_tokens"]) == ("alpaca", ["<eos>"])


def test_two_stages_change_nothing_of_the_hand_written_ones():
    places = {"base_model", "datasets", "test_datasets", "output_dir", "revision_of_model"}
    rates = {"tamago-gemma-stage1": {"learning_rate"}}  # the recipe's is ours
    for name, stage in (("tamago-gemma-stage1", "stage1"), ("tamago-gemma", "stage2")):
        plain = yaml.safe_load((ROOT / f"recipes/{stage}.yml").read_text("utf-8"))
        made = compose(name, MATRIX).recipe
        differing = {k for k in plain | made if plain.get(k) != made.get(k)}
        assert differing <= places | rates.get(name, set())


def test_adapters_learn_at_their_teams_rates_and_ours_at_the_usual_one():
    rates = {name: compose(name, MATRIX).recipe["learning_rate"] for name in MATRIX.matrix}
    first = {name: rate for name, rate in rates.items() if name.endswith("-stage1")}
    assert first.pop("best-gemma-stage1") == 2e-4
    assert set(first.values()) == {2e-5}
    assert {rate for name, rate in rates.items() if name.startswith("malbbungchi-")} == {2e-5}
    assert rates["nlp-06-qwen25-32b"] == 2e-5


def test_orpo_learns_from_pairs():
    recipe = compose("malbbungchi-qwen2-orpo", MATRIX).recipe
    [rows] = recipe["datasets"]
    assert (recipe["rl"], rows["type"]) == ("orpo", "chat_template.argilla")
    assert rows["path"] == "data/own-definition/preferences.jsonl"
    assert not recipe.get("sample_packing")
    assert "test_datasets" not in recipe


@pytest.mark.parametrize("method", sorted(load_methods()))
def test_every_method_is_sound(method, monkeypatch):
    monkeypatch.chdir(ROOT)
    name = "malbbungchi-qwen2"
    fields = {"method": method, "patience": None, "changes": {}}
    made = compose(name, changed(name, **fields))
    assert list(problems_of(made.path, made.recipe, [], made.text, live=False)) == []


def test_rows_lie_where_dvc_looks_for_them():
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    assert set(params["rows"]) == {member.rows for member in MATRIX.matrix.values()}
    for name, read in params["rows"].items():
        run = load_run(ROOT / "params.yaml", name)
        assert (run.out, run.corpus.train) == (f"data/{name}", read["train"])
    for name in MATRIX.sets:
        tests = {
            load_run(ROOT / "params.yaml", MATRIX.matrix[one].rows).corpus.test
            for one in names(name)
        }
        assert tests == {MATRIX.sets[name].test}


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
    for name in {member.rows for member in MATRIX.matrix.values()}:
        run = moved(load_run(ROOT / "params.yaml", name), tmp_path)
        made = build(name, run, ["stage2"]).files
        for file in ("stage2.jsonl", "dev-loss.jsonl"):
            assert {row.prompt.partition("@")[0] for row in made[file]} == {run.prompt}, name
        assert ("preferences.jsonl" in made) == (name == "own-definition")


def test_a_set_is_mixed_where_its_members_were_asked_differently():
    for name, one in MATRIX.sets.items():
        asked = {MATRIX.matrix[member].rows for member in names(name)}
        assert one.vote.mixed == (len(asked) > 1), name


def test_a_submission_has_the_format_of_its_test_file(tmp_path):
    path = tmp_path / "matrix.yml"
    path.write_text("matrix: {}\nsets: {a: {test: x.csv, format: json, vote: {}}}\n")
    with pytest.raises(UserError, match=r"format is json, but a submission has that of x\.csv"):
        load_matrix(path)


def test_training_stops_early_by_accuracy_after_whole_epochs():
    for name, member in MATRIX.matrix.items():
        recipe = compose(name, MATRIX).recipe
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
    stopping = {member.set for member in MATRIX.matrix.values() if member.patience}
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
        ({"base": "outputs/members/nobody/model"}, "is no member's model"),
        ({"base": "outputs/members/malbbungchi-qwen2/model"}, "starts from itself"),
        ({"changes": {"num_epochs": 1}}, "patience needs two epochs or more"),
        ({"method": "orpo"}, "a method that keeps the best of them; take patience out"),
        ({"model": "Qwen/Qwen2.5-32B-Instruct"}, "published 2024-09-19, after 2024-07-01"),
    ],
)
def test_a_wrong_entry_is_one_sentence(fields, said):
    with pytest.raises(UserError, match=said):
        compose("malbbungchi-qwen2", changed("malbbungchi-qwen2", **fields))


def test_what_a_person_must_look_up_stands_in_the_header():
    made = compose("malbbungchi-qwen2-spow12", MATRIX)
    assert [note.partition(": ")[2][:24] for note in made.notes] == [
        "publication date unknown",
        "licence CC-BY-NC-4.0 for",
        "no revision; pin it, or ",
    ]
    assert all(f"# Look up   {note}" in made.text for note in made.notes)
    assert compose("best-gemma-stage1", MATRIX).notes == []


def test_unknown_fields_and_names_are_refused(tmp_path):
    path = tmp_path / "matrix.yml"
    path.write_text("matrix: {a: {set: s, rows: r, base: b, method: m, metod: x}}\nsets: {}\n")
    with pytest.raises(UserError, match=r"matrix\.yml: field matrix\.a\.metod"):
        load_matrix(path)
    with pytest.raises(UserError, match="the nearest known name is best-polar"):
        compose("best-pola", MATRIX)


KEYS = st.dictionaries(st.sampled_from("abcdef"), st.none() | st.integers())


@given(KEYS, KEYS)
def test_a_layer_holds_whatever_lies_under_it(over, under):
    whole_ = laid(over, under)
    assert laid(over, whole_) == whole_
    for key in over.keys() | under.keys():
        assert whole_.get(key) == over.get(key, under.get(key))
    assert None not in whole_.values()


def test_finished_weights_are_parted_from_checkpoints(tmp_path, monkeypatch, capsys):
    trained, recipe = tmp_path / "trained", tmp_path / "recipe.yml"
    (trained / "checkpoint-3").mkdir(parents=True)
    recipe.write_text(f"output_dir: {trained}\n")
    for name in ("config.json", "tokenizer_config.json", "debug.log"):
        (trained / name).write_text("{}")
    monkeypatch.setattr("sys.argv", ["whole.py", str(recipe)])
    with pytest.raises(UserError, match="train the recipe to its end first"):
        export.main()
    assert not (tmp_path / "model").exists()
    (trained / "model.safetensors").write_text("one")
    assert export.main() == 0
    made = {path.name for path in (tmp_path / "model").iterdir()}
    assert made == {"config.json", "tokenizer_config.json", "model.safetensors"}
    assert (tmp_path / "model/model.safetensors").samefile(trained / "model.safetensors")
    assert export.main() == 0  # again, over what is there


def test_chains_are_followed_to_their_backbone():
    assert before(MATRIX, "best-gemma-seed1") == "best-gemma-stage1"
    assert before(MATRIX, "best-gemma-stage1") is None
    assert origin(MATRIX, "best-gemma-seed1").name == "google/gemma-2-9b-it"


STUB = """#!/usr/bin/env python3
# stands in for python and accelerate: notes the command, makes its outputs, fails for one member
import pathlib, re, sys
said = " ".join(sys.argv[1:])
with open("log.txt", "a") as log:
    log.write(said + "\\n")
if "compose.py" in said:
    made = [f"outputs/members/{sys.argv[-1]}/recipe.yml"]
elif "build.py" in said:
    made = [f"data/{sys.argv[-1]}/{file}.jsonl" for file in ("stage1", "stage2", "test")]
elif "axolotl.cli.train" in said:
    if "best-polar" in said and not pathlib.Path("mended").exists():
        sys.exit(1)
    made = [str(pathlib.Path(sys.argv[-1]).with_name("trained") / "model.safetensors")]
elif "whole.py" in said:
    made = [str(pathlib.Path(sys.argv[-1]).with_name("model") / "model.safetensors")]
elif "score.py" in said:
    made = [sys.argv[-1], sys.argv[-1].replace(".jsonl", ".meta.json")]
else:
    made = [re.search("--out (\\\\S+)", said)[1]]
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
    for folder in (".dvc", "bin", "corpus/exam", "external"):
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
    vote = "python ensemble/vote.py predictions/sets"
    cci = "--test corpus/대화맥락추론_test.json --out submissions"
    exam = "--test corpus/exam/test.csv --out submissions"
    assert {name: command for name, command in stages.items() if name.startswith("set@")} == {
        "set@baseline": f"{vote}/baseline/*.jsonl {cci}/baseline.json",
        "set@malbbungchi": f"{vote}/malbbungchi/*.jsonl {cci}/malbbungchi.json",
        "set@nlp-13": f"{vote}/nlp-13/*.jsonl {exam}/nlp-13.csv",
        "set@pohanghang": f"{vote}/pohanghang/*.jsonl {cci}/pohanghang.json "
        "--rule pohanghang --mixed",
        "set@nlp-06": f"{vote}/nlp-06/*.jsonl {exam}/nlp-06.csv",
        "set@tamago": f"{vote}/tamago/*.jsonl {cci}/tamago.json",
        "set@best": f"{vote}/best/*.jsonl {cci}/best.json",
    }
    for kind in ("compose", "train", "whole", "ballot"):
        made = {name.removeprefix(f"{kind}@") for name in stages if name.startswith(f"{kind}@")}
        assert made == set(MATRIX.matrix)


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_an_exam_set_ends_in_a_submission_of_its_own_format(story, tmp_path):
    done, ran = story("--quiet", "set@nlp-06")
    assert done.returncode == 0, done.stderr
    assert "prep/build.py --run exam-tutor" in ran
    assert (tmp_path / "submissions/nlp-06.csv").is_file()


@pytest.mark.skipif(not DVC.exists(), reason="make setup installs DVC into .venv-dvc")
def test_one_failed_member_loses_no_others_work(story, tmp_path):
    done, ran = story("--quiet", "set@best")
    scored = {path.stem for path in (tmp_path / "predictions/sets/best").glob("*.jsonl")}
    assert done.returncode != 0
    assert scored == set(names("best")) - {"best-polar"}
    assert not any("vote.py" in command for command in ran)
    (tmp_path / "mended").touch()
    done, ran = story("--quiet", "set@best")
    assert done.returncode == 0
    assert [command.split()[0] for command in ran] == [
        "launch",
        "recipes/export.py",
        "eval/score.py",
        "ensemble/vote.py",
    ]
    assert (tmp_path / "submissions/best.json").is_file()
