"""Fit what each member of a vote counts, on out-of-fold predictions of training questions.

Run as: python ensemble/fit.py oof/*/*.jsonl --data data/folds/*/dev.jsonl --rule greedy --out W

Weights follow from answers that are known: from accuracy, by greedy selection, or by stacking.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import logit

from core.errors import UserError, entry
from core.files import require_place
from core.jsonl import write_json
from ensemble import out_of_fold
from ensemble.member_answers import MemberAnswers
from ensemble.member_weights import Fitted, Weights, of_items
from ensemble.out_of_fold import OutOfFold
from ensemble.rules import DECIMALS, RULES, Floats, Tally, log_odds, probabilities

ROUNDS = 50  # of greedy selection: no member's share is finer than 1 in 50
Ints = NDArray[np.int64]
Fit = Callable[[Mapping[str, MemberAnswers], Ints, Sequence[str]], Weights]


def by_accuracy(
    members: Mapping[str, MemberAnswers], gold: Ints, categories: Sequence[str]
) -> Weights:
    """Weights for votes: the log-odds of a member's accuracy less those of chance, none below 0.

    The best weights where members err independently (Nitzan and Paroush 1982, for two options;
    for more, wrong ones being alike). Accuracy is over what the member answers, by Laplace's rule.
    """
    weights = {}
    for name, answers in members.items():
        answered = answers.answered
        right = int((answers.choice == gold)[answered].sum())
        chances = np.reciprocal(answers.options, dtype=float)[answered]
        chance = float(chances.mean()) if answered.any() else 0.5
        worth = logit((right + 1) / (answered.sum() + 2)) - logit(chance)
        weights[name] = round(max(0.0, float(worth)), DECIMALS)
    return Weights(rule="weighted", weights=weights)


def greedy(members: Mapping[str, MemberAnswers], gold: Ints, categories: Sequence[str]) -> Weights:
    """Weights for the soft vote: members added one by one, with replacement (Caruana et al. 2004).

    Each round adds the member whose addition makes most answers right; of equal ones that with the
    greatest mean log-probability of the right options, then the first. What stood best after any
    round stays. A tie counts as wrong: what settles it in a vote, no weight has earned.
    """
    given = [probabilities(answers) for answers in members.values()]
    items = np.arange(len(gold))

    def quality(summed: Floats) -> tuple[int, float]:
        total = np.maximum(summed.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        share = summed[items, gold] / total[:, 0]
        others = (summed / total).round(DECIMALS)
        others[items, gold] = 0
        right = int((share.round(DECIMALS) > others.max(axis=1)).sum())
        return right, round(float(np.log(np.maximum(share, 1e-12)).mean()), DECIMALS)

    summed, taken = np.zeros_like(given[0]), np.zeros(len(given), int)
    best, kept = (-1, -np.inf), taken
    for _ in range(ROUNDS):
        found = [quality(summed + one) for one in given]
        place = found.index(max(found))
        summed += given[place]
        taken = taken + np.eye(len(given), dtype=int)[place]
        if found[place] > best:
            best, kept = found[place], taken
    shares = kept / kept.sum()
    weights = {name: round(float(w), DECIMALS) for name, w in zip(members, shares, strict=True)}
    return Weights(rule="soft", weights=weights)


def stacking(
    members: Mapping[str, MemberAnswers], gold: Ints, categories: Sequence[str]
) -> Weights:
    """A logistic regression (Wolpert 1992): is this option right, by the members' log-odds of it?

    Options are rows of their own, so that items of any number of options fit and no position is
    learnt. A member has one coefficient for all categories and one more for each, both drawn to
    0 (L2, C = 1), so that a category with few questions keeps near the common one.
    """
    offered = next(iter(members.values())).offered
    odds = np.stack([log_odds(answers)[offered] for answers in members.values()], axis=1)
    names = sorted(set(categories))
    of_row = np.repeat(np.searchsorted(names, list(categories)), offered.sum(axis=1))
    own = [odds * (of_row == number)[:, None] for number in range(len(names))]
    features = np.hstack([odds, *own]) if len(names) > 1 else odds
    right = (np.arange(offered.shape[1]) == gold[:, None])[offered]
    from sklearn.linear_model import LogisticRegression  # seconds to import, and only wanted here

    fitted = LogisticRegression(C=1.0, max_iter=10_000).fit(features, right)
    common, *more = fitted.coef_[0].reshape(-1, len(members)).round(DECIMALS).tolist()
    return Weights(
        rule="stacking",
        weights=dict(zip(members, common, strict=True)),
        by_category={
            category: dict(zip(members, of_category, strict=True))
            for category, of_category in zip(names, more, strict=bool(more))
        },
        intercept=round(float(fitted.intercept_[0]), DECIMALS),
    )


FITS: dict[str, Fit] = {"weighted": by_accuracy, "greedy": greedy, "stacking": stacking}


FOLDS = 5  # of the estimate
EPILOG = """\
example, of members gemma and qwen, trained on data/folds/K/train.jsonl for each fold K:
  python eval/score.py --model gemma=outputs/folds/0/gemma qwen=outputs/folds/0/qwen \\
      --data data/folds/0/dev.jsonl --out predictions/oof/0          # and so for every fold
  python ensemble/fit.py predictions/oof/*/*.jsonl --data data/folds/*/dev.jsonl \\
      --rule greedy --out weights.json
  python ensemble/vote.py predictions/gemma.jsonl predictions/qwen.jsonl --weights weights.json \\
      --test corpus/test.json --out submission.json

rules:
  weighted  votes weigh the log-odds of the member's accuracy, less those of chance
  greedy    members are added to a soft vote one by one, with replacement (Caruana et al. 2004)
  stacking  logistic regression on the log-odds of each option, by category

A member is all files of one name. Rows of split test are refused, and vote.py refuses the weights
where a question or dialogue they were fitted on is voted on. What is printed is accuracy on
questions whose dialogues or passages the fit had not seen (5-fold, by group), next to the vote
without weights: fit only what gains."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, fit, and write the weights."""
    args = _arguments(argv)
    require_place(args.out, *args.predictions, *args.data)
    held = out_of_fold.read(args.predictions, args.data, args.dev)
    if args.rule != "weighted":
        for name, answers in held.members.items():
            if not answers.complete:
                raise UserError(
                    f"{held.files[name][0].path}: holds answers without log-probabilities, which "
                    f"rule {args.rule} needs; leave member {name} out, or fit --rule weighted"
                )
    fit = FITS[args.rule]
    categories = [row.category or "" for row in held.rows]
    found = fit(held.members, held.gold, categories)
    if not any(found.weights.values()) and not found.by_category:
        raise UserError("no member is better than chance, so no weight is above 0; fit others")
    right = estimate(held, fit, categories)
    accuracy = {name: round(float(of_item.mean()), 6) for name, of_item in right.items()}
    about = Fitted(
        by=args.rule,
        data=held.data,
        members=held.files,
        load_in=held.load_in,
        ids=sorted(row.record for row in held.rows),
        groups=sorted({row.group for row in held.rows}),
        sklearn=version("scikit-learn"),
        estimate=accuracy,
    )
    write_json(args.out, found.model_copy(update={"fitted": about}).model_dump(mode="json"))
    show(found, right, args.out)


def decided(rule: str, members: Mapping[str, MemberAnswers]) -> NDArray[np.int8]:
    """The choices of a vote without weights."""
    return weighed(Weights(rule=rule, weights=dict.fromkeys(members, 1.0)), members, [])


def weighed(
    found: Weights, members: Mapping[str, MemberAnswers], categories: Sequence[str]
) -> NDArray[np.int8]:
    """The choices of a vote with weights, as ensemble/vote.py decides it."""
    options = next(iter(members.values())).options
    tally = Tally(RULES[found.rule], options, found.intercept)
    for name, answers in members.items():
        weight = of_items(found, name, categories)
        if np.any(weight):
            tally.add(answers, weight)
    return tally.decide().choice


def estimate(held: OutOfFold, fit: Fit, categories: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which questions [items] are right by each vote; fits see no group that they are judged on.

    `fitted` is by the weights, `hard` and `soft` are votes without, and `best member` is the one
    that was best on the questions that the fit saw.
    """
    from sklearn.model_selection import GroupKFold  # seconds to import, and only wanted here

    groups = [row.group for row in held.rows]
    folds = min(FOLDS, len(set(groups)))
    if folds < 2:
        raise UserError("all questions are of one dialogue or passage; fit on more")
    names = list(held.members)
    choices = {"hard": decided("weighted", held.members)}
    if all(answers.complete for answers in held.members.values()):
        choices["soft"] = decided("soft", held.members)
    choices |= {"best member": choices["hard"].copy(), "fitted": choices["hard"].copy()}
    for seen, unseen in GroupKFold(folds).split(groups, groups=groups):
        of_seen = {name: held.members[name].part(seen) for name in names}
        of_unseen = {name: held.members[name].part(unseen) for name in names}
        found = fit(of_seen, held.gold[seen], [categories[i] for i in seen])
        choices["fitted"][unseen] = weighed(found, of_unseen, [categories[i] for i in unseen])
        best = max(names, key=lambda name: (of_seen[name].choice == held.gold[seen]).sum())
        choices["best member"][unseen] = of_unseen[best].choice
    return {name: choice == held.gold for name, choice in choices.items()}


def show(found: Weights, right: Mapping[str, NDArray[np.bool_]], out: Path) -> None:
    """Print the weights and the estimate, and whether fitting gains."""
    console = Console(width=100)
    table = Table("member", "weight")
    for name, weight in found.weights.items():
        table.add_row(name, f"{weight:.4f}")
    console.print(table)
    table = Table("on questions not fitted on", "accuracy", "only it right", "only fitted right")
    fitted = right["fitted"]
    for name, of_item in right.items():
        only = (str(np.sum(of_item & ~fitted)), str(np.sum(fitted & ~of_item)))
        table.add_row(name, f"{of_item.mean():.2%}", *(only if name != "fitted" else ()))
    console.print(table)
    plain = max(of_item.mean() for name, of_item in right.items() if name in ("hard", "soft"))
    gain = "more" if fitted.mean() > plain else "no more"
    print(f"{out}: {gain} right than without weights, over {len(fitted)} questions")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Fit what each member of a vote counts, on out-of-fold predictions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("predictions", nargs="+", type=Path, help="out-of-fold files of eval/score.py")
    add("--data", required=True, nargs="+", type=Path, help="the rows they scored, with answers")
    add("--rule", required=True, choices=FITS)
    add("--out", required=True, type=Path, help="the weights to write, for ensemble/vote.py")
    add("--dev", action="store_true", help="rows of split dev are held out: no member saw them")
    return parser.parse_args(argv)


if __name__ == "__main__":
    entry(main)
