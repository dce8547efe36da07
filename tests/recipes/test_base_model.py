"""A base is known by its files, or by its commit on the hub."""

import json
import shutil

import pytest

from core.errors import UserError
from recipes.weights import base_model
from recipes.weights.base_model import base_of, check_base, unreadable
from tests.support.checkpoint_folders import halve, save_weights

ONE, TWO = "1" * 40, "2" * 40


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache that holds two commits of one model, and another model of the same shape."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name, commits in (("tiny", (ONE, TWO)), ("other", (ONE,))):
        place = tmp_path / f"models--acme--{name}"
        for commit in commits:
            save_weights(place / "snapshots" / commit)
            (place / "snapshots" / commit / "config.json").write_text("{}")
        (place / "refs").mkdir()
        (place / "refs/main").write_text(ONE)
    return tmp_path


@pytest.fixture
def adapter(tmp_path):
    """Make the folder of an adapter, with the record of its base."""

    def make(trained_on, name="adapter"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"base": trained_on}))
        return folder

    return make


def test_a_hub_base_is_known_by_its_commit(hub, adapter):
    assert base_of("acme/tiny", None) == {"hub": "acme/tiny", "commit": ONE}
    assert base_of("acme/tiny", TWO) == {"hub": "acme/tiny", "commit": TWO}
    folder = adapter(base_of("acme/tiny", None))
    check_base("acme/tiny", None, folder)
    check_base("acme/tiny", ONE, folder)


@pytest.mark.parametrize(("name", "revision"), [("acme/tiny", TWO), ("acme/other", None)])
def test_another_commit_and_another_repository_are_refused(hub, adapter, name, revision):
    folder = adapter(base_of("acme/tiny", None))
    (folder / "checkpoint-4").mkdir()
    for trained in (folder, folder / "checkpoint-4"):
        with pytest.raises(UserError, match=f"trained on acme/tiny at commit {ONE}, not on {name}"):
            check_base(name, revision, trained)


def test_a_branch_that_moved_is_another_base(hub, adapter):
    folder = adapter(base_of("acme/tiny", None))
    (hub / "models--acme--tiny/refs/main").write_text(TWO)
    with pytest.raises(UserError, match="set base_model and revision_of_model to that"):
        check_base("acme/tiny", None, folder)


def test_a_folder_is_not_a_hub_base(hub, adapter, tmp_path):
    local = str(save_weights(tmp_path / "local"))
    with pytest.raises(UserError, match=r"files of a folder"):
        check_base(local, None, adapter(base_of("acme/tiny", None)))
    with pytest.raises(UserError, match=f"trained on files of a folder, not on acme/tiny .*{ONE}"):
        check_base("acme/tiny", None, adapter(base_of(local, None), "second"))


def test_what_is_not_recorded_is_said(adapter, tmp_path, capsys):
    local = str(save_weights(tmp_path / "local"))
    with pytest.raises(UserError, match="names no commit of its base"):
        check_base(local, None, adapter("acme/tiny"))
    (tmp_path / "adapter/run.json").unlink()
    check_base(local, None, tmp_path / "adapter")
    assert "nobody knows which base it was trained on" in capsys.readouterr().out


def test_a_base_that_is_nowhere_is_refused(hub):
    with pytest.raises(UserError, match="acme/none: cannot be read from the hub"):
        base_of("acme/none", None)


def test_weights_that_cannot_be_read_are_named(tmp_path):
    folder = save_weights(tmp_path / "model")
    assert unreadable(folder) is None
    shutil.copy(folder / "model.safetensors", folder / "second.safetensors")
    halve(folder / "second.safetensors")
    assert unreadable(folder).startswith("second.safetensors is cut off, or no safetensors file")
    (folder / base_model.INDEX).write_text('{"weight_map": {"a": "third.safetensors"}}')
    assert unreadable(folder) == "third.safetensors is missing"
