"""Score the options of each row: by the log-probability of their letters, or another method.

Run as: python eval/score.py --model outputs/one/model --data data/cci/test.jsonl --out one.jsonl
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.jsonl import write_records
from eval import predictions, runner, targets
from eval.engines import loader
from eval.executor import Executor, LocalExecutor, RayExecutor
from eval.methods import arguments
from eval.methods.base import Answer, Method
from eval.methods.permutations import Plan, plan
from eval.metrics.accuracy import Accuracies, show
from eval.rows import read_rows
from eval.targets import PreparedModel, Target

EPILOG = """\
example:
  python eval/score.py --model outputs/one/model --data data/cci/test.jsonl --out one.jsonl
  python eval/score.py --model a=outputs/one b=outputs/two --data test.jsonl --out predictions
  python eval/score.py --model outputs/base --adapter a=runs/1 b=runs/2 --data … --out predictions

Several models are scored one after another by one process, several adapters over one model by one
engine that holds it once; --out is then a folder, which gets NAME.jsonl of each. Besides the
predictions it writes NAME.meta.json: what made them. Of equally probable options the one published
first is chosen. vLLM is used where it is installed, here or in .venv-vllm (MAERAK_VLLM_PYTHON
names another interpreter) and computes the model correctly, but for adapters on a CPU; else
transformers, and it says why.
A killed run continues where it stopped when the same command is given again.

"""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, score, write both files and print the accuracy where it is known."""
    argv = sys.argv[1:] if argv is None else argv
    args = _arguments(argv)
    models = targets.resolve(args.model, args.adapter or [], args.out)
    on_ray = args.replicas > 1 or args.ray_address is not None
    unfits = []
    for model in models:
        loras = list(model.loras.values())
        free = args.backend == "auto" and args.tensor_parallel == 1
        slow = loader.slow(loras) if free else None
        unfits.append(loader.unfit(model.folder, loras, on_ray, args.load_in) or slow)
    chosen = loader.choose(args.backend, unfits, argv)
    if on_ray and not find_spec("ray"):
        raise UserError("replicas need Ray, which this environment has not; score without them")
    executor = RayExecutor(args.replicas, args.ray_address) if on_ray else LocalExecutor()
    rows = read_rows(args.data)
    method = arguments.method_of(args)
    planned = plan(
        rows,
        args.data,
        permutations=args.permutations,
        combine=args.combine,
        share=args.pride,
        seed=args.seed,
    )
    # all are prepared before the first is scored: what is wrong with one shows at once
    prepared = [
        targets.prepare(model, engine, method, planned, args)
        for model, engine in zip(models, chosen, strict=True)
    ]
    results = [result for one in prepared for result in score(one, method, planned, executor)]
    for member in (member for one in prepared for member in one.members.values()):
        member.partial.drop()
    if any(row.answer for row in rows):
        show(results, rows)


def score(
    model: PreparedModel, method: Method, planned: Plan, executor: Executor
) -> list[Accuracies]:
    """Score all rows for the members of a model; each is written when its rows are done."""
    results, started = {}, time.monotonic()
    partials = {name: member.partial for name, member in model.members.items()}
    for name in runner.run(model.setup, model.ask, partials, executor):
        results[name] = finish(model.members[name], method, planned, started)
    return [results[name] for name in model.members]


def finish(member: Target, method: Method, planned: Plan, started: float) -> Accuracies:
    """Write a member's predictions and sidecar from the answers to all rows."""
    rows, asked = planned.rows, len(planned.asked)
    answers = [Answer.model_validate(value) for value in member.partial.values(asked)]
    try:
        scored, more = planned.predictions(answers)
    except UserError as error:
        member.partial.drop()
        raise UserError(f"{member.out.stem}, {error}") from None
    found = method.found(answers)
    mass = predictions.LetterMass(**found["letter_mass"]) if "letter_mass" in found else None
    blocks_done = list(member.partial.done.values())
    seconds = max(math.fsum(block.seconds for block in blocks_done), 1e-4)
    meta = {
        **member.made_of,
        **more,
        **found,
        "backend": blocks_done[-1].about,
        "time": {
            "day": date.today().isoformat(),
            "total_seconds": round(time.monotonic() - started, 2),
            "scoring_seconds": round(seconds, 2),
            "rows_per_second": round(asked / seconds, 2),
        },
    }
    predictions.write(member.out, scored, meta)
    write_failures(member.out, answers, method)
    print(f"{member.out}: {asked} rows, {asked / seconds:.1f} a second")
    if mass and mass.mean < 0.5:
        print(
            f"warning: only {mass.mean:.1%} of the probability falls on the letters; the model was "
            "not trained on this prompt and chat template, or not yet",
            file=sys.stderr,
        )
    return Accuracies.of(member.out.stem, rows, {one.id: one.choice for one in scored}, mass)


def write_failures(out: Path, answers: Sequence[Answer], method: Method) -> None:
    """Write NAME.jsonl.failures, the unread replies of a method that reads any.

    It holds JSONL, but no name that `*.jsonl` finds: those are predictions.
    """
    path = out.with_name(f"{out.name}.failures")
    if not method.reads:
        path.unlink(missing_ok=True)  # of an earlier scoring by another method
        return
    count = write_records(path, [one for answer in answers for one in answer.failures])
    print(f"{path}: {count} replies in which no answer can be read")


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Score the options of each row by their letters, or by another method.",
        epilog=EPILOG + arguments.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--model",
        required=True,
        nargs="+",
        metavar="[NAME=]MODEL",
        help="a model folder, or a hub model as owner/name; NAME names its predictions in a folder",
    )
    add("--data", required=True, type=Path, help="rows to score, as prep/build.py writes them")
    add("--out", required=True, type=Path, help="predictions to write: NAME.jsonl, or a folder")
    add("--backend", choices=("auto", "vllm", "hf"), default="auto", help="default: %(default)s")
    add(
        "--dtype",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="auto: as the weights are stored, but bfloat16 for float16",
    )
    add(
        "--load-in",
        choices=("4bit", "8bit"),
        help="quantise the linear layers on loading, by bitsandbytes (NF4, or LLM.int8): what does "
        "not fit a GPU in 16 bits may fit so; transformers scores",
    )
    add("--batch-size", type=int, default=16, help="rows a forward pass, default %(default)s")
    add(
        "--adapter",
        nargs="+",
        metavar="[NAME=]DIR",
        help="LoRA adapters over the model, scored by one engine",
    )
    add(
        "--tensor-parallel",
        type=int,
        default=1,
        metavar="N",
        help="share the weights of an engine out among N GPUs of a machine (vLLM)",
    )
    add(
        "--replicas",
        "--data-parallel",
        type=int,
        default=1,
        metavar="N",
        help="N engines side by side by Ray Data, each with a full copy of the model",
    )
    add("--ray-address", metavar="ADDRESS", help="open them on this Ray cluster, not here alone")
    add("--chat-template", type=Path, help="Jinja file to use instead of the tokenizer's template")
    arguments.add_arguments(parser)
    args = parser.parse_args(argv)
    arguments.check(parser, args)
    for option in ("batch_size", "tensor_parallel", "replicas"):
        if getattr(args, option) < 1:
            parser.error(f"--{option.replace('_', '-')} must be at least 1")
    return args


if __name__ == "__main__":
    entry(main)
