"""Let several models vote on the official test file and write the submission.

Run as: python ensemble/vote.py predictions/*.jsonl --test corpus/test.json --out submission.json
or, for a set of recipes/members/members.yml: python ensemble/vote.py --set pohanghang
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from core.errors import UserError, entry
from core.files import require_place, sha256
from core.layout import SUBMISSIONS, vote_of
from core.records import Prediction
from ensemble import member_answers, member_weights
from ensemble.member_answers import BITS
from ensemble.rules import K_FOLD, RULES, Outcome, Tally
from ensemble.sheet import Sheet
from ensemble.submission import add_arguments, sheet_of
from eval import predictions
from recipes.members.tables import MEMBERS, load_members, pick

DESCRIPTION = "Let several models vote on the official test file and write the submission."
TIES = """\
Ties (sums that differ by less than a millionth are equal) are counted in what is printed. They go
to the tied option with the greatest sum of log-probabilities over all models; if that is equal too,
to the one that the model named first on the command line chose, then to the one published first.
Only nlp-13 and pohanghang settle them at once, as above. nlp-13 adds floating-point numbers
as its own code did, so that .2 + .1 beats .3.

k-fold takes files of one name, such as folds/0/gemma.jsonl and folds/1/gemma.jsonl, as folds of one
recipe; with --weights for soft, folds share their recipe's weight.

A model that gives no answer to an item casts no vote there; an item that no model answers is
refused. Members must have been scored on the same rows in the same orders, with weights in the same
bits, unless --mixed. Answers in the test file are not used. A CSV test file (exam) gets a CSV
submission; a table of your own (--run) is written again with its answers, in its own form and
order."""
EPILOG = "\n".join(
    [
        "example:",
        "  python ensemble/vote.py predictions/*.jsonl --test test.json --out submission.json",
        "  python ensemble/vote.py --set pohanghang",
        "",
        "rules:",
        *(f"  {name:10}{rule.what}" for name, rule in RULES.items()),
        "",
        TIES,
    ]
)
Weight = float | NDArray[np.float64]


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, vote, and write the submission and, if asked, the vote itself."""
    args = _arguments(argv)
    sheet = sheet_of(args)
    sheet.require_suffix(args.out)
    require_places(args)
    metas = member_answers.read_members(args.predictions, args.mixed)
    if not args.set and not args.mixed:  # of a set, dvc.yaml makes both of the same file
        member_answers.require_test(args.test, args.predictions, metas)
    name, intercept, by_member = weigh(args, sheet, metas)
    if name == K_FOLD:
        member_weights.require_different_folds(args.predictions, metas)

    tally = Tally(RULES[name], sheet.items.options, intercept)
    given = member_answers.read_all(args.predictions, sheet.items)
    console = Console(stderr=True)
    for path, meta, weight, member in track(
        zip(args.predictions, metas, by_member, given, strict=True),
        total=len(metas),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ):
        if np.any(weight):  # a member that counts nothing does not settle ties either
            require_logprobs(name, path, meta, member, args.weights)
            tally.add(member, weight)
    outcome = tally.decide()
    require_answers(sheet.ids, outcome)
    sheet.write(args.out, dict(zip(sheet.ids, outcome.choice.tolist(), strict=True)))
    if args.votes is not None:
        about = vote_meta(name, args, metas, by_member, outcome)
        predictions.write(args.votes, as_predictions(sheet, outcome), about)
    print(summary(args.out, name, outcome))
    print(loaded_in(args.predictions, metas), end="")
    if name == K_FOLD:
        print(member_weights.fold_summary(args.predictions))


def require_places(args: argparse.Namespace) -> None:
    """Raise `UserError` where what is written has no place, or would replace what is read."""
    read = [args.test, args.weights, *args.predictions]
    require_place(args.out, *read)
    if args.votes is not None:
        require_place(args.votes, *read)
        require_place(predictions.meta_path(args.votes), *read, args.out)


def weigh(
    args: argparse.Namespace, sheet: Sheet, metas: Sequence[predictions.Meta]
) -> tuple[str, float, list[Weight]]:
    """The rule's name, its intercept, and what each member counts; raises `UserError`."""
    paths, path = args.predictions, args.weights
    if path is None:
        name = args.rule or "hard"
        return name, 0.0, list(member_weights.by_place(name, paths))
    found = member_weights.read(path)
    by_fold = args.rule == K_FOLD and found.rule == "soft"  # folds share their recipe's weight
    if args.rule not in (None, found.rule) and not by_fold:
        raise UserError(f"{path}: is for rule {found.rule}; leave out --rule {args.rule}")
    member_weights.require_unseen(found, path, sheet.groups, args.test)
    if not args.mixed:
        member_weights.require_bits_as_fitted(found, path, paths, metas)
    names = member_weights.for_members(found, path, paths, by_fold)
    counts = [member_weights.of_items(found, name, sheet.categories) for name in names]
    if by_fold:
        counts = [
            one * share
            for one, share in zip(counts, member_weights.fold_shares(paths), strict=True)
        ]
    return args.rule if by_fold else found.rule, found.intercept, counts


def require_logprobs(
    rule: str,
    path: Path,
    meta: predictions.Meta,
    member: member_answers.MemberAnswers,
    weights: Path | None,
) -> None:
    """Raise `UserError` where the rule needs log-probabilities that a member does not give."""
    if RULES[rule].needs_logprobs and not member.complete:
        remedy = "leave it out, or vote by --rule hard"
        if weights is not None:  # which name both the member and the rule
            remedy = f"make {weights} without it, or vote without --weights"
        raise UserError(
            f"{path}: holds answers without log-probabilities (method {meta.method}), which rule "
            f"{rule} needs; {remedy}"
        )


def require_answers(ids: Sequence[str], outcome: Outcome) -> None:
    """Raise `UserError` where no member answers an item: an answer is never guessed."""
    open_ = np.flatnonzero(outcome.choice < 0)
    if len(open_):
        raise UserError(
            f"id {ids[open_[0]]}: none of {outcome.members} models gives an answer, as for "
            f"{len(open_)} of {len(ids)} items; add a model that does, such as one scored by the "
            "letters' log-probabilities"
        )


def as_predictions(sheet: Sheet, outcome: Outcome) -> list[Prediction]:
    """The vote as predictions, for eval/report.py."""
    given = [None] * len(sheet.ids) if outcome.logprobs is None else outcome.logprobs.tolist()
    rows = zip(sheet.ids, sheet.options, given, outcome.choice.tolist(), strict=True)
    return [
        Prediction(
            id=id_,
            order=list(range(count)),
            logprobs=logprobs and logprobs[:count],
            choice=choice,
        )
        for id_, count, logprobs, choice in rows
    ]


def vote_meta(
    rule: str,
    args: argparse.Namespace,
    metas: Sequence[predictions.Meta],
    by_member: Sequence[Weight],
    outcome: Outcome,
) -> dict[str, Any]:
    """What made the vote: its rule, its members in the order that settles ties, and their data."""
    about: dict[str, Any] = {
        "method": f"{rule}-vote",
        "members": [
            {
                "path": str(path),
                "sha256": meta.predictions_sha256,
                "data_sha256": meta.data.sha256,
                "load_in": meta.load_in,
            }
            for path, meta in zip(args.predictions, metas, strict=True)
        ],
        "mixed": args.mixed,
        "prompts": sorted({prompt for meta in metas for prompt in meta.prompts}),
        "permutations": metas[0].permutations,
        "probabilities": RULES[rule].gives_probabilities
        and all(meta.probabilities for meta in metas),
        "data": metas[0].data.model_dump(),
        "ties": outcome.settled,
        "abstentions": int((outcome.members - outcome.answered).sum()),
    }
    if args.weights is not None:
        about["weights"] = {"path": str(args.weights), "sha256": sha256(args.weights)}
    if all(isinstance(weight, float) for weight in by_member):
        for member, weight in zip(about["members"], by_member, strict=True):
            member["weight"] = weight
    return about


def summary(out: Path, rule: str, outcome: Outcome) -> str:
    """One line of what was done, and one more where there were ties or abstentions."""
    items, members = len(outcome.choice), outcome.members
    models = "1 model" if members == 1 else f"{members} models"
    said = (
        f"{out}: {items} items by {models}, rule {rule}, "
        f"{int(outcome.unanimous.sum())} unanimous; valid (every id of the test file in its order, "
        "each by one of its options, nothing else changed)"
    )
    ties = ", ".join(f"{count} by {by}" for by, count in outcome.settled.items() if count)
    said += f"\nties: {sum(outcome.settled.values())}, settled {ties}" if ties else ""
    silent = int((members - outcome.answered).sum())
    if silent:
        said += f"\nabstentions: {silent}, on {int((outcome.answered < members).sum())} items"
    return said


def loaded_in(paths: Sequence[Path], metas: Sequence[predictions.Meta]) -> str:
    """One line for the members of each precision, where there are several."""
    by_bits: dict[str | None, list[str]] = {}
    for path, meta in zip(paths, metas, strict=True):
        by_bits.setdefault(meta.load_in, []).append(str(path))
    if len(by_bits) < 2:
        return ""
    return "".join(f"scored {BITS[bits]}: {', '.join(them)}\n" for bits, them in by_bits.items())


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("predictions", nargs="*", type=Path, help="files of eval/score.py; the order settles ties")
    add("--set", metavar="NAME", help=f"instead: the members of a set of {MEMBERS}, by its rule")
    add_arguments(parser, required=False)
    add("--out", type=Path, help="the submission to write, of the same form")
    add("--votes", type=Path, help="also write the vote as predictions, NAME.jsonl")
    add("--rule", choices=RULES, help="default: hard")
    add(
        "--weights",
        type=Path,
        metavar="FILE",
        help="of ensemble/fit.py or by hand; name the rule",
    )
    add(
        "--mixed",
        action="store_true",
        help="members of other prompts, cleaning, orders or bits vote too",
    )
    args = parser.parse_args(argv)
    if args.set:
        as_set(args, parser)
    elif not (args.predictions and args.test and args.out):
        parser.error("name predictions, --test and --out; or a set by --set")
    return args


def as_set(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Fill in what a set of members votes on and how."""
    if args.predictions or args.rule or args.weights or args.mixed:
        parser.error("--set names the predictions and the rule; leave out either")
    members = load_members()
    one = pick(members.sets, args.set, "set")
    args.predictions = members.voters(args.set)
    args.run, args.test = args.run or one.rows, args.test or Path(one.test)
    args.out = args.out or SUBMISSIONS / f"{args.set}.{one.format}"
    args.votes = args.votes or vote_of(args.set)
    args.rule, args.mixed = one.rule, one.mixed
    if args.rule not in (None, *RULES):
        raise UserError(
            f"{MEMBERS}, set {args.set}: no rule {args.rule}; choose from {', '.join(RULES)}"
        )


if __name__ == "__main__":
    entry(main)
