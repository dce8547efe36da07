"""Adapters: several over one engine, what vLLM does not serve, what is refused."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from core.errors import UserError
from eval import model_files, predictions, score
from eval.engines import loader
from tests.support.adapter_scoring import four_adapters, options
from tests.support.paths import ROOT
from tests.support.scored_rows import save_rows
from tests.support.scoring_engines import needs_vllm
from tests.support.tiny_models import save_adapter, save_gemma2, save_llama


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def four(gemma: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return four_adapters(tmp_path_factory.mktemp("adapters"), gemma)


def test_adapters_of_one_engine_score_as_they_do_alone(
    gemma: Path, four: dict[str, Path], tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    save_rows(data, 12)
    named = [f"{name}={folder}" for name, folder in four.items()]
    score.main(options(gemma, data, tmp_path / "all", "--adapter", *named))
    seen = set()
    for name, folder in four.items():
        alone = tmp_path / f"{name}.jsonl"
        score.main(options(gemma, data, alone, "--adapter", str(folder)))
        together = tmp_path / "all" / f"{name}.jsonl"
        assert together.read_bytes() == alone.read_bytes()
        seen.add(alone.read_bytes())
        meta = json.loads(together.with_suffix(".meta.json").read_text("utf-8"))
        assert meta["adapter"] == str(folder)
        assert meta["backend"]["adapters"] == 4
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, None),
        ({"use_rslora": True, "rank_pattern": {"q_proj": 2}}, None),
        ({"use_dora": True}, "uses DoRA"),
        ({"target_modules": ["q_proj", "lm_head"]}, "adapts the head or the embeddings"),
        ({"modules_to_save": ["lm_head"]}, "trains modules in full"),
        ({"bias": "lora_only"}, "trains biases"),
        ({"r": 600}, "has rank 600, over 512"),
    ],
)
def test_what_vllm_does_not_serve_is_named(
    config: dict, reason: str | None, gemma: Path, tmp_path: Path
) -> None:
    folder = save_adapter(tmp_path, gemma, **config)
    said = loader.unfit(gemma, [folder])
    assert said == (reason and said)
    assert reason is None or (reason in said and "vLLM does not serve" in said)


@needs_vllm
def test_vllm_serves_the_adapters_that_it_can(gemma: Path, tmp_path: Path) -> None:
    """Of different ranks and scales, in one engine; the numbers are those of PEFT."""
    data = tmp_path / "d.jsonl"
    save_rows(data, 30)
    ranks = {"r": 8, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}}
    named = [
        f"plain={save_adapter(tmp_path / 'plain', gemma)}",
        f"other={save_adapter(tmp_path / 'other', gemma, seed=2, use_rslora=True, **ranks)}",
    ]
    for backend_name in ("hf", "vllm"):
        command = options(gemma, data, tmp_path / backend_name, "--adapter", *named)
        command[command.index("--backend") + 1] = backend_name
        done = subprocess.run(
            [sys.executable, "eval/score.py", *command], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
    for name in ("plain", "other"):
        one, two = (
            predictions.read(tmp_path / folder / f"{name}.jsonl") for folder in ("hf", "vllm")
        )
        assert two[1].backend["name"] == "vllm"
        assert two[1].backend["max_lora_rank"] == 8
        for id_, prediction in one[0].items():
            assert two[0][id_].logprobs == pytest.approx(prediction.logprobs, rel=0, abs=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU vLLM serves adapters")
def test_on_a_cpu_transformers_scores_adapters(
    gemma: Path, four: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "d.jsonl"
    save_rows(data, 3)
    command = options(gemma, data, tmp_path / "a.jsonl", "--adapter", str(four["a"]))
    command[command.index("--backend") + 1] = "auto"
    score.main(command)
    assert "scoring with transformers: on a CPU it takes" in capsys.readouterr().out
    assert predictions.read(tmp_path / "a.jsonl")[1].backend["name"] == "hf"
    assert loader.slow([]) is None


def test_the_reason_is_printed_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert loader.choose("auto", ["a uses DoRA"], []) == ["hf"]
    assert "scoring with transformers: a uses DoRA" in capsys.readouterr().out
    with pytest.raises(UserError, match="a uses DoRA; leave out --backend vllm"):
        loader.choose("vllm", ["a uses DoRA"], [])


def test_a_gemma2_with_a_head_of_its_own_is_not_vllms(gemma: Path, tmp_path: Path) -> None:
    """As a merge leaves it where head and embeddings part."""
    assert loader.unfit(gemma, []) is None
    model = AutoModelForCausalLM.from_pretrained(gemma)
    model.lm_head.weight = torch.nn.Parameter(2 * model.lm_head.weight.detach())
    model.config.tie_word_embeddings = False
    model.save_pretrained(tmp_path)
    if not find_spec("vllm"):
        assert "replicas need vLLM and Ray in one environment" in loader.unfit(
            gemma, [], on_ray=True
        )
    assert "has a head of its own" in loader.unfit(tmp_path, [])
    assert loader.unfit(save_llama(tmp_path / "llama"), []) is None  # vLLM knows Llama's head


def test_an_adapter_of_another_base_is_refused(
    gemma: Path, four: dict[str, Path], tmp_path: Path
) -> None:
    assert model_files.resolve_adapter(four["a"], gemma) == four["a"]
    with pytest.raises(UserError, match=r"made for .*, not for .*name the adapter of this base"):
        model_files.resolve_adapter(four["a"], save_gemma2(tmp_path / "sibling", seed=9))
    said = json.loads((four["a"] / "adapter_config.json").read_text())
    moved = save_adapter(tmp_path / "moved", gemma)
    (moved / "adapter_config.json").write_text(
        json.dumps({**said, "base_model_name_or_path": "gone/away"})
    )
    assert model_files.resolve_adapter(moved, gemma) == moved
    with pytest.raises(UserError, match=r"adapts model\.layers\.\S+ of \d+ x \d+, and .* none"):
        model_files.resolve_adapter(moved, save_llama(tmp_path / "llama"))


def test_adapters_of_several_models_are_refused(gemma: Path, tmp_path: Path) -> None:
    save_rows(tmp_path / "d.jsonl", 2)
    command = options(gemma, tmp_path / "d.jsonl", tmp_path / "out", "--adapter", "x")
    command.insert(1, f"other={gemma}")
    with pytest.raises(UserError, match="--adapter is for one --model, not 2"):
        score.main(command)
