"""A checkpoint serves a run only if everything that its trainer needs is there, to the end."""

import json
import shutil

import pytest
import torch

from recipes.plugins.checkpoints import defect, finished, in_order
from tests.support.checkpoint_folders import halve, save_checkpoint, save_weights

PARTS = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


@pytest.fixture
def checkpoint(tmp_path):
    return save_checkpoint(tmp_path / "run", 4)


def test_all_parts_make_a_checkpoint(checkpoint, tmp_path):
    assert defect(checkpoint, 1) is None
    assert defect(save_checkpoint(tmp_path / "two", 4, processes=2), 2) is None
    assert defect(tmp_path / "none", 1) == "no such folder"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_missing_is_named(checkpoint, part):
    (checkpoint / part).unlink()
    assert part in defect(checkpoint, 1)
    assert finished(checkpoint) == (part != "trainer_state.json")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("left", [0, 0.5, 0.99])
def test_a_part_that_is_cut_off_is_named(checkpoint, part, left):
    content = (checkpoint / part).read_bytes()
    (checkpoint / part).write_bytes(content[: int(len(content) * left)])
    assert part in defect(checkpoint, 1)


def test_blocks_that_never_reached_the_disk_are_found(checkpoint):
    content = bytearray((checkpoint / "optimizer.pt").read_bytes())
    value = torch.load(checkpoint / "optimizer.pt")["state"][0]["exp_avg"].numpy().tobytes()
    place = content.index(value)
    content[place : place + len(value)] = bytes(len(value))
    (checkpoint / "optimizer.pt").write_bytes(content)
    assert defect(checkpoint, 1) == "optimizer.pt is cut off or spoilt"


def test_a_run_in_other_processes_lacks_their_states(tmp_path):
    two = save_checkpoint(tmp_path, 4, processes=2)
    assert defect(two, 1) == "rng_state.pth is missing"
    assert defect(two, 3) == "rng_state_2.pth is missing"


def test_shards_that_an_index_names_must_be_there(checkpoint):
    index = checkpoint / "model.safetensors.index.json"
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index.write_text(f'{{"weight_map": {names}}}'.replace("'", '"'))
    assert defect(checkpoint, 1) == "model-00002-of-00002.safetensors is missing"
    halve(index)
    assert defect(checkpoint, 1) == "model.safetensors.index.json is no index of weights"


@pytest.mark.parametrize("moved", [False, True])
def test_the_best_until_then_must_be_there(checkpoint, moved):
    best = save_weights(checkpoint.with_name("checkpoint-2"))
    state = {"global_step": 4, "best_model_checkpoint": str(best)}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    if moved:
        run = checkpoint.parent.rename(checkpoint.parent.with_name("moved"))
        checkpoint, best = run / checkpoint.name, run / best.name
    assert defect(checkpoint, 1) is None
    halve(best / "model.safetensors")
    assert "of checkpoint-2, the best until then, model.safetensors is cut" in defect(checkpoint, 1)
    shutil.rmtree(best)
    assert defect(checkpoint, 1).endswith("the best until then, model.safetensors is missing")


def test_sharded_states_of_fsdp_and_deepspeed_count(checkpoint):
    (checkpoint / "optimizer.pt").unlink()
    (checkpoint / "optimizer_0").mkdir()
    (checkpoint / "optimizer_0/__0_0.distcp").write_text("shard")
    assert defect(checkpoint, 1) == "optimizer_0/.metadata is missing"
    (checkpoint / "optimizer_0/.metadata").write_text("written last")
    assert defect(checkpoint, 1) is None
    shutil.rmtree(checkpoint / "optimizer_0")
    (checkpoint / "scheduler.pt").unlink()
    states = checkpoint / "global_step4/zero_pp_rank_0_mp_rank_00_optim_states.pt"
    states.parent.mkdir()
    torch.save({"step": 4}, states)
    assert defect(checkpoint, 1) is None
    halve(states)
    assert defect(checkpoint, 1).startswith("global_step4/zero_pp_rank_0")


def test_checkpoints_are_ordered_by_step(tmp_path):
    for step in (9, 10, 2):
        save_weights(tmp_path / f"checkpoint-{step}")
    save_weights(tmp_path / "checkpoint-best")
    assert [path.name[11:] for path in in_order(tmp_path)] == ["10", "9", "2"]
