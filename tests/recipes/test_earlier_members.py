"""The members of earlier systems have their teams' numbers."""

from itertools import pairwise

from recipes.compose import compose
from recipes.members.tables import load_members

MEMBERS = load_members()
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
    return [name for name, member in MEMBERS.members.items() if member.set == of]


def test_pohanghang_has_its_eleven():
    found = []
    for name in names("pohanghang"):
        made = compose(name, MEMBERS)
        rate = f"{made.recipe['learning_rate']:.0e}".replace("e-0", "e-")
        asked = f"{made.run.prompt} {made.run.clean}"
        found.append(f"    {made.origin.name} {made.member.method} {rate} {asked}")
        assert made.recipe["gradient_accumulation_steps"] == 64
        assert made.recipe.get("load_in_4bit", False) == (made.member.method == "qlora")
    assert found == ELEVEN.strip("\n").split("\n")[:11]


def test_malbbungchi_has_its_epochs():
    found = {
        name.removeprefix("malbbungchi-"): compose(name, MEMBERS).recipe["num_epochs"]
        for name in names("malbbungchi")
    }
    assert found == EPOCHS


def test_siblings_differ_only_where_they_mean_to():
    one, other = (compose(f"pohanghang-{n}-polar-v05", MEMBERS).recipe for n in ("05", "06"))
    assert {key for key in one | other if one.get(key) != other.get(key)} == {
        "datasets",
        "learning_rate",
        "output_dir",
        "test_datasets",
    }
    for first, second in pairwise(names("pohanghang")):
        orders = [list(compose(name, MEMBERS).recipe) for name in (first, second)]
        shared = [key for key in orders[0] if key in orders[1]]
        assert shared == [key for key in orders[1] if key in orders[0]]


def test_stage_2_goes_on_where_stage_1_ends():
    stage1 = compose("tamago-gemma-stage1", MEMBERS).recipe
    stage2 = compose("tamago-gemma", MEMBERS).recipe
    assert stage2["base_model"] == "./outputs/tamago-gemma-stage1/model"
    assert stage1["base_model"] == "google/gemma-2-9b-it"
    assert len(stage1["revision_of_model"]) == 40
    assert "revision_of_model" not in stage2
    for recipe, file in ((stage1, "stage1"), (stage2, "stage2")):
        assert recipe["datasets"][0]["path"] == f"data/letters/{file}.jsonl"
        assert (recipe["chat_template"], recipe["eot_tokens"]) == ("alpaca", ["<eos>"])


def test_orpo_learns_from_pairs():
    recipe = compose("malbbungchi-qwen2-orpo", MEMBERS).recipe
    [rows] = recipe["datasets"]
    assert (recipe["rl"], rows["type"]) == ("orpo", "chat_template.argilla")
    assert rows["path"] == "data/own-definition/preferences.jsonl"
    assert not recipe.get("sample_packing")
    assert "test_datasets" not in recipe
