"""Adapters of several members become one, by arithmetic that can be done by hand."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils.merge_utils import ties
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM

from core.errors import UserError
from core.files import sha256
from recipes.combine import main
from recipes.weights.combining import factors, merged_pairs
from recipes.weights.lora import WEIGHTS, read_adapter
from recipes.weights.merging import merge
from tests.support.tiny_models import save_adapter, save_llama
from tests.support.training_rows import training_row, write_rows

LAYERS = ["q_proj", "down_proj"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("base"))


@pytest.fixture
def member(base, tmp_path):
    """Make an adapter as a recipe leaves it, with a record of its base."""

    def make(name, seed=1, **config):
        folder = save_adapter(
            tmp_path / name, base, seed=seed, **{"target_modules": LAYERS, **config}
        )
        record = {"base": {p.name: sha256(p) for p in base.glob("*.safetensors")}}
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    return make


def mixed(monkeypatch, folders, out, *options):
    names = ["--adapter", *map(str, folders), "--out", str(out), *map(str, options)]
    monkeypatch.setattr("sys.argv", ["adapters.py", *names])
    main()
    return read_adapter(out)


def change(adapter, module):
    down, up = adapter.pair(module)
    return adapter.scale(module, len(down)) * up @ down


def of_numbers(*pairs, scale=1.0):
    """Members of one layer, from A and B written by hand."""
    return [
        SimpleNamespace(
            modules={"q"},
            pair=lambda _, a=a, b=b: (torch.tensor(a), torch.tensor(b)),
            scale=lambda *_: scale,
        )
        for a, b in pairs
    ]


# D1 = [[4, 2], [0, 0]] and D2 = [[-6, 0], [0, 8]]: B A of these, times 2
ONE = ([[2.0, 1.0]], [[1.0], [0.0]])
TWO = ([[-3.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("method", "weights", "density", "result"),
    [
        ("linear", [1.0, 1.0], 1.0, [[-2.0, 2.0], [0.0, 8.0]]),
        ("linear", [0.5, -1.0], 1.0, [[8.0, 1.0], [0.0, -8.0]]),
        # of D1 stays [4, 2], of D2 [-6, 8]; at the first number D2 is the stronger
        ("ties", [1.0, 1.0], 0.5, [[-6.0, 2.0], [0.0, 8.0]]),
        ("ties", [1.0, 0.5], 0.25, [[4.0, 0.0], [0.0, 4.0]]),
    ],
)
@pytest.mark.parametrize("rank", [None, 2])
def test_results_by_hand(method, weights, density, result, rank):
    members = of_numbers(ONE, TWO, scale=2.0)
    pairs, kept = merged_pairs(members, weights, method, density, rank)
    down, up = pairs["q"]
    torch.testing.assert_close(up @ down, torch.tensor(result), rtol=0, atol=1e-5)
    assert kept == pytest.approx(1)


def test_a_rank_too_small_says_how_much_it_keeps():
    pairs, kept = merged_pairs(of_numbers(TWO), [1.0], "linear", rank=1)
    down, up = pairs["q"]
    torch.testing.assert_close(up @ down, torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
    assert kept == pytest.approx(16 / 25)


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_factors_are_the_nearest_product(rows, columns, rank, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=generator)
    down, up = factors(matrix, rank)
    rest = torch.linalg.svdvals(matrix)[rank:].square().sum()
    assert float((matrix - up @ down).square().sum()) == pytest.approx(float(rest), abs=1e-4)


def test_dare_keeps_a_share_and_depends_on_seed_and_weight_alone():
    flat = ([[1.0] * 64], [[1.0]] * 64)
    members = of_numbers(flat, flat)

    def dared(seed, names=("q",), method="dare-linear"):
        for one in members:
            one.modules = set(names)
        pairs, _ = merged_pairs(members, [1.0, 0.0], method, 0.25, 64, seed)
        down, up = pairs["q"]
        return up @ down

    first = dared(1)
    torch.manual_seed(5)
    assert torch.equal(dared(1), first)
    assert torch.equal(dared(1, ("a", "q")), first)
    assert not torch.allclose(dared(2), first)
    # a quarter stays, four times as large
    share = float((first > 2).float().mean())
    assert share == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(first, 4.0 * (first > 2), rtol=0, atol=1e-3)
    # the second member has no say but in the mean's count
    ties_ = dared(1, method="dare-ties")
    assert {round(float(x)) for x in ties_.unique()} <= {0, 2, 4}


@torch.inference_mode()
def test_linear_of_unlike_members_is_the_sum_of_their_logits_changes(
    base, member, tmp_path, monkeypatch, capsys
):
    """Members that differ in r, alpha and scaling: each counts as it was trained."""
    a = member("a", 1, r=4, lora_alpha=16)
    b = member("b", 2, r=6, lora_alpha=3, use_rslora=True)
    out = mixed(monkeypatch, [a, b], tmp_path / "mix", "--weights", 0.7, -0.4)
    assert "6 pairs of 2 members by linear, rank 10, 100.0% of the change kept" in (
        capsys.readouterr().out
    )
    one, other = read_adapter(a), read_adapter(b)
    for module in out.modules:
        wanted = 0.7 * change(one, module) - 0.4 * change(other, module)
        torch.testing.assert_close(change(out, module), wanted, rtol=0, atol=1e-5)

    write_rows(tmp_path / "rows.jsonl", [training_row(n) for n in range(3)])
    recipe = {"base_model": str(base), "datasets": [{"path": str(tmp_path / "rows.jsonl")}]}
    merge(recipe, out.folder, tmp_path / "merged")
    before = load_file(base / "model.safetensors")
    after = load_file(tmp_path / "merged/model.safetensors")
    for module in out.modules:
        wanted = before[f"{module}.weight"] + change(out, module)
        torch.testing.assert_close(after[f"{module}.weight"], wanted, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_linear_is_peft_where_peft_is_right(base, member, tmp_path, monkeypatch):
    a, b = member("a", 1), member("b", 2, r=8)
    out = mixed(monkeypatch, [a, b], tmp_path / "mix", "--weights", 0.5, 0.5)
    model = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    both = PeftModel.from_pretrained(model, a, adapter_name="a")
    both.load_adapter(b, "b")
    both.add_weighted_adapter(["a", "b"], [0.5, 0.5], "cat", combination_type="cat")
    both.set_adapter("cat")
    ids = torch.arange(20, 60)[None]
    wanted = both.eval()(ids).logits
    both.load_adapter(out.folder, "mix")
    both.set_adapter("mix")
    torch.testing.assert_close(both.eval()(ids).logits, wanted, rtol=0, atol=1e-4)


def layer(alpha, rslora=False, seeds=(1, 2)):
    """A layer with two adapters of PEFT's own, and their changes."""
    model = nn.Sequential(nn.Linear(8, 8, bias=False))
    config = LoraConfig(r=4, lora_alpha=alpha, use_rslora=rslora, target_modules=["0"])
    peft = get_peft_model(model, config, "a")
    peft.add_adapter("b", config)
    linear = peft.base_model.model[0]
    for name, seed in zip("ab", seeds, strict=True):
        generator = torch.Generator().manual_seed(seed)
        for half in (linear.lora_A[name].weight, linear.lora_B[name].weight):
            half.data = torch.randn(half.shape, generator=generator)
    return peft, linear


@torch.no_grad()
def test_why_not_by_pefts_own_merge():
    """Where `add_weighted_adapter` of the pinned PEFT is no sum of changes; fixed, this fails."""
    weights = [0.5, 0.5]

    def by(kind, **options):
        peft, linear = layer(**options)
        peft.base_model.add_weighted_adapter(["a", "b"], weights, "m", kind, svd_rank=8)
        wanted = sum(0.5 * linear.get_delta_weight(name) for name in "ab")
        return linear.get_delta_weight("m"), wanted

    found, wanted = by("linear", alpha=4)  # A and B apart: products of one with the other
    assert (found - wanted).norm() > 0.5 * wanted.norm()
    found, wanted = by("svd", alpha=4)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    found, wanted = by("svd", alpha=16)  # alpha / r once too often
    torch.testing.assert_close(found, 4 * wanted, rtol=0, atol=1e-3)
    found, wanted = by("cat", alpha=4, rslora=True)  # alpha = r, and yet over the root of r
    torch.testing.assert_close(found, wanted * 8**0.5, rtol=0, atol=1e-3)


def test_ties_of_real_members_is_ties_of_their_changes(member, tmp_path, monkeypatch):
    a, b = member("a", 1), member("b", 2, use_rslora=True)
    options = ("--method", "ties", "--density", 0.3, "--rank", 64)
    out = mixed(monkeypatch, [a, b], tmp_path / "mix", *options)
    members = [read_adapter(a), read_adapter(b)]
    for module in out.modules:
        changes = [change(one, module) for one in members]
        wanted = ties(changes, torch.ones(2), 0.3)
        torch.testing.assert_close(change(out, module), wanted, rtol=0, atol=1e-4)


def test_the_result_is_an_adapter_that_says_what_it_is_made_of(member, tmp_path, monkeypatch):
    a, b = member("a", 1), member("b", 2)
    options = ("--method", "dare-ties", "--density", 0.5, "--seed", 3)
    out = mixed(monkeypatch, [a, b], tmp_path / "mix", *options).folder
    record = json.loads((out / "run.json").read_text())
    assert record["base"] == json.loads((a / "run.json").read_text())["base"]
    assert [(m["adapter"], m["weight"]) for m in record["members"]] == [(str(a), 1), (str(b), 1)]
    assert (record["method"], record["density"], record["seed"]) == ("dare-ties", 0.5, 3)
    assert 0.3 < record["kept"] < 1
    assert (out / "tokenizer.json").read_bytes() == (a / "tokenizer.json").read_bytes()
    weights = (out / WEIGHTS).read_bytes()
    assert (mixed(monkeypatch, [a, b], out, *options).folder / WEIGHTS).read_bytes() == weights


@pytest.mark.parametrize(
    ("config", "edit", "said"),
    [
        ({"target_modules": ["q_proj"]}, {}, r"adapts other layers than .*down_proj"),
        ({"use_dora": True}, {}, r"trains magnitudes \(DoRA\)"),
        ({"modules_to_save": ["lm_head"]}, {}, "trains full weights"),
        ({}, {"run.json": '{"base": {"model.safetensors": "0"}}'}, "on another base than"),
        ({}, {"run.json": None}, r"no run\.json that names its base"),
        ({}, {"run.json": '{"base": "acme/tiny"}'}, r"no run\.json that names its base"),
        ({}, {"chat_template.jinja": "x"}, "another tokenizer or chat template than"),
        ({}, {WEIGHTS: None}, "name the folder of a finished adapter"),
    ],
)
def test_members_that_do_not_fit_are_refused(member, tmp_path, monkeypatch, config, edit, said):
    a, b = member("a", 1), member("b", 2, **config)
    for name, text in edit.items():
        (b / name).unlink() if text is None else (b / name).write_text(text)
    with pytest.raises(UserError, match=said) as refused:
        mixed(monkeypatch, [a, b], tmp_path / "mix")
    assert str(b) in str(refused.value)
    assert not list(tmp_path.glob("*mix*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--weights", 1], "give 2 numbers"),
        (["--weights", 1, "nan"], "give 2 numbers"),
        (["--method", "ties"], "--density: needed for ties"),
        (["--density", 0.5], "of no use for linear"),
        (["--method", "ties", "--density", 0], "give a share over 0"),
        (["--rank", 0], "give a whole number from 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path, monkeypatch, options, said):
    with pytest.raises(UserError, match=said):
        mixed(monkeypatch, [tmp_path / "a", tmp_path / "b"], tmp_path / "mix", *options)
    with pytest.raises(UserError, match="two or more different folders"):
        mixed(monkeypatch, [tmp_path / "a", tmp_path / "a"], tmp_path / "mix")


def test_an_older_result_survives_a_refusal(member, tmp_path, monkeypatch):
    a, b = member("a", 1), member("b", 2)
    out = mixed(monkeypatch, [a, b], tmp_path / "mix").folder
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shutil.rmtree(b)
    with pytest.raises(UserError):
        mixed(monkeypatch, [a, b], tmp_path / "mix")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("out", ["a", "b/../b", "", "trained"])
def test_no_member_and_no_training_is_replaced(member, tmp_path, monkeypatch, out):
    a, b = member("a", 1), member("b", 2)
    member("trained", 3)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"which is read|holds a training"):
        mixed(monkeypatch, [a, b], tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before
