"""What several adapters on one backbone cost against one: the wall time of complete commands.

Run as: OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python bench/many_adapters.py

`eval/score.py` is started as a person would start it, with one adapter and with some, in turns, on
so many rows of the demo's questions and the demo's base; the adapters are random LoRAs of rank 16
on all layers. The best of the rounds counts. Loading is in every figure.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.errors import UserError, entry
from core.jsonl import read_objects, write_json, write_records

ROOT = Path(__file__).resolve().parent.parent

BASE = ROOT / "recipes" / "tiny" / "base"


def save_adapters(folder: Path, count: int) -> list[Path]:
    """That many random adapters, each of another seed, none of which changes nothing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    paths = [folder / f"adapter-{number}" for number in range(count)]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(BASE), config)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)
        model.save_pretrained(path)
    return paths


def seconds(adapters: list[Path], data: Path, backend: str, out: Path) -> float:
    """The wall time of one command that scores these adapters."""
    names = [f"{path.name}={path}" for path in adapters]
    command = [sys.executable, str(ROOT / "eval" / "score.py"), "--model", str(BASE)]
    command += ["--adapter", *names, "--data", str(data), "--backend", backend, "--out", str(out)]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"scoring failed: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - begun


def measure(args: argparse.Namespace, place: Path) -> list[dict[str, object]]:
    """A line for each engine and number of rows."""
    adapters = save_adapters(place, args.adapters)
    rows = [row for _, row in read_objects(args.data)]
    table = []
    for count in args.rows:
        if count > len(rows):
            raise UserError(f"{args.data}: has {len(rows)} rows, not {count}; lower --rows")
        data = place / f"rows-{count}.jsonl"
        write_records(data, rows[:count])
        for backend in args.backends:
            best: dict[int, float] = {}
            for number in range(args.rounds):
                for few in (1, len(adapters)):
                    took = seconds(adapters[:few], data, backend, place / f"{backend}-{number}")
                    best[few] = min(best.get(few, took), took)
            one, some = best[1], best[len(adapters)]
            table.append(
                {
                    "engine": backend,
                    "rows": count,
                    "one": round(one, 1),
                    f"{len(adapters)} at once": round(some, 1),
                    "times": round(some / one, 2),
                }
            )
            print(json.dumps(table[-1]), flush=True)
    return table


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--adapters", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--data", type=Path, default=Path("data/demo/test.jsonl"), metavar="FILE")
    parser.add_argument("--rows", type=int, nargs="+", default=[151, 600], help="151 600")
    parser.add_argument("--backends", nargs="+", default=["hf", "vllm"], choices=["hf", "vllm"])
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    if not args.data.is_file():
        raise UserError(f"{args.data}: no such file; `make demo` builds the demo's rows")
    with tempfile.TemporaryDirectory() as place:
        table = measure(args, Path(place))
    if args.json:
        write_json(args.json, {"adapters": args.adapters, "seconds": table})


if __name__ == "__main__":
    entry(main)
