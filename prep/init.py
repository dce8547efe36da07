"""Propose the mapping of a table of your own, and write its run and a recipe for this machine.

Run as: python prep/init.py my/train.csv --test my/test.csv

What is proposed is shown, and written only where the files can be read by it: an entry of `runs` in
params.yaml, and outputs/NAME/recipe.yml. Change either as you like; four commands follow.
"""

import argparse
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError, entry
from core.files import atomic_file, read_text
from core.jsonl import read_json
from core.text import short
from core.yaml_io import read_mapping
from prep.assembly import Build, build
from prep.config import as_run
from prep.lengths import ruler
from prep.sources.column_proposal import Proposal, propose
from prep.sources.downloads import records
from prep.sources.mapping import ANSWERS, TABLE, line, value_at

LOOKED_AT = 500  # records by which a mapping is proposed
SHARES = (0.1, 0.2, 0.5)  # of the train file, held out as dev: the first that its groups allow
SPARE = 64  # tokens by which sequence_len counts on a CPU


@dataclass(frozen=True)
class Machine:
    """What a recipe for a machine starts from, and what it changes; None takes a key out."""

    what: str
    recipe: str
    changes: dict[str, Any]


TINY = {
    "base_model": "./recipes/tiny/base",
    "sample_packing": False,
    "pad_to_sequence_len": None,
    "micro_batch_size": 4,
    "max_steps": None,
    "num_epochs": 3,
    "warmup_steps": 0,
    "save_steps": None,
    "save_strategy": "epoch",
    "eval_steps": None,
    "eval_strategy": "epoch",
}
MACHINES = {
    "cpu": Machine(
        "a CPU: the tiny base, to see the pipeline run", "recipes/tiny/stage2.yml", TINY
    ),
    "24gb": Machine("one GPU of 24 GB: QLoRA of Gemma-2-9B", "recipes/qlora-24gb.yml", {}),
    "80gb": Machine(
        "one GPU of 40 GB or more: the same, all packs of a step at once",
        "recipes/qlora-24gb.yml",
        {"micro_batch_size": 8, "gradient_accumulation_steps": 1},
    ),
}


def machine_here() -> str:
    """The machine at hand, by what nvidia-smi says of its first GPU."""
    if shutil.which("nvidia-smi") is None:
        return "cpu"
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    if not said or not said[0].isdecimal():
        return "cpu"
    return "80gb" if int(said[0]) >= 40_000 else "24gb"


def answers_of(proposal: Proposal, stated: str | None, found: list[dict[str, Any]]) -> str:
    """How answers are written: as stated, or the one way in which all of them can be read.

    Raises `UserError` where there is none, or more than one.
    """
    if stated is not None:
        return stated
    if len(proposal.answers) == 1:
        return proposal.answers[0]
    column = str(proposal.columns["answer"])
    values = list(dict.fromkeys(short(value_at(record, column)) for record in found))[:6]
    seen = f"how column {column} writes answers is not clear ({', '.join(values)}"
    if proposal.answers:
        fits = ", ".join(f"'{one}'" for one in proposal.answers)
        raise UserError(f"{seen}; all can be read by {fits}); state it by --answers, one of these")
    raise UserError(
        f"{seen}; not all can be read by any one of {', '.join(ANSWERS)}); rewrite them, or give "
        "--answers to be told the first that does not fit"
    )


def folder_of(files: list[Path]) -> str:
    """The folder that holds all files; raises `UserError` where it is none of their own."""
    folder = Path(os.path.commonpath([file.parent for file in files]))
    if folder == Path():
        raise UserError(
            f"{files[0]}: lies with other work; put the files into a folder such as my/"
        )
    return folder.as_posix()


def run_of(args: argparse.Namespace) -> dict[str, Any]:
    """The run that is proposed, as params.yaml has it; raises `UserError` where columns lack."""
    found = [record for _, _, record in islice(records(args.train), LOOKED_AT)]
    proposal = propose(found)
    print(f"{args.train}: its columns, as far as they are recognised\n  {line(proposal.columns)}")
    lacking = {"question", "options", "answer"} - proposal.columns.keys()
    lacking -= {"question"} if "dialogue" in proposal.columns else set()
    if lacking:
        there = ", ".join(dict.fromkeys(short(column) for record in found for column in record))
        raise UserError(
            f"{args.train}: which column is its {' and its '.join(sorted(lacking))} is not clear; "
            f"its columns are {there}; write the mapping by hand (docs/own-task.md)"
        )
    corpus = {"source": TABLE, "columns": proposal.columns}
    corpus["answers"] = answers_of(proposal, args.answers, found)
    print(f"  answers: {corpus['answers']}")
    if args.empty:
        corpus["empty"] = args.empty
    corpus["train"] = args.train.as_posix()
    corpus |= {"dev": args.dev.as_posix()} if args.dev else {"dev_share": SHARES[0]}
    corpus |= {"test": args.test.as_posix()} if args.test else {}
    return {
        "inputs": folder_of([args.train, *filter(None, (args.dev, args.test))]),
        "corpus": corpus,
        "prompt": "task",
        "answer": "letter",
        "stages": {"stage2": [{"source": TABLE}]},
    }


def tried(name: str, run: dict[str, Any]) -> Build:
    """The build of a run, in memory; a greater share is held out where there are few groups."""
    shares = SHARES if "dev_share" in run["corpus"] else (None,)
    for share in shares:
        if share is not None:
            run["corpus"]["dev_share"] = share
        try:
            return build(name, as_run(name, run, f"run {name}"), ["stage2"])
        except UserError as error:
            if "cannot be held out" not in str(error) or share == shares[-1]:
                raise
    raise AssertionError("one share at least is tried")


def recipe_of(name: str, machine: Machine, made: Build) -> str:
    """The recipe's text, for the rows of a build."""
    keys = read_mapping(Path(machine.recipe)) | machine.changes
    folder = made.run.out
    keys["datasets"] = [{**keys["datasets"][0], "path": f"{folder}/stage2.jsonl"}]
    keys["test_datasets"] = [
        {**keys["datasets"][0], "path": f"{folder}/dev-loss.jsonl", "split": "train"}
    ]
    keys["output_dir"] = f"./outputs/{name}/trained"
    if keys["base_model"] == TINY["base_model"]:
        longest = ruler(Path(machine.recipe), keys["base_model"])
        rows = [*made.files["stage2.jsonl"], *made.files["dev-loss.jsonl"]]
        most = max(longest.length(row) for row in rows)
        room = read_json(Path(keys["base_model"]) / "config.json")["max_position_embeddings"]
        keys["sequence_len"] = min(SPARE * (most // SPARE + 1), room)  # training names what is over
    kept = {key: value for key, value in keys.items() if value is not None}
    body = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=100)
    return f"# {name} on {machine.what}; from {machine.recipe}, written by prep/init.py\n\n{body}"


def entry_of(name: str, run: dict[str, Any]) -> str:
    """A run as it stands under `runs:`, columns and stages on a line each."""
    corpus = dict(run["corpus"])
    mapping = line(corpus.pop("columns"))
    rest = yaml.safe_dump(corpus, sort_keys=False, allow_unicode=True).splitlines()
    head = [
        f"  {name}:",
        f"    inputs: {run['inputs']}",
        "    corpus:",
        f"      {rest[0]}",
        f"      {mapping}",
    ]
    lines = [*head, *(f"      {one}" for one in rest[1:])]
    lines += [f"    {key}: {run[key]}" for key in ("prompt", "answer")]
    return "\n".join([*lines, "    stages:", "      stage2:", f"        - {{source: {TABLE}}}", ""])


def inserted(path: Path, name: str, text: str) -> str:
    """A params file with one more run at the head of `runs`; raises `UserError`."""
    text_now = read_text(path)
    runs = read_mapping(path).get("runs")
    if not isinstance(runs, dict) or name in runs:
        fault = f"has a run {name} already; give another --name" if runs else "has no `runs`"
        raise UserError(f"{path}: {fault}")
    return re.sub(r"^runs:[^\n]*\n", lambda found: found[0] + text, text_now, count=1, flags=re.M)


def commands(name: str, run: dict[str, Any], machine: Machine) -> list[str]:
    """The four commands that follow."""
    corpus, rows = (
        run["corpus"],
        f"data/{name}/{'test' if 'test' in run['corpus'] else 'dev'}.jsonl",
    )
    trained, made = f"outputs/{name}/trained", f"predictions/{name}.jsonl"
    model = f"--model {trained}"
    if "adapter" in read_mapping(Path(machine.recipe)):
        base = read_mapping(Path(machine.recipe))["base_model"]
        model = f"--model {base} --adapter {name}={trained}"
    last = f"python eval/report.py {made} --data {rows}"
    if "test" in corpus:
        out = f"submissions/{name}{Path(corpus['test']).suffix}"
        last = f"python ensemble/vote.py {made} --test {corpus['test']} --run {name} --out {out}"
    return [
        f"python prep/build.py --run {name}",
        f"accelerate launch -m axolotl.cli.train outputs/{name}/recipe.yml",
        f"python eval/score.py {model} --data {rows} --out {made}",
        last,
    ]


def main() -> None:
    """Propose, try, write, and say what follows."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog='example: python prep/init.py my/train.csv --test my/test.csv --answers "from 1"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("train", type=Path, help="the questions with their answers")
    add("--dev", type=Path, help="questions to choose by; else a share of the train file")
    add("--test", type=Path, help="the questions to answer")
    add("--name", help="what the run is called, by default as the train file or its folder")
    add("--answers", choices=ANSWERS, help="how answers are written, where it is not clear")
    add("--empty", choices=("none", "above"), help="what an empty cell under a filled one means")
    add("--machine", choices=MACHINES, help="by default the one at hand")
    add("--params", type=Path, default=Path("params.yaml"), help="the params file")
    args = parser.parse_args()

    name = args.name or args.train.name.partition(".")[0]
    if name in ("train", "data", "my") and not args.name:
        name = args.train.resolve().parent.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"{name}: no name for a run; give one of letters and digits by --name")
    for file in filter(None, (args.train, args.dev, args.test)):
        if file.is_dir():
            raise UserError(f"{file}: is a folder; name the file of questions in it")
    recipe = Path(f"outputs/{name}/recipe.yml")
    if recipe.exists():
        raise UserError(f"{recipe}: is there already; give another --name")
    inserted(args.params, name, "")
    run = run_of(args)
    machine = MACHINES[args.machine or machine_here()]
    made = tried(name, run)
    text = entry_of(name, run)
    params, keys = inserted(args.params, name, text), recipe_of(name, machine, made)
    with atomic_file(recipe) as file:
        file.write(keys)
    with atomic_file(args.params) as file:
        file.write(params)
    counts = {file: len(rows) for file, rows in made.files.items() if file.count(".") == 1}
    print(f"{args.params}: a new run\n{text}", end="")
    print(f"{recipe}: for {machine.what}")
    print("rows: " + ", ".join(f"{file} {count}" for file, count in counts.items() if count))
    print("\n".join(["then:", *(f"  {one}" for one in commands(name, run, machine))]))


if __name__ == "__main__":
    entry(main)
