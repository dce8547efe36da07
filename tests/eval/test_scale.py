"""Large jobs: a killed run continues, too little memory means smaller batches."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eval import runner, score
from eval.engines.hf import Engine
from tests.support.adapter_scoring import four_adapters, options
from tests.support.scored_rows import save_rows
from tests.support.tiny_models import save_gemma2

SCORE = """
import sys
from eval import runner as blocks, score
blocks.BLOCK = 8
score.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def four(gemma: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return four_adapters(tmp_path_factory.mktemp("adapters"), gemma)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many prompts each call to the engine held."""
    counts: list[int] = []
    real = Engine.letter_logprobs

    def spy(self: Engine, prompts: list, letters: list) -> list[list[float]]:
        counts.append(len(prompts))
        return real(self, prompts, letters)

    monkeypatch.setattr(Engine, "letter_logprobs", spy)
    return counts


def test_a_killed_run_continues_and_ends_in_the_same_bytes(
    gemma: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counted: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runner, "BLOCK", 8)
    data, out, partial = (tmp_path / name for name in ("d.jsonl", "a.jsonl", "a.jsonl.partial"))
    save_rows(data, 400)
    command = [sys.executable, "-c", SCORE, *options(gemma, data, out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
        while child.poll() is None:
            if partial.is_file() and partial.read_bytes().count(b"\n") > 3:
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
    assert child.returncode == -signal.SIGKILL
    assert not out.exists()
    assert not out.with_suffix(".meta.json").exists()
    with partial.open("a") as file:
        file.write('{"block": 49, "pla')  # a kill in the midst of writing
    kept = partial.read_bytes().count(b"\n") - 1

    score.main(options(gemma, data, out))
    assert f"going on after {8 * kept} of 400 rows" in capsys.readouterr().out
    assert sum(counted) == 400 - 8 * kept
    assert not partial.exists()
    score.main(options(gemma, data, tmp_path / "uninterrupted.jsonl"))
    assert out.read_bytes() == (tmp_path / "uninterrupted.jsonl").read_bytes()


@pytest.mark.parametrize(
    "left", [b'{"key": "another"}\n{"block": 0}\n', b"\xff\xfe\n", b"[\n", b"{"]
)
def test_what_another_run_left_is_not_gone_on_with(
    left: bytes,
    gemma: Path,
    tmp_path: Path,
    counted: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = tmp_path / "d.jsonl", tmp_path / "a.jsonl"
    save_rows(data, 4)
    (tmp_path / "a.jsonl.partial").write_bytes(left)
    score.main(options(gemma, data, out))
    assert "left by another model, data or setting; starting anew" in capsys.readouterr().out
    assert counted == [4]


def test_the_members_of_a_killed_command_are_not_scored_again(
    gemma: Path, four: dict[str, Path], tmp_path: Path, counted: list[int]
) -> None:
    data, out = tmp_path / "d.jsonl", tmp_path / "out"
    save_rows(data, 6)
    named = [f"{name}={folder}" for name, folder in four.items()]
    command = options(gemma, data, out, "--adapter", *named[:2])
    engine = adapters_fail_after(1, counted)
    with pytest.raises(KeyboardInterrupt), engine:
        score.main(command)
    assert (out / "a.jsonl").exists()
    assert not (out / "b.jsonl").exists()
    counted.clear()
    score.main(command)
    assert counted == [6]  # b's alone
    assert {path.name for path in out.iterdir()} == {
        f"{name}.{end}" for name in "ab" for end in ("jsonl", "meta.json")
    }


def adapters_fail_after(calls: int, counted: list[int]) -> pytest.MonkeyPatch:
    """A context in which the engine is interrupted when it has answered that often."""
    patch = pytest.MonkeyPatch()
    spy = Engine.letter_logprobs

    def interrupted(self: Engine, prompts: list, letters: list) -> list[list[float]]:
        if len(counted) == calls:
            raise KeyboardInterrupt
        return spy(self, prompts, letters)

    patch.setattr(Engine, "letter_logprobs", interrupted)
    return patch.context()


MEMORY = """
import resource, sys
from pathlib import Path
from eval.engines.hf import Engine
engine = Engine(Path(sys.argv[1]), dtype="float32", batch_size=64)
prompts = [[row + 3] * 200 for row in range(64)]
letters = [[35, 36]] * 64
engine.letter_logprobs(prompts[:1], letters[:1])
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 200 * 2**20,) * 2)
found = engine.letter_logprobs(prompts, letters)
assert len(found) == 64 and all(len(row) == 2 for row in found)
print(engine.about["batch_size"])
try:
    engine.letter_logprobs([[5] * 20_000], letters[:1])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_too_little_memory_means_smaller_batches(tmp_path: Path) -> None:
    """A real one: the process may not have the 400 MB of the keys and values of 64 rows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        head_dim=4096,
        max_position_embeddings=32_000,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    size, refusal = done.stdout.splitlines()
    assert int(size) < 64
    assert f"out of memory: going on with a batch size of {size}" in done.stderr
    assert refusal.startswith("UserError a prompt of 20000 tokens does not fit into the memory")
