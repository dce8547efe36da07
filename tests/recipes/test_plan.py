"""The planner's account is what real steps hold, and its arithmetic is what its sources say."""

import json
import re
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
import yaml

from bench.calibrate import EMPTY, LORA, RECIPE, allocated, planned, resident, shape
from core.errors import UserError
from recipes.plan import main, setting
from recipes.planner import costs
from recipes.planner.dry_run import batch_of, dry_run
from recipes.planner.estimate import knobs, measure, read_plan, shard_of
from recipes.planner.model_shapes import shape_of
from tests.support.paths import ROOT
from tests.support.training_rows import training_row, write_rows

SMALL = {"micro_batch_size": 2, "sequence_len": 128, "optimizer": "adamw_torch"}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("gemma2", {}),
        ("gemma2", {"gradient_checkpointing": True, "gradient_accumulation_steps": 2}),
        ("gemma2", {"micro_batch_size": 1, "sequence_len": 64, "sample_packing": True}),
        ("llama", LORA),
        ("qwen2", {}),
        ("gemma2", {"rl": "orpo"}),
        ("llama", LORA | {"rl": "orpo", "gradient_checkpointing": True}),
    ],
)
def test_the_account_is_what_real_steps_hold(kind, change):
    made = [work(shape(128, 2, kind, 4000), SMALL | change) for work in (planned, allocated)]
    assert made[0] == pytest.approx(made[1], rel=0.02)


def test_a_process_holds_the_account_above_its_floor():
    outline, change = (256, 4), {"micro_batch_size": 1, "sequence_len": 128}
    held = resident(outline, change) - resident(*EMPTY)
    assert planned(shape(*outline), RECIPE | change) == pytest.approx(held, rel=0.15)
    assert held > 2**27  # the model is more than the noise of a process


def test_flash_attention_and_fused_losses_hold_less():
    config = shape(128, 2, "gemma2", 4000)
    held = [
        dry_run(config, SMALL | change).held
        for change in (
            {},
            {"attn_implementation": "flash_attention_2"},
            {"liger_fused_linear_cross_entropy": True},
        )
    ]
    assert held[1]["activations"] < held[0]["activations"]
    assert held[1]["logits"] == held[0]["logits"] > 2 * 128 * 4000 * 4
    assert held[2]["logits"] == 0
    sharded = dry_run(config, SMALL | {"fsdp_config": {"activation_checkpointing": True}})
    assert sharded.held["activations"] < held[0]["activations"]


def test_packs_lie_end_to_end_only_where_attention_tells_them_apart():
    recipe = {"micro_batch_size": 3, "sequence_len": 100, "sample_packing": True}
    assert batch_of(recipe | {"attn_implementation": "flash_attention_2"}) == (1, 384)
    assert batch_of(recipe | {"attn_implementation": "eager"}) == (3, 128)
    shared = {"sample_packing": False, "shared_prefix": True, "attn_implementation": "eager"}
    assert batch_of(recipe | shared) == (1, 300)  # trees are not padded


def test_optimizer_states_by_hand():
    step = dry_run(shape(128, 2), SMALL | {"bf16": True})
    assert step.trained_bytes == 2 * step.trained
    for name, each in (("adamw_torch", 4), ("optimi_adamw", 6), ("adamw_torch_8bit", 2.03125)):
        assert costs.states(step, {"optimizer": name}) == step.trained * each
    wide = 16_000 * 128  # bitsandbytes leaves embeddings in 32 bits
    found = costs.states(step, {"optimizer": "adamw_bnb_8bit"})
    assert found == (step.trained - wide) * 2.03125 + wide * 8
    assert costs.states(step, {"optimizer": "lion_8bit"}) is None


def test_sharding_divides_what_its_stage_says():
    recipe = SMALL | {"bf16": True}
    step = dry_run(shape(128, 2), recipe)
    alone = costs.training(step, recipe, 1e9)
    two, three = (costs.training(step, recipe, 1e9, shard, 4) for shard in ("zero2", "zero3"))
    assert two["weights"] == alone["weights"]
    assert two["gradients"] == alone["gradients"] / 4
    assert two["optimizer"] == step.trained * 12 / 4  # float32 weights and two moments
    assert three["weights"] == alone["weights"] / 4 + 2 * (2 * step.largest_layer + step.embedding)
    assert three["logits"] == alone["logits"]


def test_fsdp2_keeps_no_float32_copy():
    recipe = SMALL | {"bf16": True, "optimizer": "optimi_adamw"}
    step = dry_run(shape(128, 2), recipe)
    states = costs.states(step, recipe)
    alone = costs.training(step, recipe, states)
    shared, zero = (costs.training(step, recipe, states, way, 4) for way in ("fsdp2", "zero3"))
    assert shared["gradients"] == alone["gradients"] / 4
    assert shared["optimizer"] == 6 * step.trained / 4  # two moments and Kahan's rest, in bfloat16
    assert shared["weights"] == zero["weights"]
    assert zero["optimizer"] == 12 * step.trained / 4


@pytest.mark.slow
def test_figures_for_several_gpus_are_the_planner_s():
    recipe = read_plan(ROOT / "recipes/stage2.yml") | {"micro_batch_size": 2}
    step = dry_run(shape_of(Path("x.yml"), {}, "gemma-2-9b"), recipe)

    def needed(way: str, optimizer: str) -> int:
        made = recipe | {"optimizer": optimizer}
        held = costs.training(step, made, costs.states(step, made), way, 4)
        return round((sum(held.values()) + costs.CONTEXT) / costs.GIB)

    readme = (ROOT / "recipes/deepspeed/README.md").read_text("utf-8")
    header = (ROOT / "recipes/stage2-fsdp2.yml").read_text("utf-8")
    written = r"expects (\d+) GiB a card for ZeRO-1, (\d+) for ZeRO-2 and (\d+) for FSDP2"
    ways = [
        needed("zero1", "adamw_torch"),
        needed("zero2", "adamw_torch"),
        needed("fsdp2", "optimi_adamw"),
    ]
    assert [int(one) for one in re.search(written, readme).groups()] == ways
    assert int(re.search(r"by estimate (\d+) GiB a GPU", header)[1]) == ways[2]


def test_work_is_six_a_weight_and_four_below_an_adapter():
    config = shape(128, 2)
    full = dry_run(config, SMALL)
    weights = full.linear + full.kept
    attention = 12 * 2 * 128 * 100
    assert costs.work(full, config, 100) == 6 * weights + attention
    frozen = dry_run(config, SMALL | LORA)
    assert costs.work(frozen, config, 100) == 4 * weights + 6 * frozen.adapter + attention


def test_steps_of_a_run():
    recipe = {"micro_batch_size": 3, "gradient_accumulation_steps": 5, "num_epochs": 5}
    assert costs.steps(recipe, 758, 0, 1) == 51 * 5
    packed = recipe | {"sample_packing": True, "sequence_len": 2048}
    assert costs.steps(packed, 758, 300_000, 1) == 11 * 5
    shared = packed | {"sample_packing": False, "shared_prefix": True}
    assert costs.steps(shared, 758, 300_000, 1) == 11 * 5
    assert costs.steps(recipe | {"max_steps": 7}, 758, 0, 1) == 7


def test_what_rows_share_counts_once_in_a_tree(tmp_path):
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2)]
    write_rows(tmp_path / "rows.jsonl", [training_row(n, o) for n in (0, 1) for o in orders])
    rows, tokens, counted = measure([tmp_path / "rows.jsonl"], "of no folder", None)
    assert (rows, counted) == (6, False)
    assert measure([tmp_path / "rows.jsonl"], "of no folder", 10_000)[1] < 0.8 * tokens
    # no two rows fit into a tree
    assert measure([tmp_path / "rows.jsonl"], "of no folder", 1)[1] == tokens


def test_a_merged_gemma_is_scored_on_one_4090():
    config = shape_of(Path("x.yml"), {"base_model": "rtzr/ko-gemma-2-9b-it"})
    step = dry_run(config, SMALL | {"bf16": True, "attn_implementation": "flash_attention_2"})
    room = {
        bits: costs.scoring(step, config, bits, 2048, costs.GPUS["4090"]) for bits in (16, 8, 4)
    }
    assert room[16].weights == 2 * (step.linear + step.kept)
    assert {one.head for one in room.values()} == {4 * 256_000 * 3584}  # in float32, at any bits
    left = costs.GPUS["4090"].memory - costs.CONTEXT - room[16].weights - room[16].head
    assert room[16].prompts == left // room[16].prompt
    assert 0 < room[16].prompts < room[8].prompts < room[4].prompts


@pytest.mark.parametrize(
    ("family", "bits", "weights", "fits"),
    [  # what the competition's card of 24 GB takes
        ("gemma-2-9b", 16, 17.2, True),
        ("solar-10.7b", 16, 20.0, True),
        ("qwen2.5-32b", 16, 61.0, False),
        ("qwen2.5-32b", 8, 32.0, False),
        ("qwen2.5-32b", 4, 18.0, True),
    ],
)
def test_which_weights_fit_the_card_that_scores(family, bits, weights, fits):
    config = shape_of(Path("x.yml"), {"base_model": "any"}, family)
    step = dry_run(config, SMALL | {"bf16": True, "attn_implementation": "flash_attention_2"})
    found = costs.scoring(step, config, bits, 2048, costs.GPUS["4090"])
    assert found.weights / costs.GIB == pytest.approx(weights, abs=0.5)
    assert (found.prompts > 0) == fits


def test_a_recipe_is_read_as_axolotl_would_not(tmp_path):
    path = tmp_path / "x.yml"
    for text, said in (
        ("base_model: any\nsequence_len: 8\nsequence_len: 9\n", "line 3: key sequence_len is"),
        ("base_model: [\n", "line 2: .*; correct the YAML"),
        ("base_model: any\n", "no micro_batch_size, sequence_len"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            read_plan(path)


@pytest.mark.parametrize("change", [{"rl": "dpo"}, {"reward_model": True}])
def test_of_pairs_only_orpo_is_planned(tmp_path, change):
    path = tmp_path / "x.yml"
    path.write_text(yaml.safe_dump(SMALL | {"base_model": "any"} | change))
    with pytest.raises(UserError, match="only rl: orpo can be planned"):
        read_plan(path)
    path.write_text(yaml.safe_dump(SMALL | {"base_model": "any", "rl": "orpo"}))
    assert "liger" not in str(knobs(read_plan(path)))


def test_a_pair_is_two_rows_at_once_and_holds_all_logits():
    fused = {"liger_fused_linear_cross_entropy": True}
    config = shape(128, 2, "gemma2", 4000)
    single, pair = (dry_run(config, SMALL | change) for change in ({}, fused | {"rl": "orpo"}))
    assert pair.held["logits"] > 1.5 * single.held["logits"]
    assert pair.trained == single.trained


def test_knobs_turn_only_what_is_not_turned():
    recipe = {"micro_batch_size": 4, "gradient_accumulation_steps": 4, "optimizer": "optimi_adamw"}
    said = [name for name, _ in knobs(recipe)]
    assert [name.partition(":")[0] for name in said[1:]] == [
        "gradient_checkpointing",
        "micro_batch_size",
        "optimizer",
        "adapter",
    ]
    changed = recipe
    for _, change in knobs(recipe):
        changed = changed | change
    assert changed["gradient_accumulation_steps"] == 16
    assert knobs(changed) == []


def test_sharding_is_read_from_the_recipe():
    assert shard_of({}) == "none"
    assert shard_of({"deepspeed": str(ROOT / "recipes/deepspeed/zero3.json")}) == "zero3"
    sharded = {"fsdp_config": {"reshard_after_forward": True}}
    assert shard_of({"fsdp_version": 2} | sharded) == "fsdp2"
    with pytest.raises(UserError, match="set fsdp_version: 2"):  # Axolotl's default is the first
        shard_of(sharded)


def test_a_setting_is_a_key_and_a_value_as_in_a_recipe():
    assert setting("micro_batch_size=1") == ("micro_batch_size", 1)
    for text in ("micro_batch_size", "=1", "micro_batch_size=[1"):
        with pytest.raises(ArgumentTypeError, match="write KEY=VALUE"):
            setting(text)


def test_the_command_says_it_all(tmp_path, monkeypatch, capsys):
    write_rows(tmp_path / "rows.jsonl", [training_row(n) for n in range(9)])
    monkeypatch.chdir(ROOT)
    words = ["plan.py", "recipes/tiny/stage2.yml", "--gpu", "4090", "--config", "recipes/tiny/base"]
    words += ["--rows", str(tmp_path / "rows.jsonl")]
    monkeypatch.setattr("sys.argv", [*words, "--json"])
    main()
    made = json.loads(capsys.readouterr().out)
    assert (made["fits"], made["data"]["rows"], made["data"]["steps"]) == (True, 9, 70)
    assert made["needed"] == pytest.approx(sum(made["training"].values()))
    monkeypatch.setattr("sys.argv", [*words, "--set", "micro_batch_size=4000"])
    main()
    said = capsys.readouterr().out
    assert "it does not fit; turn, one on top of the other:" in said
    assert "micro_batch_size: 1, gradient_accumulation_steps: 4000" in said
