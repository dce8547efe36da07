"""Score the options of each row by the log-probability of their letters.

Run as: python eval/score.py --model outputs/merged --data data/test.jsonl --out predictions/a.jsonl
"""

import argparse
import hashlib
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from eval import backend, model_files, predictions
from eval.letters import Tokenizer, encode, load_tokenizer
from eval.options import choose, letter_mass, option_logprobs
from eval.report import Result, show
from prep.errors import UserError, entry
from prep.jsonl import read_records, sha256
from prep.records import Prediction, Row

EPILOG = """\
example:
  python eval/score.py --model outputs/stage2 --data data/test.jsonl --out predictions/stage2.jsonl

Besides the predictions it writes NAME.meta.json: what made them. Of equally probable options the
one published first is chosen. vLLM is used where it is installed, here or in .venv-vllm
(MAERAK_VLLM_PYTHON names another interpreter), else transformers."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, score, write both files and print the accuracy where it is known."""
    argv = sys.argv[1:] if argv is None else argv
    args = _arguments(argv)
    chosen = backend.choose(args.backend, args.adapter, argv)
    started = time.monotonic()
    predictions.meta_path(args.out)
    rows = read_rows(args.data)
    folder = model_files.resolve(args.model)
    adapter = args.adapter and model_files.resolve_adapter(args.adapter)
    tokenizer = load_tokenizer(folder, args.chat_template)
    prompts, letters = encode_rows(tokenizer, rows, args.data, model_files.config(folder))
    dtype = model_files.stored_dtype(folder) if args.dtype == "auto" else args.dtype
    engine = backend.open_engine(
        chosen,
        folder,
        adapter=adapter,
        dtype=dtype,
        batch_size=args.batch_size,
        longest=max(map(len, prompts)),
    )

    begun = time.monotonic()
    logprobs = engine.letter_logprobs(prompts, letters)
    seconds = time.monotonic() - begun
    scored = [predict(row, values) for row, values in zip(rows, logprobs, strict=True)]
    mass = masses(logprobs)
    meta = {
        "method": "letter-logprob",
        "model": args.model,
        "weights_sha256": model_files.weights_sha256(folder),
        "adapter": args.adapter and str(args.adapter),
        "adapter_sha256": adapter and model_files.weights_sha256(adapter),
        "chat_template_sha256": hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest(),
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
    predictions.write(args.out, scored, meta)
    print(f"{args.out}: {len(rows)} rows, {len(rows) / seconds:.1f} a second")
    if mass.mean < 0.5:
        print(
            f"warning: only {mass.mean:.1%} of the probability falls on the letters; the model was "
            "not trained on this prompt and chat template, or not yet",
            file=sys.stderr,
        )
    if any(row.answer for row in rows):
        choices = {one.id: one.choice for one in scored}
        show([Result.of(args.out.stem, rows, choices, mass)], rows)


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
    add("--model", required=True, help="a model folder, or a hub model as owner/name")
    add("--data", required=True, type=Path, help="rows to score, as prep/build.py writes them")
    add("--out", required=True, type=Path, help="predictions to write, NAME.jsonl")
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
