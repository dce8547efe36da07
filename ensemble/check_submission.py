"""Say whether a submission is valid for a test file, and if not, why.

Run as: python ensemble/check_submission.py submission.json --test corpus/test.json
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.errors import entry
from ensemble.submission import add_arguments, sheet_of

EPILOG = """\
example:
  python ensemble/check_submission.py submission.json --test corpus/test.json

Valid is a file in UTF-8 without a byte order mark that answers every id of the test file once, in
its order, by one of the options that the item has. A .json submission is the test file with
`output` filled and nothing else changed; a .csv submission has the columns id and answer, which
counts from 1; that of a table of your own (--run) is the table with its answers filled in. Whether
answers are right is not looked at. Exit code 2: not valid."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and say what was found."""
    parser = argparse.ArgumentParser(
        description="Say whether a submission is valid for a test file, and if not, why.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("submission", type=Path, help="as ensemble/vote.py writes it")
    add_arguments(parser)
    args = parser.parse_args(argv)
    sheet = sheet_of(args)
    sheet.check(args.submission)
    print(f"{args.submission}: valid, {len(sheet.ids)} items")


if __name__ == "__main__":
    entry(main)
