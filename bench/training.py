"""The same rows and the same gradient on a CPU: a row a batch, Axolotl's packing, shared prefixes.

Run as: python bench/training.py --orders all

A random Gemma-2, or a model of your own, in float32 takes all rows once, forward and backward, by
each way in turn; the optimizer's step is the same for all and left out. Seconds are those of the
clock and of the process, of which the latter count on a machine that others use too.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from axolotl.utils.samplers import MultipackBatchSampler
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

from bench.meter import status
from bench.workload import OPTION, TOKENIZER, WORDS, prompts
from core.errors import entry
from core.jsonl import write_json
from core.prefix_tree import trees
from prep.demo.synthetic import corpus, unmarked
from prep.render import Renderer, load_prompt
from prep.sources.cci import SOURCE, question, read
from prep.sources.reader import Place
from recipes.plugins.labelled_head import IGNORED, LabelledHead
from recipes.plugins.shared_prefix import take_trees
from recipes.plugins.tokenization import tokenised
from recipes.plugins.tree_batches import collate

Row = dict[str, list[int]]
Batch = dict[str, Any]


def labelled(ids: list[int], start: int) -> Row:
    """A row that is learnt from a token on."""
    return {"input_ids": ids, "labels": [IGNORED] * start + ids[start:]}


def synthetic(dialogues: int, orders: str) -> list[Row]:
    """The demo's questions, two on each dialogue, as a run of prep renders them."""
    items = unmarked(corpus("train", dialogues, seed=2024))
    places = (Place(item["id"], k, SOURCE) for k, item in enumerate(items))
    found = [one for item, at in zip(items, places, strict=True) for one in question(item, at)]
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    rows = Renderer(load_prompt("reference"), orders=orders).training(found)
    return [labelled(*tokenised(row.model_dump(), tokenizer, row.id)) for row in rows]


def cci(dialogues: int, orders: str) -> list[Row]:
    """Random tokens in the shape of the CCI corpus: three to five questions on each dialogue."""
    rng, made = random.Random(2), prompts(4 * dialogues, orders=6 if orders == "all" else 1)
    answers = ([rng.randrange(100, WORDS) for _ in range(OPTION // 2)] for _ in made)
    return [
        labelled([*prompt, *answer], len(prompt))
        for prompt, answer in zip(made, answers, strict=True)
    ]


DATA = {"synthetic": synthetic, "cci": cci}


def published(
    file: Path, tokenizer: Path, dialogues: int, orders: str, vocabulary: int
) -> list[Row]:
    """All questions on dialogues drawn from the institute's file, rendered as prep renders them.

    Tokens are taken modulo a smaller vocabulary: what begins alike still does.
    """
    found, _ = read(file, "train")
    drawn = random.Random(1).sample(sorted({one.group for one in found}), dialogues)
    own = AutoTokenizer.from_pretrained(tokenizer)
    kept = [one for one in found if one.group in drawn]
    rows = Renderer(load_prompt("reference"), orders=orders).training(kept)
    made = [tokenised(row.model_dump(), own, row.id) for row in rows]
    return [labelled([token % vocabulary for token in ids], start) for ids, start in made]


def one_a_batch(rows: list[Row]) -> Iterator[Batch]:
    """Rows as TRL takes them where they are not packed."""
    for row in rows:
        yield {key: torch.tensor([ids]) for key, ids in row.items()}


def packed(rows: list[Row], length: int) -> Iterator[Batch]:
    """Rows as Axolotl packs them: bins by its own sampler, padded to their length."""
    lengths = np.array([len(row["input_ids"]) for row in rows])
    order = range(len(rows))
    bins = MultipackBatchSampler(order, 1, length, lengths, 200, drop_last=False, num_processes=1)
    for [own] in bins.generate_batches():
        chosen = [rows[k] for k in own]
        padding = length - sum(lengths[own])
        ids = [*(one for row in chosen for one in row["input_ids"]), *[0] * padding]
        labels = [*(one for row in chosen for one in row["labels"]), *[IGNORED] * padding]
        # where positions begin again transformers begins another mask
        places = [k for size in [*lengths[own], padding] for k in range(size)]
        named = {"input_ids": ids, "labels": labels, "position_ids": places}
        yield {key: torch.tensor([value]) for key, value in named.items()}


def shared(rows: list[Row], length: int) -> Iterator[Batch]:
    """Rows as trees, as many to a batch as have so many tokens."""
    found = trees([row["input_ids"] for row in rows], length)
    sizes = np.array([tree.tokens for tree in found])
    order = range(len(found))
    bins = MultipackBatchSampler(
        order, 1, length, sizes, len(found), drop_last=False, num_processes=1
    )
    for [own] in bins.generate_batches():
        yield collate([rows[k] for tree in own for k in found[tree].rows])


def random_model(vocabulary: int, width: int, layers: int) -> nn.Module:
    """A random Gemma-2 in float32."""
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=width // 4,
        query_pre_attn_scalar=width // 4,
        sliding_window=4096,
        use_cache=False,
    )
    return Gemma2ForCausalLM._from_config(config, attn_implementation="eager")


def prepared(model: nn.Module, cut: bool) -> nn.Module:
    """A model as it trains, with the head for labelled tokens alone and trees, or as it comes."""
    if cut:
        LabelledHead(model)
        take_trees(model)
    return model.train()


def measured(model: nn.Module, batches: Iterator[Batch], learnt: int) -> dict[str, Any]:
    """What forward and backward of all batches take, and the gradient that they give."""
    ready = list(batches)
    count = torch.tensor(learnt)
    reset = Path("/proc/self/clear_refs")
    if reset.is_file():
        reset.write_text("5")  # the highest memory so far is that of now
    before = status("VmRSS")
    clock, process = time.perf_counter(), time.process_time()
    losses = []
    for batch in ready:
        loss = model(**batch, num_items_in_batch=count).loss
        loss.backward()
        losses.append(loss.item())
    return {
        "batches": len(ready),
        "tokens": sum(batch["input_ids"].numel() for batch in ready),
        "seconds": time.perf_counter() - clock,
        "process_seconds": time.process_time() - process,
        "mebibytes": max(0, status("VmHWM") - before) / 1024,
        "loss": sum(losses),
        "gradient": gradient(model),
    }


def gradient(model: nn.Module) -> Tensor:
    """All gradients of a model as one row of numbers."""
    return torch.cat([one.grad.flatten() for one in model.parameters()])


def main() -> None:
    """Measure all ways on the same rows and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="example: python bench/training.py --data cci --orders all --dialogues 4",
    )
    parser.add_argument(
        "--data", default="synthetic", help="whose sharing: synthetic, cci, or the institute's file"
    )
    parser.add_argument("--orders", choices=("published", "all"), default="published")
    parser.add_argument("--dialogues", type=int, default=12)
    parser.add_argument("--sequence-len", type=int, default=1024, help="tokens a batch")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--base", type=Path, help="weights of a model, instead of a random Gemma-2")
    parser.add_argument(
        "--tokenizer", type=Path, default=TOKENIZER, help="of the institute's file, without --base"
    )
    parser.add_argument("--out", type=Path, help="write the figures as JSON too")
    args = parser.parse_args()

    if args.data in DATA:
        rows = DATA[args.data](args.dialogues, args.orders)
    else:
        own, words = (args.base, 2**31) if args.base else (args.tokenizer, args.vocabulary)
        rows = published(Path(args.data), own, args.dialogues, args.orders, words)
    learnt = sum(label != IGNORED for row in rows for label in row["labels"])
    pack, tree = (partial(way, rows, args.sequence_len) for way in (packed, shared))
    ways: dict[str, tuple[bool, Callable[[], Iterator[Batch]]]] = {
        "a row a batch": (False, partial(one_a_batch, rows)),
        "packed": (False, pack),
        "packed, head where learnt": (True, pack),
        "shared prefixes": (True, tree),
    }
    print(f"{len(rows)} rows, {learnt} tokens learnt, {args.data}, {args.orders} orders")
    print("| way | batches | tokens | s | process s | times packed | MiB | gradient apart |")
    print("|---|---|---|---|---|---|---|---|")
    found: dict[str, dict[str, Any]] = {}
    for name, (cut, batches) in ways.items():
        if args.base:
            model = AutoModelForCausalLM.from_pretrained(
                args.base, dtype=torch.float32, attn_implementation="eager", use_cache=False
            )  # with a cache transformers sees no rows in a pack
        else:
            model = random_model(args.vocabulary, args.width, args.layers)
        model = prepared(model, cut)
        measured(model, iter([next(batches())]), learnt)  # so that nothing is new then
        model.zero_grad()
        found[name] = measured(model, batches(), learnt)
    truth = found["a row a batch"]["gradient"]
    for name, one in found.items():
        one["apart"] = float((one.pop("gradient") - truth).norm() / truth.norm())
        faster = found["packed"]["process_seconds"] / one["process_seconds"]
        print(
            f"| {name} | {one['batches']} | {one['tokens']:,} | {one['seconds']:.1f} | "
            f"{one['process_seconds']:.1f} | {faster:.2f} | {one['mebibytes']:.0f} | "
            f"{one['apart']:.1e} |"
        )
    if args.out:
        write_json(args.out, {"rows": len(rows), "learnt": learnt, "ways": found})


if __name__ == "__main__":
    entry(main)
