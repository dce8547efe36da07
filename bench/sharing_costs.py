"""Draw what shared prefixes gain: by questions on a dialogue, orders, and the dialogue's length.

Run as: python bench/sharing_costs.py

Random rows in the CCI corpus's shape and a random Gemma-2 in float32 on a CPU: processor time of
forward and backward of a row a batch, divided by that of prefix trees on the same rows.
"""

import argparse
import random
from functools import partial
from itertools import permutations
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt

from bench.training import (
    Row,
    labelled,
    measured,
    one_a_batch,
    prepared,
    random_model,
    shared,
)
from bench.workload import HEAD, OPTION, QUESTION
from core.errors import entry
from core.jsonl import write_json
from core.look import SVG
from core.prefix_tree import trees

matplotlib.use("agg")

WORDS = 8192
BATCH = 4096  # tokens a batch: no tree here is larger
LEAST = 4_000  # tokens of the rows that are measured
QUESTIONS = (1, 2, 3, 4, 5, 6)
LENGTHS = (50, 100, 200, 400, 800)
USUAL = {"questions": 4, "length": 240}  # of the corpus, about
ORDERS = (1, 6)


def rows_of(questions: int, length: int, orders: int) -> list[Row]:
    """Questions of three options on dialogues of so many tokens, each in so many orders."""
    rng = random.Random(1)

    def some(count: int) -> list[int]:
        return [rng.randrange(100, WORDS) for _ in range(count)]

    made: list[Row] = []
    head, tokens = some(HEAD), 0
    while tokens < LEAST:
        talk = [*head, *some(length)]
        for _ in range(questions):
            asked, options = [*talk, *some(QUESTION)], [some(OPTION) for _ in range(3)]
            for order in list(permutations(options))[:orders]:
                row = [*asked, *(token for option in order for token in option)]
                made.append(labelled([*row, *order[0][: OPTION // 2]], len(row)))
                tokens += len(made[-1]["input_ids"])
    return made


def gains(questions: int, length: int, orders: int) -> dict[str, float]:
    """Processor time of a row a batch in times of trees, and what the tokens alone would give."""
    rows = rows_of(questions, length, orders)
    learnt = sum(label >= 0 for row in rows for label in row["labels"])
    seconds = []
    for cut, way in ((False, one_a_batch), (True, partial(shared, length=BATCH))):
        model = prepared(random_model(WORDS, 256, 4), cut)
        measured(model, iter([next(way(rows))]), learnt)  # so that nothing is new then
        model.zero_grad()
        seconds.append(float(measured(model, way(rows), learnt)["process_seconds"]))
    found = trees([row["input_ids"] for row in rows], BATCH)
    tokens = sum(len(row["input_ids"]) for row in rows) / sum(tree.tokens for tree in found)
    return {"time": seconds[0] / seconds[1], "tokens": tokens}


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python bench/sharing_costs.py --out bench/sharing_costs.svg",
    )
    parser.add_argument("--out", type=Path, default=Path("bench/sharing_costs.svg"))
    parser.add_argument("--json", type=Path, help="write the figures too")
    args = parser.parse_args()
    _, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    figures = []
    asked = {"questions": ("questions on a dialogue", QUESTIONS)}
    asked["length"] = ("tokens of a dialogue", LENGTHS)
    for axes, (what, (name, values)) in zip(panels, asked.items(), strict=True):
        for orders in ORDERS:
            found = [gains(**{**USUAL, what: value, "orders": orders}) for value in values]
            label = "published order" if orders == 1 else "all six orders"
            (line,) = axes.plot(values, [one["time"] for one in found], "o-", label=label)
            axes.plot(values, [one["tokens"] for one in found], ":", color=line.get_color())
            for value, one in zip(values, found, strict=True):
                figures.append({what: value, "orders": orders, **one})
                print(
                    f"{what} {value}, orders {orders}: {one['time']:.2f} ({one['tokens']:.2f})",
                    flush=True,
                )
        axes.set(xlabel=name)
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="times a row a batch", title="solid: processor time")
    panels[1].set(title="dotted: tokens alone")
    panels[0].legend()
    matplotlib.rcParams.update(SVG)  # the same bytes again
    plt.savefig(args.out, metadata={"Date": None})
    if args.json:
        write_json(args.json, {"figures": figures})


if __name__ == "__main__":
    entry(main)
