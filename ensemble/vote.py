"""Let several models vote on the official test file and write the submission.

Run as: python ensemble/vote.py predictions/*.jsonl --test corpus/test.json --out submission.json
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ensemble import submission
from ensemble.rules import vote_logprobs, winner
from eval import predictions
from prep.errors import UserError, entry
from prep.jsonl import sha256
from prep.records import Prediction

METHOD = "hard-vote"
DESCRIPTION = "Let several models vote on the official test file and write the submission."
EPILOG = """\
example:
  python ensemble/vote.py predictions/*.jsonl --test corpus/test.json --out submission.json

rule: the option that most models chose; of options with equally many votes, the one with the
greatest sum of log-probabilities over all models; if that is equal too, the one that the model
named first on the command line chose. Answers in the test file are not read: they are replaced."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, vote, and write the submission and, if asked, the vote itself."""
    args = _arguments(argv)
    items = submission.read_items(args.test)
    members = [predictions.read(path) for path in args.predictions]
    check_members(args.predictions, members, list(items), args.test)

    ballots = {id_: [ballot[id_] for ballot, _ in members] for id_ in items}
    for id_, of_item in ballots.items():
        check_options(args.predictions, of_item, submission.option_count(items[id_]), args.test)
    choices = {id_: winner(of_item) for id_, of_item in ballots.items()}
    if args.votes is not None:
        predictions.meta_path(args.votes)
    submission.write(args.out, items, choices)
    if args.votes is not None:
        votes = [as_prediction(id_, ballots[id_], choices[id_]) for id_ in items]
        predictions.write(args.votes, votes, vote_meta(args.predictions, members))
    unanimous = sum(len({ballot.choice for ballot in of_item}) == 1 for of_item in ballots.values())
    print(
        f"{args.out}: {len(items)} items by {len(members)} models, {unanimous} unanimous; valid "
        "(same ids, order and fields as the test file, every output an option)"
    )


def check_members(
    paths: Sequence[Path],
    members: Sequence[tuple[dict[str, Prediction], predictions.Meta]],
    ids: list[str],
    test: Path,
) -> None:
    """Raise `UserError` unless all files differ, come of the same data and cover exactly `ids`."""
    seen: dict[Path, Path] = {}
    for path in paths:
        if path.resolve() in seen:
            raise UserError(f"{path}: named twice, so it would vote twice; name each file once")
        seen[path.resolve()] = path
    for path, (ballots, meta) in zip(paths, members, strict=True):
        if meta.method == METHOD:
            raise UserError(f"{path}: is itself a vote; leave it out, or write it elsewhere")
        predictions.require_same_ids(path, ballots, ids, test)
    metas = [meta for _, meta in members]
    predictions.require_comparable(list(zip(paths, metas, strict=True)))


def check_options(
    paths: Sequence[Path], ballots: Sequence[Prediction], options: int, test: Path
) -> None:
    """Raise `UserError` where a model saw another number of options than the test file offers."""
    for path, ballot in zip(paths, ballots, strict=True):
        if len(ballot.logprobs) != options:
            raise UserError(
                f"{path}, id {ballot.id}: {len(ballot.logprobs)} options, but {test} has "
                f"{options}; score the rows that prep made from this test file"
            )


def as_prediction(id_: str, ballots: Sequence[Prediction], choice: int) -> Prediction:
    """The vote as a prediction, for eval/report.py; `logprobs` are of the smoothed vote shares."""
    logprobs = vote_logprobs(ballots)
    return Prediction(id=id_, order=list(range(len(logprobs))), logprobs=logprobs, choice=choice)


def vote_meta(
    paths: Sequence[Path], members: Sequence[tuple[dict[str, Prediction], predictions.Meta]]
) -> dict[str, Any]:
    """What made the vote: its members, in the order that settles ties, and their data."""
    return {
        "method": METHOD,
        "members": [{"path": str(path), "sha256": sha256(path)} for path in paths],
        "data": members[0][1].data.model_dump(),
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("predictions", nargs="+", type=Path, help="files of eval/score.py; the order settles ties")
    add("--test", required=True, type=Path, help="the official test file")
    add("--out", required=True, type=Path, help="the submission to write")
    add("--votes", type=Path, help="also write the vote as predictions, NAME.jsonl")
    return parser.parse_args(argv)


if __name__ == "__main__":
    entry(main)
