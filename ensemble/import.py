"""Let predictions that were made elsewhere vote and be reported: write them in our form.

Run as: python ensemble/import.py old.json --test corpus/test.json --out predictions
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError, entry
from core.files import require_place, sha256
from ensemble import foreign_predictions
from ensemble.submission import sheet_of
from eval import predictions
from prep.sources.mapping import ANSWERS

EPILOG = f"""\
examples:
  python ensemble/import.py old.csv --test corpus/test.csv --answers "from 1" --out predictions
  python ensemble/import.py samples_mine.jsonl --data data/dev.jsonl --out predictions/harness.jsonl

What is read, by what a file holds:
{foreign_predictions.__doc__.partition(chr(10) * 2)[2]}
How a file counts is stated by --answers and never guessed; answers by letter, as in "B" or
"B. text", are read without it where a model wrote them. An empty answer is none. Each file's
sidecar says where it comes from, and that its making is unknown: `vote.py` takes it with --mixed,
and rules that need log-probabilities or folds refuse what has none."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, and write each file's predictions when all have been read."""
    args = _arguments(argv)
    if args.data is not None:
        items, against = foreign_predictions.items_of_rows(args.data), args.data
    else:
        items, against = foreign_predictions.items_of_sheet(sheet_of(args)), args.test
    how = foreign_predictions.Reading(args.answers, args.id, args.answer)
    outs: dict[Path, Path] = {}
    for path in args.files:
        out = args.out if args.out.suffix == ".jsonl" else args.out / f"{path.stem}.jsonl"
        if out in outs:
            raise UserError(f"{out}: is named by {outs[out]} and {path}; import one at a time")
        require_place(out, against, *args.files)
        outs[out] = path
    read = {out: foreign_predictions.read(path, items, against, how) for out, path in outs.items()}
    data = {"path": str(against), "sha256": sha256(against), "rows": len(items)}
    for out, (form, given) in read.items():
        path = outs[out]
        meta = {
            "method": predictions.IMPORTED,
            "imported": {"path": str(path), "sha256": sha256(path), "form": form},
            "making": "unknown",
            "data": data,
        }
        predictions.write(out, given, meta)
        silent = sum(one.choice is None for one in given)
        said = f", {silent} of them without an answer" if silent else ""
        print(f"{out}: {len(given)} predictions from {path} ({form}){said}")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write predictions that were made elsewhere in our form.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="what was made elsewhere")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--data", type=Path, help="the rows that they answer")
    which.add_argument("--test", type=Path, help="the test file that they answer")
    add("--run", help="of --test: a run of the params file whose table it is")
    add("--params", type=Path, default=Path("params.yaml"), help="the params file")
    add("--out", required=True, type=Path, help="NAME.jsonl, or a folder, which gets one a file")
    add("--answers", choices=ANSWERS, help="how answers are written")
    add("--id", metavar="COLUMN", help="where ids stand, as `doc.key`; default: id, 번호")
    add("--answer", metavar="COLUMN", help="where answers stand; default: answer, choice, 정답 ...")
    return parser.parse_args(argv)


if __name__ == "__main__":
    entry(main)
