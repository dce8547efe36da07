"""Scoring with weights quantised on loading, by bitsandbytes, and votes over such members."""

import json
from pathlib import Path

import bitsandbytes
import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from core import cuda
from core.errors import UserError
from core.jsonl import read_json, write_json
from eval import model_files, predictions, score
from eval.engines.hf import Engine
from eval.engines.load_hf import compute_as_stored
from eval.targets import require_memory, require_room, weight_bytes
from tests.support.scored_rows import in_bits, save_rows
from tests.support.tiny_models import save_gemma2
from tests.support.vote_case import Case

PROMPTS = [[2, *range(5, 60)], [2, *range(5, 60), 70, 71], [2, 9, 80]]
LETTERS = [[35, 36, 37], [35, 36, 37, 38, 39], [35, 36]]
KINDS = {"4bit": bitsandbytes.nn.Linear4bit, "8bit": bitsandbytes.nn.Linear8bitLt}


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


def found(engine: Engine) -> torch.Tensor:
    return torch.cat([torch.tensor(row) for row in engine.letter_logprobs(PROMPTS, LETTERS)])


@pytest.mark.parametrize("bits", KINDS)
def test_every_linear_layer_but_the_head_is_quantised(gemma: Path, bits: str) -> None:
    """What one pack gives is what each prompt by itself does, near the weights as stored."""
    engine = Engine(gemma, dtype="float32", batch_size=4, load_in=bits)
    kinds = {name: type(module) for name, module in engine.model.named_modules()}
    layers = {kind for name, kind in kinds.items() if name.endswith("_proj")}
    assert layers == {KINDS[bits]}
    assert engine.about["load_in"] == bits
    assert engine.about["head_dtype"] == "float32"
    together = found(engine)
    engine.batch_size = 1
    plain = found(Engine(gemma, dtype="float32", batch_size=4))
    assert (together - found(engine)).abs().max() < (1e-3 if bits == "4bit" else 0.1)
    assert 1e-3 < (together - plain).square().mean().sqrt() < (2 if bits == "4bit" else 0.2)


def test_four_bits_are_those_of_training(gemma: Path) -> None:
    """NF4 with quantised scales, as Axolotl loads a base for QLoRA."""
    four = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
    )
    model = AutoModelForCausalLM.from_pretrained(
        gemma, quantization_config=four, attn_implementation="eager", device_map={"": "cpu"}
    ).eval()
    compute_as_stored(model)
    with torch.inference_mode():
        rows = [model(torch.tensor([p])).logits[0, -1].log_softmax(-1) for p in PROMPTS]
    true = torch.cat([row[letters] for row, letters in zip(rows, LETTERS, strict=True)])
    mine = found(Engine(gemma, dtype="float32", batch_size=4, load_in="4bit"))
    assert (mine - true).abs().max() < 1e-3


def test_the_sidecar_says_the_bits_and_vllm_is_passed_over(
    gemma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_rows(tmp_path / "test.jsonl", 12)
    given = ["--model", str(gemma), "--data", str(tmp_path / "test.jsonl")]
    out = tmp_path / "four.jsonl"
    score.main([*given, "--out", str(out), "--load-in", "4bit"])
    assert "vLLM quantises no weights by bitsandbytes" in capsys.readouterr().out
    first = out.read_bytes()
    meta = predictions.read(out)[1]
    assert meta.load_in == meta.backend["load_in"] == "4bit"
    assert (meta.backend["name"], meta.backend["dtype"]) == ("hf", "float32")
    score.main([*given, "--out", str(out), "--load-in", "4bit"])
    assert out.read_bytes() == first
    score.main([*given, "--out", str(tmp_path / "full.jsonl"), "--backend", "hf"])
    assert predictions.read(tmp_path / "full.jsonl")[1].load_in is None
    assert (tmp_path / "full.jsonl").read_bytes() != first

    with pytest.raises(UserError, match=r"vLLM quantises no weights .*; leave out --backend vllm"):
        score.main([*given, "--out", str(out), "--load-in", "8bit", "--backend", "vllm"])
    with pytest.raises(SystemExit, match="2"):
        score.main([*given, "--out", str(out), "--load-in", "3bit"])


def test_a_driver_too_old_is_not_made_up_for_by_the_cpu(
    gemma: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_room(gemma, "float32", None)  # no GPU at all: the CPU scores

    def init() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). X")

    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(UserError, match=r"too old \(found version 11040\): update the driver"):
        require_room(gemma, "float32", None)


def test_a_partial_run_in_other_bits_is_not_gone_on_with(gemma: Path, tmp_path: Path) -> None:
    from eval import targets
    from eval.engines.interface import Setup

    setups = [Setup("hf", gemma, "float32", 16, 99, load_in=bits) for bits in (None, *KINDS)]
    assert len({targets._key({}, setup) for setup in setups}) == 3


def test_what_cannot_be_quantised_is_refused_before_loading(
    gemma: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "test.jsonl"
    save_rows(data, 3)
    done = save_gemma2(tmp_path / "done")
    given = ["--model", str(done), "--data", str(data), "--out", str(tmp_path / "a.jsonl")]
    config = read_json(done / "config.json")
    for method in ("gptq", "bitsandbytes", "awq"):
        write_json(done / "config.json", config | {"quantization_config": {"quant_method": method}})
        with pytest.raises(UserError, match=rf"quantised already \({method}\); leave out"):
            score.main([*given, "--load-in", "4bit"])
    # as they are stored they are scored, and take what their files do
    stored = sum(file.stat().st_size for file in done.glob("*.safetensors"))
    assert weight_bytes(done, "float32", None) == stored
    monkeypatch.setattr(cuda, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs bitsandbytes, which is not in this environment"):
        model_files.require_quantisable(gemma, "8bit")


@pytest.mark.parametrize(
    ("dtype", "bits", "remedy"),
    [
        ("bfloat16", None, "score with --load-in 8bit or 4bit, or on a larger GPU"),
        ("bfloat16", "8bit", "score with --load-in 4bit, or on a larger GPU"),
        ("float32", "4bit", "score on a larger GPU"),
    ],
)
def test_a_gpu_too_small_is_refused_with_what_helps(
    gemma: Path, dtype: str, bits: str | None, remedy: str
) -> None:
    model = AutoModelForCausalLM.from_pretrained(gemma)
    linear = sum(m.weight.numel() for n, m in model.named_modules() if n.endswith("_proj"))
    kept = sum(p.numel() for p in model.parameters()) - linear
    each = {"bfloat16": 2, "float32": 4}[dtype]
    copied = 0 if dtype == "float32" else 4 * model.get_output_embeddings().weight.numel()
    needed = copied + kept * each + linear * {None: each, "8bit": 1, "4bit": 0.5}[bits]
    assert weight_bytes(gemma, dtype, bits) == needed
    require_memory(gemma, dtype, bits, int(needed))
    with pytest.raises(UserError, match=f"the head in float32, take .*; {remedy}"):
        require_memory(gemma, dtype, bits, int(needed) - 1)


def test_members_in_different_bits_vote_only_where_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = Case(tmp_path)
    four = in_bits(case.scored("four.jsonl", "01201"), "4bit")
    eight = in_bits(case.scored("eight.jsonl", "01200"), "8bit")
    full = case.scored("full.jsonl", "01201")
    case.refused(
        "eight.jsonl: scored in 8 bits, and .*four.jsonl in 4 bits; .*--mixed", four, eight
    )
    case.refused("four.jsonl: scored in 4 bits, and .*full.jsonl as stored", full, four)
    capsys.readouterr()
    case.vote(four, in_bits(case.scored("too.jsonl", "01200"), "4bit"))
    assert "in 4 bits" not in capsys.readouterr().out

    votes = tmp_path / "votes.jsonl"
    case.vote(four, full, eight, more=("--mixed", "--votes", str(votes)))
    said = capsys.readouterr().out
    assert f"scored in 4 bits: {four}\n" in said
    assert f"scored as stored: {full}\n" in said
    members = json.loads(votes.with_suffix(".meta.json").read_text("utf-8"))["members"]
    assert [member["load_in"] for member in members] == ["4bit", None, "8bit"]
