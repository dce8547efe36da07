"""A teacher's letters in the loss: that of a target by hand, in a batch and in a real training."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import log_softmax, one_hot

from core.errors import UserError
from core.jsonl import read_objects
from recipes.checks.recipe_rules import track_problems
from recipes.plugins.labelled_head import LabelledHead
from recipes.plugins.teacher_letters import (
    add_teacher,
    letters_of,
    recipe_problems,
    with_letters,
)
from tests.support.gradients import apart, model_of
from tests.support.tiny_trainings import SHORT, logged, recipe, train
from tests.support.training_rows import write_rows

PLUGIN = "recipes.plugins.teacher_letters.TeacherPlugin"
PLUGINS = ["recipes.plugins.guard.GuardPlugin", PLUGIN]
FULL = "recipes/tiny/stage2.yml"
NO_FILE = {"teacher_letters": "no.jsonl"}
SHARE = [0.5, 0.3, 0.2]  # of the teacher, by published option


def collated(rows):
    return {name: torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels")}


@pytest.mark.parametrize("count", [None, torch.tensor(40)])
@pytest.mark.parametrize("family", ["gemma3_text", "gemma2", "llama"])
def test_loss_and_gradients_are_those_of_the_target_by_hand(family, count):
    weight, letters = 0.7, [11, 12, 13]
    ids = torch.randint(20, 128, (3, 9), generator=torch.Generator().manual_seed(1))
    ids[:2, 6] = torch.tensor([12, 11])  # the right letters of two questions; the third is a chat
    labels = ids.masked_fill(torch.arange(9) < 6, -100)
    target = one_hot(ids, 128).float()
    rows = []
    for row in range(3):
        own = {"input_ids": ids[row].tolist(), "labels": labels[row].tolist()}
        if row < 2:
            right = [float(letter == ids[row, 6]) for letter in letters]
            given = [weight * (r - s) for r, s in zip(right, SHARE, strict=True)]
            own |= {"letter_ids": letters, "letter_weights": given}
            target[row, 6] *= 1 - weight
            target[row, 6, letters] += weight * torch.tensor(SHARE)
        rows.append(own)

    model = model_of(family)
    logits = model.eval()(ids).logits  # as it is scored, soft-cap and all
    model.train()
    logs = log_softmax(logits[:, :-1].double(), -1)
    entropy = -(target[:, 1:] * logs).sum(-1)[labels[:, 1:] != -100]
    wanted = entropy.sum() / (count or 9)
    wanted.backward()
    by_hand = {n: p.grad.clone() for n, p in model.named_parameters()}

    LabelledHead(model)
    add_teacher(model)
    model.zero_grad()
    batch = with_letters(collated, rows)
    loss = model(**batch, num_items_in_batch=count).loss
    loss.backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters()}
    assert apart((loss.detach(), found), (wanted.detach().float(), by_hand)) < 1e-5
    plain = model(**collated(rows), num_items_in_batch=count).loss
    assert float((loss - plain).detach().abs()) > 1e-3  # the teacher says something


@pytest.fixture(scope="module")
def done(workplace):
    """The same rows in one step: by themselves, packed and as trees."""
    rows = [row for _, row in read_objects(workplace / "data/demo/stage2.jsonl")]
    records = dict.fromkeys(row["record"] for row in rows)
    logs = torch.tensor(SHARE).log().tolist()
    write_rows(
        workplace / "teacher.jsonl",
        [{"id": id_, "order": [0, 1, 2], "logprobs": logs, "choice": 0} for id_ in records],
    )
    steps = SHORT | {"base_model": "./recipes/tiny/base", "optimizer": "sgd", "max_steps": 1}
    steps |= {"micro_batch_size": 48, "sequence_len": 512, "save_steps": 1, "test_datasets": None}
    steps |= {"eval_steps": None, "learning_rate": 0.02, "sample_packing": False}
    taught = {"teacher_letters": "teacher.jsonl", "teacher_weight": 0.7}
    prefix = "recipes.plugins.shared_prefix.SharedPrefixPlugin"
    trees = {"plugins": [PLUGINS[0], prefix, PLUGIN], "shared_prefix": True}
    packed = {"sample_packing": True, "sequence_len": 1024, "micro_batch_size": 12}
    names = [
        recipe(workplace, "taught", FULL, steps, taught, {"plugins": PLUGINS}),
        recipe(workplace, "taught-packed", FULL, steps, taught, {"plugins": PLUGINS}, packed),
        recipe(workplace, "taught-trees", FULL, steps, taught, trees),
        recipe(workplace, "alone", FULL, steps, taught, {"plugins": PLUGINS} | NO_FILE),
    ]
    found = train(workplace, *names)
    return SimpleNamespace(place=workplace, codes=found.codes, err=found.err, rows=rows)


def test_a_training_has_the_loss_by_hand_in_every_batching(done):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert done.codes == [0, 0, 0, 2], done.err[-3000:]
    assert "no.jsonl: no such file; make it by python prep/teach.py letters" in done.err
    base = done.place / "recipes/tiny/base"
    tokenizer = AutoTokenizer.from_pretrained(done.place / "taught")
    model = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    cfg = SimpleNamespace(teacher_weight=0.7)
    file = done.place / "data/demo/stage2.jsonl"
    letters = letters_of([file], done.place / "teacher.jsonl", tokenizer, cfg)
    assert len(letters) == len(done.rows)
    sums, count = {"untaught": 0.0, "taught": 0.0}, 0
    for row in done.rows:
        asked = tokenizer.apply_chat_template(
            row["messages"][:-1], add_generation_prompt=True, return_dict=False
        )
        ids = tokenizer.apply_chat_template(row["messages"], return_dict=False)
        end = ids.index(tokenizer.eos_token_id, len(asked)) + 1
        with torch.no_grad():
            logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        gold = [-float(logs[k - 1, ids[k]]) for k in range(len(asked), end)]
        sums["untaught"] += sum(gold)
        shown = [tokenizer(label, add_special_tokens=False).input_ids[-1] for label in "ABC"]
        soft = -sum(
            SHARE[row["order"][k]] * float(logs[len(asked) - 1, token])
            for k, token in enumerate(shown)
        )
        sums["taught"] += 0.3 * gold[0] + 0.7 * soft + sum(gold[1:])
        count += len(gold)
    for name in ("taught", "taught-packed", "taught-trees"):
        [loss] = logged(done.place / name, "loss").values()
        assert loss == pytest.approx(sums["taught"] / count, abs=2e-4)
    assert abs(sums["taught"] - sums["untaught"]) / count > 1e-3  # five times what is let pass


def test_a_recipe_that_cannot_be_taught_is_told_why():
    good = {"plugins": PLUGINS, "teacher_letters": "x.jsonl", "teacher_weight": 0.5}
    assert [*recipe_problems(good)] == []
    for change, said in [
        ({"plugins": PLUGINS[::-1]}, "as the last plugin"),
        ({"teacher_weight": None}, "needs teacher_weight"),
        ({"teacher_letters": None}, "without teacher_letters"),
        ({"liger_fused_linear_cross_entropy": True}, "leaves no logits"),
        ({"rl": "orpo"}, "does not go with rl"),
    ]:
        [problem] = recipe_problems(good | change)
        assert said in problem


def test_track_ga_allows_no_teacher(tmp_path):
    params = tmp_path / "params.yaml"
    for track, said in [
        ("ga", ["track 가 allows no teacher; take teacher_letters out"]),
        ("na", []),
    ]:
        params.write_text(f"runs: {{mine: {{track: {track}}}}}")
        taught = {"teacher_letters": "x.jsonl", "datasets": [{"path": "data/mine/stage2.jsonl"}]}
        assert [*track_problems(taught, [], params)] == said


def test_predictions_of_other_questions_are_refused(workplace, tmp_path):
    file = workplace / "data/demo/stage2.jsonl"
    record = next(row["record"] for _, row in read_objects(file))
    two = {"id": record, "order": [0, 1], "logprobs": [-0.7, -0.7], "choice": 0}
    write_rows(tmp_path / "two.jsonl", [two])
    with pytest.raises(UserError, match=r"has 3 options, and .*two\.jsonl predicts 2"):
        letters_of([file], tmp_path / "two.jsonl", None, SimpleNamespace(teacher_weight=1))
