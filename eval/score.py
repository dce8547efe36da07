"""Score the options of each row by the log-probability of their letters.

Run as: python eval/score.py --model outputs/merged --data data/test.jsonl --out predictions/a.jsonl
"""

import argparse
import hashlib
import math
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from eval import backend, model_files, predictions
from eval.letters import Tokenizer, encode, load_tokenizer
from eval.options import choose, letter_mass, option_logprobs
from eval.table import Result, show
from prep.errors import UserError, entry
from prep.jsonl import read_records, sha256
from prep.records import Prediction, Row

EPILOG = """\
example:
  python eval/score.py --model outputs/stage2 --data data/test.jsonl --out predictions/stage2.jsonl
  python eval/score.py --model a=outputs/one b=outputs/two --data data/test.jsonl --out predictions

Several models are scored one after another by one process; --out is then a folder, which gets
NAME.jsonl of each. Besides the predictions it writes NAME.meta.json: what made them. Of equally
probable options the one published first is chosen. vLLM is used where it is installed, here or in
.venv-vllm (MAERAK_VLLM_PYTHON names another interpreter), else transformers."""


@dataclass(frozen=True)
class Job:
    """One model to score: where it lies, and all rows in its own token ids."""

    model: str
    out: Path
    folder: Path
    dtype: str
    chat_template: str
    prompts: list[list[int]]
    letters: list[list[int]]


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, score, write both files and print the accuracy where it is known."""
    argv = sys.argv[1:] if argv is None else argv
    args = _arguments(argv)
    chosen = backend.choose(args.backend, args.adapter, argv)
    outs = targets(args.model, args.out)
    rows = read_rows(args.data)
    # all are prepared before the first is scored: what is wrong with one shows at once
    jobs = [prepare(model, out, rows, args) for out, model in outs.items()]
    results = [score(job, rows, chosen, args) for job in jobs]
    if any(row.answer for row in rows):
        show(results, rows)


def targets(models: Sequence[str], out: Path) -> dict[Path, str]:
    """The predictions file of each model, given as MODEL or NAME=MODEL; raises `UserError`."""
    if out.suffix == ".jsonl" and len(models) > 1:
        raise UserError(f"{out}: one file for {len(models)} models; give --out a folder")
    if out.suffix not in ("", ".jsonl") and not out.is_dir():
        raise UserError(f"{out}: a prediction file's name must end in .jsonl; rename it")
    result: dict[Path, str] = {}
    for given in models:
        name, equals, model = given.partition("=")
        if not equals or "/" in name:  # a path may hold an equals sign of its own
            name, model = Path(given).name, given
        path = out if out.suffix == ".jsonl" else out / f"{name}.jsonl"
        if path in result:
            raise UserError(f"--model: two are named {name}; name one anew, as NAME={model}")
        result[path] = model
    return result


def prepare(model: str, out: Path, rows: Sequence[Row], args: argparse.Namespace) -> Job:
    """All that can go wrong before a model is loaded; raises `UserError`."""
    folder = model_files.resolve(model)
    tokenizer = load_tokenizer(folder, args.chat_template)
    prompts, letters = encode_rows(tokenizer, rows, args.data, model_files.config(folder))
    dtype = model_files.stored_dtype(folder) if args.dtype == "auto" else args.dtype
    return Job(model, out, folder, dtype, str(tokenizer.chat_template), prompts, letters)


def score(job: Job, rows: Sequence[Row], chosen: str, args: argparse.Namespace) -> Result:
    """Load a model, score all rows, write predictions and sidecar."""
    started = time.monotonic()
    adapter = args.adapter and model_files.resolve_adapter(args.adapter)
    engine = backend.open_engine(
        chosen,
        job.folder,
        adapter=adapter,
        dtype=job.dtype,
        batch_size=args.batch_size,
        longest=max(map(len, job.prompts)),
    )
    with closing(engine):
        begun = time.monotonic()
        logprobs = engine.letter_logprobs(job.prompts, job.letters)
        seconds = time.monotonic() - begun
    scored = [predict(row, values) for row, values in zip(rows, logprobs, strict=True)]
    mass = masses(logprobs)
    meta = {
        "method": "letter-logprob",
        "model": job.model,
        "weights_sha256": model_files.weights_sha256(job.folder),
        "adapter": args.adapter and str(args.adapter),
        "adapter_sha256": adapter and model_files.weights_sha256(adapter),
        "chat_template_sha256": hashlib.sha256(job.chat_template.encode()).hexdigest(),
        "data": {"path": str(args.data), "sha256": sha256(args.data), "rows": len(rows)},
        "prompts": sorted({row.prompt for row in rows if row.prompt}),
        "backend": engine.about,
        "letter_mass": mass.model_dump(),
        "time": {
            "total_seconds": round(time.monotonic() - started, 2),
            "scoring_seconds": round(seconds, 2),
            "rows_per_second": round(len(rows) / seconds, 2),
        },
    }
    predictions.write(job.out, scored, meta)
    print(f"{job.out}: {len(rows)} rows, {len(rows) / seconds:.1f} a second")
    if mass.mean < 0.5:
        print(
            f"warning: only {mass.mean:.1%} of the probability falls on the letters; the model was "
            "not trained on this prompt and chat template, or not yet",
            file=sys.stderr,
        )
    return Result.of(job.out.stem, rows, {one.id: one.choice for one in scored}, mass)


def read_rows(path: Path) -> list[Row]:
    """The rows to score; raises `UserError` where there is none or an id stands twice."""
    rows = read_records(path, Row)
    if not rows:
        raise UserError(f"{path}: holds no row; build it with prep/build.py")
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise UserError(f"{path}: id {row.id} stands there twice; build the file again")
        seen.add(row.id)
    return rows


def encode_rows(
    tokenizer: Tokenizer, rows: Sequence[Row], data: Path, config: dict[str, Any]
) -> tuple[list[list[int]], list[list[int]]]:
    """Prompt ids and letter ids of all rows; raises `UserError` naming the row that cannot be."""
    room = config.get("max_position_embeddings") or math.inf
    prompts, letters = [], []
    for row in rows:
        try:
            prompt, ids = encode(tokenizer, row)
        except UserError as error:
            raise UserError(f"{data}, {error}") from None
        if len(prompt) >= room:
            raise UserError(
                f"{data}, row {row.id}: {len(prompt)} tokens, but the model takes {room}; "
                "shorten the row or use another model"
            )
        prompts.append(prompt)
        letters.append(ids)
    return prompts, letters


def predict(row: Row, letter_logprobs: Sequence[float]) -> Prediction:
    """A row's prediction from the raw log-probabilities of its labels in the order shown."""
    if not all(math.isfinite(value) for value in letter_logprobs):
        raise UserError(
            f"row {row.id}: the model gives {letter_logprobs} for {row.labels}, not finite "
            "log-probabilities; score with --dtype float32, and if that changes nothing the "
            "weights are broken"
        )
    logprobs = option_logprobs(letter_logprobs, row.order)
    return Prediction(id=row.id, order=row.order, logprobs=logprobs, choice=choose(logprobs))


def masses(logprobs: Sequence[Sequence[float]]) -> predictions.LetterMass:
    """How much probability falls on the letters, over all rows."""
    shares = [letter_mass(values) for values in logprobs]
    return predictions.LetterMass(
        mean=round(math.fsum(shares) / len(shares), 4),
        min=round(min(shares), 4),
        below_half=round(sum(share < 0.5 for share in shares) / len(shares), 4),
    )


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Score the options of each row by the log-probability of their letters.",
        epilog=EPILOG,
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
    add("--batch-size", type=int, default=16, help="rows a batch, default %(default)s")
    add("--adapter", type=Path, help="a LoRA adapter over the model (transformers only)")
    add("--chat-template", type=Path, help="Jinja file to use instead of the tokenizer's template")
    args = parser.parse_args(argv)
    if args.batch_size < 1:
        parser.error("--batch-size must be at least 1")
    return args


if __name__ == "__main__":
    entry(main)
