"""What is trained is what is scored, plus the answer; and packing lets no row see another."""

import json

import pytest
from transformers import AutoTokenizer

from core.jsonl import read_objects
from tests.support.paths import ROOT

PROBE = ROOT / "tests/support/trained_rows.py"
ENDS = {"alpaca": "<eos>", "gemma": "<end_of_turn>\n"}
CASES = [(stage, template) for stage in ("stage1", "stage2") for template in ENDS]


@pytest.fixture(scope="module")
def probed(chain, run, tmp_path_factory):
    """The folder of what Axolotl made of the tiny recipes under both templates."""
    out = tmp_path_factory.mktemp("probe")
    done = run("-c", PROBE.read_text(), str(out))
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.parametrize(("stage", "template"), CASES)
def test_trained_ids_are_scored_ids_and_answer_ids(chain, probed, stage, template):
    trained = json.loads((probed / f"{stage}-{template}.json").read_text())
    # for alpaca, the tokenizer that training saved; gemma was only prepared
    saved = chain.place / f"outputs/demo-{stage}/trained"
    tokenizer = AutoTokenizer.from_pretrained(
        saved if template == "alpaca" else probed / f"{stage}-gemma"
    )
    by_ids = dict(zip(map(tuple, trained["ids"]), trained["labels"], strict=True))
    rows = [row for _, row in read_objects(chain.place / f"data/demo/{stage}.jsonl")]
    assert len(trained["ids"]) == len(rows)
    questions = [row for row in rows if row["labels"]]
    assert len(questions) == 48
    for row in questions:
        *prompt, answer = row["messages"]
        scored = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_dict=False
        )
        said = answer["content"] + ENDS[template]
        answered = tokenizer(said, add_special_tokens=False).input_ids
        labels = by_ids[tuple(scored + answered)]
        assert scored.count(tokenizer.bos_token_id) == 1
        # gemma's newline after the end of the turn teaches nothing
        learnt = answered if template == "alpaca" else [*answered[:-1], -100]
        assert labels == [-100] * len(scored) + learnt
        assert tokenizer.decode(answered[0]) == row["answer"]


@pytest.mark.parametrize("template", ENDS)
def test_a_row_in_a_pack_is_a_row_alone(probed, template):
    found = json.loads((probed / f"stage2-{template}.json").read_text())["isolation"]
    assert found["rows"] > 5
    assert found["packed"] < 1e-5
    assert found["leaking"] > 0.1  # the measure would see a leak
