"""Measure a vote of many large prediction files: time, memory, and what reading a file takes.

Run as: python bench/voting.py --files 200 --rows 1000000

Files are those of one test set of three options, each member with its own numbers for the first
`--distinct` of them; further ones are copies, so that the disk holds and gives the full amount.
Timed is everything but the test file and the submission, whose size the vote does not change.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyarrow import json as arrow_json

from core.files import atomic_file, sha256
from core.jsonl import write_json
from ensemble import member_answers
from ensemble.member_answers import Items
from ensemble.rules import RULES, Tally
from eval import predictions

TIMED = ("hard", "soft", "log-odds")


def generate(folder: Path, files: int, rows: int, distinct: int) -> list[Path]:
    """Prediction files with their sidecars, as eval/score.py writes them."""
    paths = [folder / f"m{place:03d}.jsonl" for place in range(files)]
    for place, path in enumerate(paths):
        if place < distinct:
            _write(path, rows, place)
        else:
            shutil.copyfile(paths[place % distinct], path)
        data = {"path": "test.jsonl", "sha256": "0" * 64, "rows": rows}
        about = {"method": "letter", "data": data}
        digest = sha256(path)
        write_json(path.with_suffix(".meta.json"), {**about, "predictions_sha256": digest})
        print(f"\r{place + 1} of {files} files", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return paths


def _write(path: Path, rows: int, seed: int) -> None:
    shares = np.random.default_rng(seed).dirichlet([0.5] * 3, rows)
    logprobs = np.maximum(np.log(np.maximum(shares, 1e-20)), -46).round(6).tolist()
    with atomic_file(path) as file:
        for number, (values, choice) in enumerate(
            zip(logprobs, shares.argmax(axis=1).tolist(), strict=True)
        ):
            file.write(
                f'{{"id": "item-{number:08d}", "order": [0, 1, 2], "logprobs": '
                f'{json.dumps(values)}, "choice": {choice}}}\n'
            )


def voted_on(rows: int) -> Items:
    """The items of the test set."""
    ids = [f"item-{number:08d}" for number in range(rows)]
    return Items(ids, np.full(rows, 3, np.int8), Path("test.json"))


def vote(rule: str, folder: Path, rows: int) -> None:
    """Vote over all files of a folder, and print what it took and decided as JSON."""
    started = time.perf_counter()
    paths = sorted(folder.glob("*.jsonl"))
    items = voted_on(rows)
    member_answers.read_members(paths, mixed=False)
    tally = Tally(RULES[rule], items.options)
    for member in member_answers.read_all(paths, items):
        tally.add(member)
    outcome = tally.decide()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "wall_s": round(time.perf_counter() - started, 1),
                "cpu_s": round(used.ru_utime + used.ru_stime, 1),
                "rss_mb": used.ru_maxrss // 1024,
                "chosen": np.bincount(outcome.choice, minlength=3).tolist(),
                "ties": outcome.settled,
            }
        )
    )


def readers() -> dict[str, Callable[[Path, Items], object]]:
    """Ways to read one file into columns: as a vote does, and its two parts alone."""

    def parsed(path: Path, items: Items) -> object:
        options = arrow_json.ParseOptions(explicit_schema=member_answers.SCHEMA)
        return arrow_json.read_json(path, parse_options=options)

    return {
        "with hash, checks and join": member_answers.read,
        "pyarrow.json alone": parsed,
        "strict reader": lambda path, items: predictions.read(path),
    }


def compare(path: Path, rows: int) -> None:
    """Print the CPU seconds of each reader for one file, the best of three after a warm-up."""
    items = voted_on(rows)
    items.column  # noqa: B018  made once for all files of a vote
    for name, read in readers().items():
        took = []
        for _ in range(2 if name == "strict reader" else 4):
            begun = time.process_time()
            read(path, items)
            took.append(time.process_time() - begun)
        print(f"{name:30} {min(took[1:]):6.2f} CPU s a file", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--files", type=int, default=200)
    add("--rows", type=int, default=1_000_000)
    add("--distinct", type=int, default=4)
    add("--folder", type=Path, help="keep the files there, and use those that are there")
    add("--rules", nargs="+", choices=TIMED, default=list(TIMED))
    add("--vote", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.vote:
        return vote(args.vote[0], Path(args.vote[1]), args.rows)
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if len(list(folder.glob("*.jsonl"))) != args.files:
            generate(folder, args.files, args.rows, args.distinct)
        paths = sorted(folder.glob("*.jsonl"))
        size = sum(path.stat().st_size for path in paths)
        print(f"{len(paths)} files of {args.rows:,} rows, {size / 1e9:.1f} GB")
        compare(paths[0], args.rows)
        for rule in args.rules:
            load = os.getloadavg()[0]
            command = [sys.executable, __file__, "--rows", str(args.rows)]
            found = subprocess.run(
                [*command, "--vote", rule, str(folder)], check=True, capture_output=True, text=True
            )
            print(f"{rule}: {found.stdout.strip()} (load before: {load:.1f})", flush=True)


if __name__ == "__main__":
    main()
