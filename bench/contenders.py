"""Who is measured by the scoring bench, each in a process of its own, and the matrices' rate.

bench/scoring.py starts it as: python bench/contenders.py NAME FOLDER, with a model in FOLDER
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from bench.workload import device
from core.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

VLLM = Path(os.environ.get("MAERAK_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
LETTERS = [35, 36, 37]
LOOP = "loop: one item, no cache"
SEGMENTS = "transformers, shared beginnings"
FUSED = "transformers, shared beginnings, fused attention"
MORE = "transformers, shared beginnings, fused attention, 64 at a time"
PLAIN, WAVES = "vLLM as it comes", "vLLM, in waves"
RATE = "matrices"


def contender(name: str, folder: Path) -> Callable[[list[list[int]]], list[list[float]]]:
    """What a worker runs: prompts in, log-probabilities of the three letters out."""
    if name == LOOP:
        import torch
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16, attn_implementation="eager"
        ).to(device())

        @torch.inference_mode()
        def loop(rows: list[list[int]]) -> list[list[float]]:
            inputs = (torch.tensor([row], device=model.device) for row in rows)
            logits = [model(one, use_cache=False).logits[0, -1] for one in inputs]
            return [one.float().log_softmax(-1)[LETTERS].tolist() for one in logits]

        return loop
    if name in (SEGMENTS, FUSED, MORE):
        from eval.engines import hf

        size = 64 if name == MORE else 16
        engine = hf.Engine(folder, dtype="bfloat16", batch_size=size)
        engine.fused = name != SEGMENTS
        return lambda rows: engine.letter_logprobs(rows, [LETTERS] * len(rows))
    from eval.engines import vllm

    if name == PLAIN:
        vllm.BLOCK = 128  # vLLM's own
    served = vllm.Engine(folder, dtype="bfloat16", batch_size=16, longest=2000)

    def plain(rows: list[list[int]]) -> list[list[float]]:
        served.llm.reset_prefix_cache()
        return served._next_token(rows, [LETTERS] * len(rows))

    return (
        plain if name == PLAIN else lambda rows: served.letter_logprobs(rows, [LETTERS] * len(rows))
    )


def rate(folder: Path) -> list[float]:
    """Products and sums a second of the layers' matrices with 2,048 tokens, the best of some.

    By the clock, and by the second that one core works.
    """
    import torch
    from transformers import AutoConfig

    wait = torch.cuda.synchronize if torch.cuda.is_available() else (lambda: None)
    config = AutoConfig.from_pretrained(folder)
    width, wide = config.hidden_size, config.intermediate_size
    head = getattr(config, "head_dim", None) or width // config.num_attention_heads
    heads, few = (n * head for n in (config.num_attention_heads, config.num_key_value_heads))
    shapes = [(width, heads), (width, few), (width, few), (heads, width)]
    shapes += [(width, wide), (width, wide), (wide, width)]
    best = [0.0, 0.0]
    on = {"dtype": torch.bfloat16, "device": device()}
    pairs = [(torch.randn(2048, n, **on), torch.randn(m, n, **on)) for n, m in shapes]
    for _ in range(5):
        wait()
        begun = [clock() for clock in (time.perf_counter, time.process_time)]
        for tokens, weight in pairs:
            torch.nn.functional.linear(tokens, weight)
        wait()
        took = [time.perf_counter() - begun[0], time.process_time() - begun[1]]
        total = sum(2 * 2048 * n * m for n, m in shapes)
        best = [max(one, total / seconds) for one, seconds in zip(best, took, strict=True)]
    return best


class Worker:
    """A contender in a process of its own, which answers one line of JSON for each."""

    def __init__(self, name: str, folder: Path) -> None:
        self.said = TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        python = VLLM if name in (PLAIN, WAVES) else sys.executable
        self.child = subprocess.Popen(
            [str(python), __file__, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
        )
        self._read()  # it is loaded

    def __call__(self, rows: list[list[int]]) -> dict[str, Any]:
        """Its `seconds` on the clock and `cpu` on all cores, and the `logprobs`."""
        self.child.stdin.write(json.dumps(rows) + "\n")
        self.child.stdin.flush()
        return json.loads(self._read())

    def close(self) -> None:
        """Let it end."""
        self.child.stdin.close()
        self.child.wait()

    def _read(self) -> str:
        line = self.child.stdout.readline()
        if not line:
            self.said.seek(0)
            last = self.said.read().strip().splitlines()[-1:] or ["it said nothing"]
            raise UserError(f"{' '.join(self.child.args[2:])}: ended early: {last[0]}")
        return line


def work(name: str, folder: Path) -> None:
    """A worker's life: load, then answer."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    score = contender(name, folder) if name != RATE else None
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        rows = json.loads(line)
        begun, cpu = time.perf_counter(), time.process_time()
        found = score(rows) if score else rate(folder)
        times = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
        answers.write(json.dumps({**times, "logprobs": found}) + "\n")
        answers.flush()


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]))
