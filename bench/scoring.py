"""How fast options are scored: the engines side by side, and against what the matrices allow.

Run as: OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python bench/scoring.py --quick --costs

The model is a random Gemma-2 of 100 M parameters in bfloat16, the prompts are random ids of the
CCI corpus's shape: 3 to 5 questions a dialogue, about 340 tokens each and 217 of them its own.
Every contender lives in a process of its own and takes its turn in every round, so that other work
on the same cores meets all alike; the best round counts. Where the cores are busy, the figures by
seconds of a core (`by_cpu`) tell more than those by the clock. On a GPU, whose memory vLLM takes
whole, one contender ends before the next begins.

The limit counts what must be multiplied: each distinct token by the layers' weights, the last one
of each item by the head; neither the embedding table, which is looked up, nor attention's own
products. Its rate is that of the same matrices multiplied by as many tokens at a time.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from eval import prefixes
from prep.errors import UserError, entry

VLLM = Path(os.environ.get("MAERAK_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
WORDS = 4096
LETTERS = [35, 36, 37]
HEAD, QUESTION, OPTION = 24, 60, 38  # tokens of the instruction, a question, each option
LOOP = "loop: one item, no cache"
WHOLE = "transformers, shared beginnings"
PLAIN, WAVES = "vLLM as it comes", "vLLM, in waves"
RATE = "matrices"


def prompts(items: int, orders: int = 1, options: int = 3, seed: int = 1) -> list[list[int]]:
    """Items over dialogues, each with its options in the first so many of their orders."""
    rng = random.Random(seed)

    def some(count: int) -> list[int]:
        return [rng.randrange(100, WORDS) for _ in range(count)]

    made, count, head = [], 0, some(HEAD)
    while count < items:
        talk = [*head, *some(round(rng.lognormvariate(4.85, 0.35)))]
        for _ in range(min(rng.randrange(3, 6), items - count)):
            question, shown = some(QUESTION), [some(OPTION) for _ in range(options)]
            for order in list(permutations(shown))[:orders]:
                made.append([*talk, *question, *(token for option in order for token in option)])
            count += 1
    return made


def save_model(folder: Path, shape: str | None = None) -> dict[str, int]:
    """A random Gemma-2, or a backbone's shape; returns its weights by what they multiply."""
    import torch
    from transformers import AutoModelForCausalLM, Gemma2Config

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=WORDS,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=11,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=96,
        query_pre_attn_scalar=96,
        sliding_window=256,
        max_position_embeddings=2048,
        initializer_range=0.05,
    )
    if shape:
        from recipes.backbones import shape_of

        config = shape_of(Path("--config"), {}, shape)
    with torch.device(device()):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return {
        "head": model.lm_head.weight.numel(),
        "layers": sum(p.numel() for p in model.model.layers.parameters() if p.dim() == 2),
    }


def device() -> str:
    """Where models are computed here."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


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
    if name == WHOLE:
        from eval import engine_hf

        engine = engine_hf.Engine(folder, dtype="bfloat16", batch_size=16)
        return lambda rows: engine.letter_logprobs(rows, [LETTERS] * len(rows))
    from eval import engine_vllm

    if name == PLAIN:
        engine_vllm.BLOCK = 128  # vLLM's own
    served = engine_vllm.Engine(folder, dtype="bfloat16", batch_size=16, longest=2000)

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
        python = VLLM if name in (PLAIN, WAVES) else sys.executable
        self.child = subprocess.Popen(
            [str(python), __file__, "--worker", name, "--folder", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.child.stdout.readline()  # it is loaded

    def __call__(self, rows: list[list[int]]) -> dict[str, Any]:
        """Its `seconds` on the clock and `cpu` on all cores, and the `logprobs`."""
        self.child.stdin.write(json.dumps(rows) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise UserError("a contender ended early; start it alone by --worker to see why")
        return json.loads(line)

    def close(self) -> None:
        """Let it end."""
        self.child.stdin.close()
        self.child.wait()


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


def side_by_side(
    folder: Path, sizes: dict[str, int], items: int, rounds: int, only: list[str]
) -> list[dict[str, Any]]:
    """Items a second of every contender, against the loop and against the limit."""
    rows = prompts(items)
    distinct = len(prefixes.pack(rows).ids)
    operations = 2 * (distinct * sizes["layers"] + items * sizes["head"])
    print(
        f"{items} items of {sum(map(len, rows)) / items:.0f} tokens, "
        f"{distinct / items:.0f} of them distinct; {sizes['layers'] / 1e6:.1f} M weights a token"
    )
    best: dict[str, dict[str, Any]] = {}
    speed, by_cpu = 0.0, 0.0
    for together in [[name] for name in only] if device() == "cuda" else [only]:
        workers = {name: Worker(name, folder) for name in together}
        for number in range(rounds + 1):  # the first warms up
            for name, worker in workers.items():
                found = worker(rows if number else rows[:16])
                if name == RATE:
                    speed, by_cpu = map(max, (speed, by_cpu), found["logprobs"])
                elif number and found["seconds"] <= best.get(name, found)["seconds"]:
                    best[name] = found
                print(f"round {number}: {name} {found['seconds']:.2f} s", file=sys.stderr)
        for worker in workers.values():
            worker.close()
    limit = items * speed / operations
    print(
        f"matrices: {speed / 1e9:.0f} G operations a second, {by_cpu / 1e9:.0f} G a second of one "
        f"core, so at most {limit:.2f} items/s"
    )
    truth = best[LOOP]["logprobs"]
    table = []
    for name, found in best.items():
        each = items / found["seconds"]
        same = [
            one.index(max(one)) == other.index(max(other))
            for one, other in zip(found["logprobs"], truth, strict=True)
        ]
        gaps = [sorted(one)[-1] - sorted(one)[-2] for one in truth]
        table.append(
            {
                "contender": name,
                "items_per_second": round(each, 2),
                "times_the_loop": round(best[LOOP]["seconds"] / found["seconds"], 2),
                "times_the_loop_by_cpu": round(best[LOOP]["cpu"] / found["cpu"], 2),
                "share_of_limit": round(each / limit, 3),
                "share_of_limit_by_cpu": round(operations / by_cpu / found["cpu"], 3),
                "same_choices": sum(same),
                "widest_other_gap": round(
                    max((gap for gap, yes in zip(gaps, same, strict=True) if not yes), default=0), 4
                ),
            }
        )
        print(json.dumps(table[-1], ensure_ascii=False))
    return table


def costs(folder: Path, items: int, rounds: int) -> dict[str, dict[int, float]]:
    """Seconds by number of items, and by options and by their orders for a quarter of the items."""
    worker = Worker(WHOLE, folder)
    worker(prompts(8))
    cases = {("items", n): prompts(n) for n in (items // 4, items // 2, items)}
    cases |= {("options", n): prompts(items // 4, options=n) for n in (2, 3, 4, 5)}
    cases |= {("orders", n): prompts(items // 4, n) for n in (1, 2, 3, 6)}
    found: dict[str, dict[int, float]] = {"items": {}, "options": {}, "orders": {}}
    for _ in range(rounds):
        for (what, n), rows in cases.items():
            seconds = worker(rows)["seconds"]
            found[what][n] = min(found[what].get(n, seconds), seconds)
    worker.close()
    for what, by in found.items():
        first = next(iter(by.values()))
        print(what, {n: f"{s:.2f} s, {s / first:.2f} x" for n, s in by.items()})
    for n in (1, 2, 3, 6):
        rows = cases["orders", n]
        print(
            f"{n} orders: {len(prefixes.pack(rows).ids)} distinct of {sum(map(len, rows))} tokens"
        )
    return found


def plot(found: dict[str, dict[int, float]], file: Path) -> None:
    """One picture of the three curves."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "maerak"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    names = {"items": "items", "options": "options an item", "orders": "orders of three options"}
    for axis, (what, by) in zip(axes, found.items(), strict=True):
        axis.plot(list(by), list(by.values()), marker="o", label="measured")
        (n, first) = next(iter(by.items()))
        axis.plot(
            list(by), [first * k / n for k in by], ls=":", color="grey", label="in proportion"
        )
        axis.set(xlabel=names[what], ylabel="seconds", ylim=(0, None))
        axis.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="example: OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python bench/scoring.py --quick",
    )
    parser.add_argument("--items", type=int, default=605, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="40 items")
    parser.add_argument("--config", metavar="SHAPE", help="a backbone's shape, as plan.py takes it")
    parser.add_argument("--no-vllm", action="store_true", help="transformers alone")
    parser.add_argument("--costs", action="store_true", help="by items, options and orders")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the costs there")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.folder)
        return
    items = 40 if args.quick else args.items
    names = [RATE, LOOP, WHOLE]
    if not args.no_vllm and VLLM.is_file():
        names += [PLAIN, WAVES]
    with tempfile.TemporaryDirectory() as place:
        sizes = save_model(Path(place), args.config)
        table = side_by_side(Path(place), sizes, items, args.rounds, names)
        found = costs(Path(place), items, args.rounds) if args.costs or args.plot else {}
    if args.json:
        from prep.jsonl import write_json

        write_json(args.json, {"items": items, "speed": table, "costs": found})
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    entry(main)
