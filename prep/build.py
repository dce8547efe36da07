"""Build the JSONL rows of a run: one file a training stage, the scored sets, and what was removed.

Run as: python prep/build.py

All files are complete before the first one takes its place, and build.json, which names what every
other file was made from, takes its own last. README.md is its data card.
"""

import argparse
import json
import shlex
import sys
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

from rich.console import Console

from core import jsonl
from core.errors import UserError, entry
from core.files import atomic_file
from core.layout import BUILT
from prep import corpus
from prep.assembly import SCORED, Build, build
from prep.card import card
from prep.config import RESERVED
from prep.dedup import Ray
from prep.summary import table


def write(done: Build, out: Path, needed: str = "") -> None:
    """Write all files of a build, each under its name only once all of them are complete.

    `needed` are the options of its command besides run and stages.
    """
    try:
        with ExitStack() as stack:
            # the stack ends in reverse, so that build.json takes its place last
            names = [BUILT, "README.md", *done.files]
            opened = {name: stack.enter_context(atomic_file(out / name)) for name in names}
            outputs = {}
            for name, records in sorted(done.files.items()):
                digest = sha256()
                for record in records:
                    line = jsonl.dump(record) + "\n"
                    opened[name].write(line)
                    digest.update(line.encode())
                outputs[name] = {"lines": len(records), "sha256": digest.hexdigest()}
            report = {**done.report, "outputs": outputs}
            opened["README.md"].write(card(report, needed))
            opened[BUILT].write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); check --out") from None


def notes(done: Build, out: Path) -> list[str]:
    """What a reader of `out` must know: what went unchecked, what earlier builds have left."""
    said = list(done.notes)
    for split in SCORED:
        if split not in done.report["scored"]:
            said.append(f"no {split} file: no training row was checked against {split} questions")
    written = {out / name for name in done.files}
    possible = [out / f"{name}.jsonl" for name in (*RESERVED, *done.run.stages)]
    left = {path for path in (*possible, *out.glob("folds/*/*.jsonl")) if path.exists()} - written
    said += [f"{path}: left from an earlier build, not listed in build.json" for path in left]
    return sorted(set(said))


def options(args: argparse.Namespace, out: str) -> str:
    """What the command needs besides run and stages, as a shell takes it; `out` is the run's own.

    A path inside the working folder is given from there.
    """
    here = Path.cwd()
    given = {"--params": args.params, "--corpus": args.corpus, "--out": args.out}
    default = {"--params": Path("params.yaml"), "--out": Path(out)}
    words = []
    for name, path in given.items():
        if path and not (name in default and path.resolve() == default[name].resolve()):
            full = path.resolve()
            words += [name, str(full.relative_to(here) if full.is_relative_to(here) else full)]
    return shlex.join(words)


def main() -> None:
    """Build one run."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/build.py --run cci --corpus ~/nikl-cci-2024 --stages stage2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    corpus.add_arguments(parser)
    parser.add_argument("--out", type=Path, help="folder to write, instead of the run's own")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", help="build these stages only")
    parser.add_argument("--ray", action="store_true", help="sign and analyse many texts on Ray")
    parser.add_argument("--ray-address", metavar="ADDRESS", help="the same on this Ray cluster")
    args = parser.parse_args()

    run = corpus.run_of(args)
    needed = options(args, run.out)
    if args.out:
        run = run.model_copy(update={"out": str(args.out)})
    for stage in args.stages or []:
        if stage not in run.stages:
            raise UserError(
                f"{args.params}: run {args.run} has no stage {stage}; choose from "
                f"{', '.join(run.stages)}"
            )
    ray = Ray(address=args.ray_address) if args.ray or args.ray_address else None
    stages = [stage for stage in run.stages if stage in (args.stages or run.stages)]
    done = build(args.run, run, stages, ray)
    said = notes(done, Path(run.out))
    write(done, Path(run.out), needed)
    # a pipe has no width to fit: print every column in full there
    Console(width=None if sys.stdout.isatty() else 160).print(table(done.report))
    for note in said:
        print(f"note: {note}")
    names = [*sorted(done.files), "README.md", BUILT]
    print("\n".join(str(Path(run.out) / name) for name in names))


if __name__ == "__main__":
    entry(main)
