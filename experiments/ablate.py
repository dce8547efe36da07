"""Run an experiment: each change against its base, on grouped folds.

Run as: python experiments/ablate.py experiments/demo.yml
"""

import argparse
import signal
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from core.errors import UserError, entry
from experiments.experiment import BASE, Loaded, load
from experiments.jobs import Clock, Job, build, jobs, tokens_of
from experiments.pieces import Piece, alone, check_piece
from recipes.compose import PARAMS
from recipes.members.tables import MEMBERS

EPILOG = """\
example:
  python experiments/ablate.py experiments/cci.yml --dry-run
  python experiments/ablate.py experiments/cci.yml --only no-references orders-all

What is finished is kept in outputs/ablations and never made again; a killed run goes on when the
same command is given again. The table is metrics/ablations/NAME.md, .json and .svg.
docs/ablations.md explains the file."""


def prepare(loaded: Loaded, names: Sequence[str], lock: int) -> list[Job]:
    """Check the recipes, build the rows, and say what there is to train and to score.

    Raises `UserError` where a recipe is not sound, or its teacher's letters are not there.
    """
    for name in names:
        for link in loaded.variants[name].links:
            letters = link.recipe.get("teacher_letters")
            if letters and not Path(letters).is_file():
                raise UserError(
                    f"{loaded.path}, {name}: {letters}: no such file; make it by "
                    "prep/teach.py letters"
                )
    check = check_piece(
        {name: [link.recipe for link in loaded.variants[name].links] for name in names}
    )
    if not check.done:
        print(f"{loaded.path}: checking the recipes", flush=True)
        try:
            check.make(f"{loaded.path}", lock)
        except UserError:
            raise UserError(problem(loaded, check)) from None
    for name in names:
        piece = build(loaded.variants[name])
        if not piece.done:
            print(f"{loaded.path}, {name}: building rows", flush=True)
            piece.make(f"{loaded.path}, {name}", lock)
    tokens = tokens_of(loaded, names, check)
    return [job for name in names for job in jobs(loaded, loaded.variants[name], tokens)]


def problem(loaded: Loaded, check: Piece) -> str:
    """The first problem that a check found, said of the change whose recipe has it."""
    for line in (check.folder / "log.txt").read_text("utf-8").splitlines():
        place, _, said = line.partition(": ")
        if Path(place).parent == check.folder and not said.startswith("warning"):
            return f"{loaded.path}, {Path(place).name.split('.')[0]}: {said}"
    return f"{loaded.path}: its recipes cannot be checked; {check.folder}/log.txt says why"


def show(loaded: Loaded, todo: Sequence[Job], clock: Clock) -> None:
    """Print the plan: for each variant and over all, what is shared counted once."""
    print(f"{'':<24}{'trainings':>10}{'to do':>8}{'rows':>10}{'M tokens':>10}{'time':>12}")
    seen: set[Path] = set()
    for name in [*dict.fromkeys(job.variant for job in todo), ""]:
        own = [job for job in todo if name in ("", job.variant)]
        pieces = {piece.folder: piece for job in own for piece in job.trainings}
        left = {piece.folder: piece for job in own for piece in job.left}
        if name:
            left = {folder: one for folder, one in left.items() if folder not in seen}
        seen |= left.keys()
        to_do = [piece for piece in left.values() if piece.kind == "train"]
        rows = sum(piece.files["rows.jsonl"].count("\n") for piece in to_do)
        tokens = sum(piece.cost for piece in to_do) / 1e6
        print(
            f"{name or 'all':<24}{len(pieces):>10}{len(to_do):>8}{rows:>10,}{tokens:>10.2f}"
            f"{duration(clock.of(list(left.values()))):>12}"
        )
    print("to do: what no line above has yet; tokens are those trained on, epochs and padding too")


def duration(seconds: float | None) -> str:
    """Seconds for a reader."""
    if seconds is None:
        return "not known"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def run(loaded: Loaded, todo: Sequence[Job], clock: Clock, lock: int) -> list[str]:
    """Make all that is left; what fails, and what needs it, is left out. Returns what failed."""
    failed: dict[Path, str] = {}
    left = {piece.folder: piece for job in todo for piece in job.left}
    count = len(left)
    for job in todo:
        for piece in job.left:
            if piece.folder in failed:
                break
            print(f"[{count - len(left) + 1}/{count}] {piece.kind:<5} {job.label} ...", flush=True)
            try:
                seconds = piece.make(f"{loaded.path}, {job.label}", lock)
            except UserError as error:
                failed[piece.folder] = str(error)
                print(f"  failed: {error}", flush=True)
                break
            left.pop(piece.folder, None)
            clock.learn(piece.kind, piece.done or {})
            rest = duration(clock.of(list(left.values())))
            print(f"  {duration(seconds)}; left: {rest}", flush=True)
        if loaded.experiment.weights == "drop":
            drop(job, todo)
    return list(failed.values())


def drop(job: Job, todo: Sequence[Job]) -> None:
    """Remove the weights of a job's last training once no scoring needs them."""
    last = job.trainings[-1]
    if all(one.score.done for one in todo if one.trainings[-1].folder == last.folder):
        last.drop_weights()


def main() -> None:
    """Read the command line; plan, run, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", type=Path, help="an experiment: base, changes, folds, seeds")
    add("--only", nargs="+", metavar="NAME", help="the base and these changes only")
    add(
        "--dry-run", action="store_true", help="check, build rows and print the plan; train nothing"
    )
    add("--table", action="store_true", help="write the table of what is finished; run nothing")
    add("--params", type=Path, default=PARAMS, help="the runs that make the rows")
    add("--members", type=Path, default=MEMBERS, help="the members a base may be")
    args = parser.parse_args()
    from experiments.comparison import compare, write  # seconds to import

    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # ends what it started, as Ctrl-C does

    loaded = load(args.file, args.params, args.members)
    for name in args.only or []:
        if name not in loaded.experiment.changes:
            near = get_close_matches(name, loaded.experiment.changes, n=1, cutoff=0.0)
            raise UserError(f"{args.file}: no change {name}; the nearest is {near[0]}")
    names = [name for name in loaded.variants if not args.only or name in (BASE, *args.only)]
    if args.table:
        ready = [name for name in names if build(loaded.variants[name]).done]
        done = [job for name in ready for job in jobs(loaded, loaded.variants[name], {})]
        write(compare(loaded, names, done))
        return
    with alone() as lock:
        todo, clock = prepare(loaded, names, lock), Clock()
        show(loaded, todo, clock)
        if args.dry_run:
            return
        failed = run(loaded, todo, clock, lock)
    write(compare(loaded, names, todo))
    if failed:
        raise UserError(f"{len(failed)} pieces failed, the first: {failed[0]}")


if __name__ == "__main__":
    entry(main)
