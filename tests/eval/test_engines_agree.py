"""Every way of scoring gives what transformers' own attention gives each prompt by itself.

Soft-cap, sliding window shorter than the prompt, biases, grouped heads; any batch size, the prefix
cache on and off, prompts that share beginnings as the questions on a dialogue do. vLLM runs in its
own environment, as it does for a user; without one its tests are skipped.
"""

import json
import math
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from eval import predictions
from eval.engines.hf import Engine
from tests.support.paths import ROOT, VLLM
from tests.support.scored_rows import save_rows
from tests.support.scoring_engines import TOLERANCE, needs_vllm
from tests.support.tiny_models import save_gemma2, save_llama, save_qwen2

# bfloat16 on these widely drawn weights, where a prompt's letters lie 4 nats apart; measured: 0.02
# (Gemma-2, whose caps hold it back) to 0.14 (Llama) root mean square, and 0.09 to 0.71 at most
HALF_RMS, HALF_APART = 0.2, 1.0
EDGE = 128  # a multiple of the tokens of a block of vLLM's prefix cache, which holds full blocks
MODELS = {"gemma2": save_gemma2, "llama": save_llama, "qwen2": save_qwen2}
# model, dtype, batch size, prefix cache
SETTINGS = [
    ("gemma2", "float32", 1, True),
    ("gemma2", "float32", 3, False),
    ("gemma2", "float32", 16, True),
    ("gemma2", "float32", 64, False),
    ("llama", "float32", 1, False),
    ("llama", "float32", 3, True),
    ("llama", "float32", 64, True),
    ("qwen2", "float32", 16, False),
    ("qwen2", "float32", 64, True),
    ("gemma2", "bfloat16", 16, True),
    ("llama", "bfloat16", 64, False),
    ("qwen2", "bfloat16", 3, True),
]
Values = list[list[float]]

SCORE = """
import json, sys
from contextlib import closing
from pathlib import Path
from eval.engines.vllm import LLM, Engine

cached, many = [], list(range(3, 303))
generate = LLM.generate

def watched(*args, **kwargs):
    outputs = generate(*args, **kwargs)
    cached.append(sum(output.num_cached_tokens for output in outputs))
    return outputs

LLM.generate = watched

def scored(folder, dtype, batch, prefix_cache, prompts, letters):
    settings = {"dtype": dtype, "batch_size": batch, "prefix_cache": prefix_cache}
    cached.clear()
    with closing(Engine(Path(folder), longest=max(map(len, prompts)), **settings)) as engine:
        first = engine.letter_logprobs(prompts, letters)
        again = engine.letter_logprobs(prompts, letters)
        common = {"first": first, "again": again, "cached": sum(cached), "about": engine.about}
        return common | {"many": engine.letter_logprobs(prompts[:2], [many, many[:2]])}

if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    found = [scored(*one, job["prompts"], job["letters"]) for one in job["settings"]]
    Path(sys.argv[2]).write_text(json.dumps(found))
"""


def prompts() -> list[list[int]]:
    """Prompts as dialogues give them, 3 to 330 tokens, in no order.

    Of each dialogue 3 to 5 questions; besides them a doubled one, some that are the beginning of
    others, at and next to the edge of a block, and a short one that shares nothing.
    """
    rng = random.Random(1)

    def some(count: int) -> list[int]:
        return [rng.randrange(3, 470) for _ in range(count)]

    head, made = [2, *some(20)], []
    for _ in range(8):
        talk = [*head, *some(rng.randrange(60, 260))]
        made += [[*talk, *some(rng.randrange(4, 50))] for _ in range(rng.randrange(3, 6))]
    longest = max(made, key=len)
    made += [longest, longest[:-1], *(longest[: EDGE + step] for step in (-1, 0, 1))]
    made += [longest[: 2 * EDGE], some(3)]
    rng.shuffle(made)
    return made


PROMPTS = prompts()
MANY = list(range(3, 303))  # next tokens of one prompt: more than vLLM answers in one request
LETTERS = [[35, 36, 37] if row % 2 else [35, 36, 37, 38, 39] for row in range(len(PROMPTS))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in MODELS.items()}


@torch.inference_mode()
def alone(
    folder: Path, prompts: list[list[int]] = PROMPTS, tokens: list[list[int]] = LETTERS
) -> Values:
    """Their log-probabilities by eager attention in float32, one prompt after another."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    found = []
    for prompt, letters in zip(prompts, tokens, strict=True):
        logits = model(torch.tensor([prompt]), use_cache=False).logits[0, -1]
        found.append(logits.log_softmax(-1)[letters].tolist())
    return found


@pytest.fixture(scope="module")
def truth(folders: dict[str, Path]) -> dict[str, Values]:
    return {name: alone(folder) for name, folder in folders.items()}


def apart(one: Values, other: Values) -> float:
    """The greatest difference between two log-probabilities of one letter."""
    pairs = zip(one, other, strict=True)
    return max(abs(a - b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))


def choices(found: Values) -> list[int]:
    return [values.index(max(values)) for values in found]


def rms(one: Values, other: Values) -> float:
    """Root mean square difference."""
    pairs = zip(one, other, strict=True)
    squares = [(a - b) ** 2 for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True)]
    return math.sqrt(math.fsum(squares) / len(squares))


def same(found: Values, true: Values) -> None:
    """float32: every log-probability within the tolerance, every choice the same."""
    assert apart(found, true) < TOLERANCE
    assert choices(found) == choices(true)


def near(found: Values, true: Values) -> None:
    """bfloat16 against float32: near on average, and another choice only where two were near."""
    assert 1e-3 < rms(found, true) < HALF_RMS  # the lower bound: it is bfloat16 indeed
    assert apart(found, true) < HALF_APART
    for chosen, values in zip(choices(found), true, strict=True):
        assert max(values) - values[chosen] < HALF_APART


def test_the_comparison_is_no_empty_one(truth: dict[str, Values]) -> None:
    """Every letter is chosen somewhere, and what a dialogue shares leaves its questions apart."""
    for found in truth.values():
        assert set(choices(found)) == {0, 1, 2, 3, 4}
        assert len({tuple(values) for values in found}) >= len(PROMPTS) - 1  # but for the doubled


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [1, 3, 16, 64])
@pytest.mark.parametrize("name", MODELS)
def test_transformers_agrees(
    name: str, batch: int, dtype: str, folders: dict[str, Path], truth: dict[str, Values]
) -> None:
    engine = Engine(folders[name], dtype=dtype, batch_size=batch)
    agree = same if dtype == "float32" else near
    agree(engine.letter_logprobs(PROMPTS, LETTERS), truth[name])


@pytest.fixture(scope="module")
def by_vllm(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple, dict[str, Any]]:
    """What vLLM finds under each of SETTINGS, all in one process."""
    folder = tmp_path_factory.mktemp("vllm")
    script, given, found = folder / "score_ids.py", folder / "job.json", folder / "found.json"
    script.write_text(SCORE)
    settings = [(str(folders[name]), *rest) for name, *rest in SETTINGS]
    given.write_text(json.dumps({"settings": settings, "prompts": PROMPTS, "letters": LETTERS}))
    python = sys.executable if find_spec("vllm") else str(VLLM)
    command = [python, str(script), str(given), str(found)]
    little = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB: other tests need memory too
    done = subprocess.run(command, env=little, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(SETTINGS, json.loads(found.read_text()), strict=True))


@needs_vllm
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: "-".join(map(str, setting)))
def test_vllm_agrees(setting: tuple, by_vllm: dict, truth: dict[str, Values]) -> None:
    name, dtype, batch, prefix_cache = setting
    found = by_vllm[setting]
    agree = same if dtype == "float32" else near
    agree(found["first"], truth[name])
    assert found["again"] == found["first"]
    assert found["about"]["batch_size"] == batch
    assert found["about"]["enable_prefix_caching"] is prefix_cache
    assert (found["cached"] > 0) is prefix_cache
    assert found["about"]["head_dtype"] == "float32"


@needs_vllm
def test_vllm_answers_for_many_tokens_of_one_prompt(by_vllm: dict, folders: dict) -> None:
    """All options of a block of rows are asked for after one neutral context."""
    true = alone(folders["llama"], PROMPTS[:2], [MANY, MANY[:2]])
    found = by_vllm["llama", "float32", 3, True]["many"]
    assert [len(values) for values in found] == [300, 2]
    assert apart(found, true) < TOLERANCE


@needs_vllm
@pytest.mark.parametrize("version", ["0.20.2", "0.25.1"])
def test_a_vllm_whose_letters_tie_is_refused(version: str) -> None:
    script = (
        "import sys\nfrom eval.engines import vllm as engine\n"
        "from pathlib import Path\nfrom core.errors import UserError\n"
        "engine.vllm.__version__ = sys.argv[1]\ntry:\n"
        "    engine.Engine(Path('none'), dtype='bfloat16', batch_size=1, longest=9)\n"
        "except UserError as error:\n    print(error)\n"
    )
    python = sys.executable if find_spec("vllm") else str(VLLM)
    command = [python, "-c", script, version]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"vLLM {version} computes logits in the model's own precision")


# What can change a number, or says what made it; the sidecar holds it for both engines.
SIDECAR = (
    "method model weights_sha256 adapter adapter_sha256 chat_template_sha256 data prompts backend "
    "letter_mass time predictions_sha256"
).split()
BACKEND = "name versions device dtype head_dtype attention batch_size".split()
VLLM_TOO = "enable_prefix_caching tensor_parallel_size".split()


@needs_vllm
def test_the_command_agrees_repeats_itself_and_says_what_made_it(tmp_path: Path) -> None:
    model, data = save_gemma2(tmp_path / "model"), tmp_path / "test.jsonl"
    save_rows(data, 60)
    found = {}
    for name, backend in (("hf", "hf"), ("vllm", "auto"), ("again", "vllm")):
        out = tmp_path / f"{name}.jsonl"
        command = [sys.executable, "eval/score.py", "--model", str(model), "--data", str(data)]
        command += ["--out", str(out), "--backend", backend]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        found[name], _ = predictions.read(out)
        meta = json.loads(out.with_suffix(".meta.json").read_text(encoding="utf-8"))
        engine = "hf" if name == "hf" else "vllm"
        assert meta["backend"]["name"] == engine
        assert set(SIDECAR) <= meta.keys()
        assert {*BACKEND, *(VLLM_TOO if engine == "vllm" else [])} <= meta["backend"].keys()
        libraries = {"torch", "transformers" if engine == "hf" else "vllm"}
        assert libraries <= meta["backend"]["versions"].keys()
    assert (tmp_path / "vllm.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert len({one.choice for one in found["hf"].values()}) == 3  # the comparison is no empty one
    for id_, one in found["hf"].items():
        assert found["vllm"][id_].choice == one.choice
        assert found["vllm"][id_].logprobs == pytest.approx(one.logprobs, rel=0, abs=TOLERANCE)
