"""How fast options are scored: the engines side by side, and against what the matrices allow.

Run as: OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python bench/scoring.py --quick --costs

The model is a random Gemma-2 of 100 M parameters in bfloat16, the prompts are random ids of the
CCI corpus's shape: 3 to 5 questions a dialogue, about 340 tokens each and 217 of them its own.
Every contender lives in a process of its own and takes its turn in every round, so that other work
on the same cores meets all alike; the best round counts. Where the cores are busy, the figures by
seconds of a core (`by_cpu`) tell more than those by the clock. On a GPU, whose memory vLLM takes
completely, one contender ends before the next begins.

The limit counts what must be multiplied: each distinct token by the layers' weights, the last one
of each item by the head; neither the embedding table, which is looked up, nor attention's own
products. Its rate is that of the same matrices multiplied by as many tokens at a time.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.contenders import FUSED, LOOP, MORE, PLAIN, RATE, SEGMENTS, VLLM, WAVES, Worker
from bench.workload import device, prompts, save_model, sizes
from core.errors import entry
from core.jsonl import write_json
from core.prefix_tree import pack


def side_by_side(folder: Path, items: int, rounds: int, only: list[str]) -> list[dict[str, Any]]:
    """Items a second of every contender, against the loop and against the limit."""
    rows = prompts(items)
    distinct = len(pack(rows).ids)
    weights = sizes(folder)
    operations = 2 * (distinct * weights["layers"] + items * weights["head"])
    print(
        f"{items} items of {sum(map(len, rows)) / items:.0f} tokens, "
        f"{distinct / items:.0f} of them distinct; {weights['layers'] / 1e6:.1f} M weights a token"
    )
    best: dict[str, dict[str, Any]] = {}
    speed, by_cpu = 0.0, 0.0
    for together in [only] if roomy(folder, only) else [[name] for name in only]:
        workers = {name: Worker(name, folder) for name in together}
        for number in range(rounds + 1):  # the first warms up
            for name, worker in workers.items():
                found = worker(rows if number else rows[:96])
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


def roomy(folder: Path, names: list[str]) -> bool:
    """Whether all contenders can hold the model at once; vLLM takes a GPU's memory for itself."""
    if device() != "cuda":
        return True
    import torch

    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    needed = len(names) * (1.3 * size + 2**31)
    return not {PLAIN, WAVES} & set(names) and needed < torch.cuda.mem_get_info()[0]


def costs(folder: Path, items: int, rounds: int) -> dict[str, dict[int, float]]:
    """Seconds by number of items, and by options and by their orders for a quarter of the items."""
    worker = Worker(FUSED if device() == "cuda" else SEGMENTS, folder)
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
        print(f"{n} orders: {len(pack(rows).ids)} distinct of {sum(map(len, rows))} tokens")
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
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="of the model, here or to be")
    parser.add_argument("--no-vllm", action="store_true", help="transformers alone")
    parser.add_argument("--costs", action="store_true", help="by items, options and orders")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the costs there")
    args = parser.parse_args()
    items = 40 if args.quick else args.items
    names = [RATE, LOOP, SEGMENTS, *[FUSED, MORE] * (device() == "cuda")]
    if not args.no_vllm and VLLM.is_file():
        names += [PLAIN, WAVES]
    with tempfile.TemporaryDirectory() as place:
        base = args.base or Path(place) / "base"
        save_model(base, args.config)
        table = side_by_side(base, items, args.rounds, names)
        found = costs(base, items, args.rounds) if args.costs or args.plot else {}
    if args.json:
        write_json(args.json, {"items": items, "speed": table, "costs": found})
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    entry(main)
