"""An output folder belongs to one run: what is another's is refused or set aside, never lost."""

import json
import unicodedata
from pathlib import Path

import pytest
import torch
from axolotl.utils.dict import DictDefault
from safetensors.torch import save_file

from core.errors import UserError
from core.files import sha256
from core.jsonl import write_json
from recipes.checks.preflight import require_data
from recipes.plugins.run_fingerprint import content, digest, run_of, take_output_dir
from tests.support.checkpoint_folders import halve, save_checkpoint, save_weights
from tests.support.training_rows import training_row, write_rows

STALE = Path(".stale/out-1")


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe with its data and a base folder, in the current directory."""
    monkeypatch.chdir(tmp_path)
    write_rows(Path("data/rows.jsonl"), [training_row(0)])
    save_weights(Path("models/base"))
    for n in ("models/base/config.json", "models/base/tokenizer.json", "zero.json", "odds.jsonl"):
        Path(n).write_text("{}")
    return DictDefault(
        base_model="./models/base",
        datasets=[{"path": "data/rows.jsonl"}],
        output_dir="./out",
        seed=42,
        auto_resume_from_checkpoints=True,
        deepspeed="zero.json",
        teacher_letters="odds.jsonl",
    )


def changed(recipe, **change):
    return DictDefault({**recipe, **change})


def prepared(recipe, processes=1):
    """Check the folder for a run; returns the name of the tokenised rows."""
    data = {str(path): sha256(path) for path in require_data(recipe)}
    take_output_dir(recipe, run_of(recipe.to_dict(), data, processes))
    return digest(content(recipe.to_dict(), data))


def left(folder="out"):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("data/rows.jsonl", "{}"),
        ("models/base/tokenizer.json", "[]"),
        ("models/base/chat_template.jinja", "x"),
    ],
)
def test_edited_files_get_a_new_name(recipe, path, text):
    before = prepared(recipe)
    assert prepared(recipe) == before
    Path(path).write_text(text)
    assert prepared(recipe) != before


@pytest.mark.parametrize("change", [{"seed": 1}, {"chat_template": "gemma"}, {"sequence_len": 9}])
def test_another_setting_of_the_rows_gets_a_new_name(recipe, change):
    assert prepared(recipe) != prepared(changed(recipe, **change))
    assert prepared(recipe) == prepared(changed(recipe, learning_rate=1e-3))


def test_evaluation_steps_matter_only_where_the_best_is_kept(recipe):
    def run(**change):
        return run_of(changed(recipe, **change).to_dict(), {}, 1)

    assert run(eval_steps=2) == run(eval_steps=3)
    for keeps in ({"load_best_model_at_end": True}, {"early_stopping_patience": 2}):
        assert run(eval_steps=2, **keeps) != run(eval_steps=3, **keeps)
        assert run(logging_steps=2, **keeps) == run(logging_steps=3, **keeps)


def edit(path, text):
    return lambda recipe: Path(path).write_text(text)


def other_weights(recipe):
    save_file({"weight": torch.zeros(2)}, "models/base/model.safetensors")


DIFFERENT = {
    "recipe differs in seed": lambda recipe: recipe.update(seed=7),
    "base differs in model.safetensors": other_weights,
    "data differs in data/rows.jsonl": lambda recipe: write_rows(
        Path("data/rows.jsonl"), [training_row(1)]
    ),
    **{f"files differs in {n}": edit(n, '{"a": 1}') for n in ("zero.json", "odds.jsonl")},
}


@pytest.mark.parametrize("said", [*DIFFERENT, "processes differs"])
def test_another_run_sets_the_old_one_aside(recipe, said, capsys):
    prepared(recipe)
    save_checkpoint(Path("out"), 3)
    save_weights(Path("out"))
    Path("out/debug.log").write_text("its log")
    before = left()
    if said in DIFFERENT:
        DIFFERENT[said](recipe)
    prepared(recipe, processes=1 if said in DIFFERENT else 2)
    assert left(STALE) == before
    assert left() == ["run.json"]
    assert f"out held another run ({said}): now in {STALE}" in capsys.readouterr().out


def test_a_template_next_to_the_base_is_part_of_a_run(recipe):
    Path("mine.jinja").write_text("one")
    recipe["chat_template_jinja"] = "mine.jinja"
    before = prepared(recipe)
    save_weights(Path("out"))
    Path("mine.jinja").write_text("two")
    assert prepared(recipe) != before
    assert (STALE / "model.safetensors").is_file()
    recipe["chat_template_jinja"] = "{{ messages[0]['content'] }}" * 100  # its own text
    prepared(recipe)


def test_finished_weights_are_never_deleted(recipe):
    """A finished, B finished, A again but killed at its first seconds, B again."""
    first, second = recipe, changed(recipe, seed=7)
    for number, one in enumerate((first, second), start=1):
        prepared(one)
        save_weights(Path("out"), number)
    finished = {sha256(path) for path in Path().rglob("model.safetensors")}
    assert len(finished) == 3  # with the base
    for one in (first, second, first):
        prepared(one)
        assert {sha256(path) for path in Path().rglob("model.safetensors")} == finished
    assert left(".stale") == ["out-1", "out-2"]  # what held a record alone left nothing


def test_a_link_to_another_disk_stays_one(recipe):
    Path("disk/out").mkdir(parents=True)
    Path("out").symlink_to("disk/out")
    prepared(recipe)
    save_weights(Path("out"))
    prepared(changed(recipe, seed=7))
    assert Path("out").is_symlink()
    assert left("disk/out") == ["run.json"]
    assert left("disk/.stale/out-1") == ["model.safetensors", "run.json"]


def test_names_in_other_forms_of_unicode_are_one_run(recipe):
    path = Path("data") / unicodedata.normalize("NFD", "대화.jsonl")
    Path("data/rows.jsonl").rename(path)
    recipe["datasets"] = [{"path": str(path)}]
    prepared(recipe)
    save_checkpoint(Path("out"), 3)
    prepared(recipe)
    assert left() == ["checkpoint-3", "run.json"]


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("models/base", "models/base, which is read"),
        ("models", "models/base, which is read"),
        ("./models/../models/", "models/base, which is read"),
        ("data", "data/rows.jsonl, which is read"),
        (".", "is read|you stand in"),
        ("..", "is read|you stand in"),
        ("link", "models/base, which is read"),
        ("notes", "holds thesis.txt, which is not of one run"),
        ("zero.json", "is a file"),
        ("mix", "holds run.json, which is not of one run"),
        ("several", "holds one/run.json, which is not of one run"),
    ],
)
def test_inputs_and_what_no_run_left_are_no_output_folder(recipe, out, said):
    Path("link").symlink_to("models")
    for path in ("notes/thesis.txt", "several/one/run.json", "several/run.json"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text('{"recipe": {}}')
    Path("mix").mkdir()
    Path("mix/run.json").write_text('{"base": {}, "members": []}')
    before = {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}
    with pytest.raises(UserError, match=said):
        prepared(changed(recipe, output_dir=out))
    assert {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")} == before


def test_hidden_files_and_the_log_are_nobodys(recipe):
    Path("out").mkdir()
    for name in (".gitkeep", "debug.log"):
        Path("out", name).write_text("")
    prepared(recipe)
    assert left() == [".gitkeep", "debug.log", "run.json"]


def spoilt(checkpoint, part):
    if part == "optimizer.pt":
        (checkpoint / part).unlink()
    else:
        halve(checkpoint / part)


@pytest.mark.parametrize("part", ["model.safetensors", "optimizer.pt", "scheduler.pt"])
def test_a_spoilt_checkpoint_leads_back_to_the_one_before(recipe, part, capsys):
    prepared(recipe)
    for step in (3, 6, 10):
        save_checkpoint(Path("out"), step)
    for step in (6, 10):
        spoilt(Path(f"out/checkpoint-{step}"), part)
    prepared(changed(recipe, logging_steps=1))
    assert left() == [".stale", "checkpoint-3", "run.json"]
    assert left("out/.stale") == ["checkpoint-10-1", "checkpoint-6-1"]
    said = capsys.readouterr().out
    assert f"checkpoint-10: no run can go on from it ({part} is" in said
    assert "out: going on from checkpoint-3" in said


@pytest.mark.parametrize("last", ["model.safetensors", "trainer_state.json"])
def test_a_checkpoint_that_was_never_finished_is_removed(recipe, last, capsys):
    prepared(recipe)
    save_checkpoint(Path("out"), 3)
    half = Path("out/checkpoint-6")
    half.mkdir()
    (half / last).write_text('{"glob')  # the disk was full, or the run was killed
    prepared(recipe)
    assert left() == ["checkpoint-3", "run.json"]
    assert (
        "checkpoint-6: no run can go on from it (trainer_state.json is" in capsys.readouterr().out
    )


def test_where_no_checkpoint_serves_all_is_set_aside(recipe, capsys):
    prepared(recipe)
    save_weights(Path("out"))
    for step in (3, 6):
        (save_checkpoint(Path("out"), step) / "optimizer.pt").unlink()  # save_only_model
    before = left()
    prepared(recipe)
    assert (left(STALE), left()) == (before, ["run.json"])
    said = capsys.readouterr().out
    assert "checkpoint-6: no run can go on from it (optimizer.pt is missing)" in said
    assert f"training begins anew; what it held is now in {STALE}" in said


def test_a_run_that_begins_anew_keeps_what_it_finished_before(recipe):
    recipe["auto_resume_from_checkpoints"] = None
    prepared(recipe)
    Path("out/tokenizer.json").write_text("")  # killed before its first checkpoint
    prepared(recipe)
    assert left() == ["run.json", "tokenizer.json"]
    save_weights(Path("out"))
    prepared(recipe)
    assert (left(), left(STALE)[0]) == (["run.json"], "model.safetensors")


def test_only_a_checkpoint_of_the_same_run_is_resumed(recipe):
    prepared(recipe)
    own = save_checkpoint(Path("out"), 3)
    elsewhere = changed(recipe, output_dir="more", resume_from_checkpoint=str(own))
    prepared(elsewhere)
    Path("mine").mkdir()
    Path("mine/checkpoint-3").symlink_to(own.resolve())
    write_json(Path("mine/run.json"), run_of(changed(recipe, seed=7).to_dict(), {}, 1))
    for other, said in (
        ({"seed": 7}, r"of another run \(recipe differs in seed\); to start from its weights"),
        ({"resume_from_checkpoint": "models/base"}, r"no run\.json next to it"),
        ({"resume_from_checkpoint": "out/checkpoint-9"}, "checkpoint-9: no such folder"),
        ({"resume_from_checkpoint": "mine/checkpoint-3", "seed": 7}, "of another run"),
    ):
        with pytest.raises(UserError, match=said):
            prepared(changed(elsewhere, **other, output_dir="new"))
    with pytest.raises(UserError, match=r"another run \(processes differs\)"):
        prepared(elsewhere, processes=2)
    halve(own / "optimizer.pt")
    with pytest.raises(UserError, match=r"checkpoint-3: optimizer\.pt is cut off"):
        prepared(elsewhere)
    assert not Path("new").exists()
    assert json.loads(Path("more/run.json").read_text())["processes"] == 1


def test_what_cannot_be_moved_is_said(recipe, monkeypatch):
    prepared(recipe)
    save_weights(Path("out"))

    def busy(*_):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(UserError, match=r"out: cannot be moved to \.stale/out-1 \(Device or"):
        prepared(changed(recipe, seed=7))
    assert "seed: 42" in str(json.loads(Path("out/run.json").read_text())).replace("'", "")
