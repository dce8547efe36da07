"""The options of eval/score.py that choose how rows are answered, and the method they name."""

import argparse
import math

from eval.methods.base import Method
from eval.methods.generated import TOKENS, Generated
from eval.methods.likelihood import Letter, Option, Pmi

METHODS = ("letter", "option", "pmi", "greedy", "cot", "self-consistency")
WRITES = ("greedy", "cot", "self-consistency")
# by option: what it is where it is not given, and the methods that take it
NEEDS = {
    "normalise": ("sum", ("option",)),
    "max_tokens": (None, WRITES),
    "samples": (8, ("self-consistency",)),
    "temperature": (0.7, ("self-consistency",)),
    "reply": ("json", ("self-consistency",)),
    "pride": (None, ("letter",)),
}
EPILOG = """\
methods:
  letter            log-probability of each option's letter
  option            likelihood of each option's text; --normalise divides it by its length
  pmi               the same less the likelihood after an empty user turn
  greedy            the most probable text: a letter, or "A. text"
  cot               JSON {"reasoning": ..., "answer": "A"}, the engine held to that schema
  self-consistency  the majority of several drawn replies; of a tie, the option published first
A reply in which no single answer can be read is no answer: it is counted, and listed in
NAME.jsonl.failures. --permutations and --pride read the rows that prep/build.py writes next to
the data where its run sets scoring_orders. docs/scoring.md says more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of all methods."""
    group = parser.add_argument_group("how rows are answered")
    add = group.add_argument
    add("--method", choices=METHODS, default="letter", help="default: %(default)s")
    add(
        "--normalise",
        choices=("sum", "characters", "bytes", "tokens"),
        help="of option: what its text's log-likelihood is divided by, default sum (nothing)",
    )
    add(
        "--permutations",
        choices=("none", "cyclic", "all"),
        default="none",
        help="score each question in one order of its options, all rotations, or all orders",
    )
    add(
        "--combine",
        choices=("mean", "vote"),
        help="its orders' log-probabilities, or choices; default mean, for greedy and cot vote",
    )
    add(
        "--pride",
        nargs="?",
        type=float,
        const=0.05,
        metavar="SHARE",
        help="of letter: take away what letters attract by themselves (PriDe), estimated on the "
        "rotations of a SHARE of the dialogues, default 0.05",
    )
    add("--samples", type=int, metavar="K", help="of self-consistency: replies a row, default 8")
    add("--temperature", type=float, metavar="T", help="of self-consistency, default 0.7")
    add("--reply", choices=("json", "text"), help="of self-consistency: what is drawn")
    add("--max-tokens", type=int, metavar="N", help="of a reply: default 128, as JSON 1024")
    add("--seed", type=int, default=42, help="of what is drawn, default %(default)s")


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Fill in what was not given; end with a usage error where options do not go together."""
    for name, (default, methods) in NEEDS.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
        elif args.method not in methods:
            given = f"--{name.replace('_', '-')}"
            parser.error(f"{given} needs --method {' or '.join(methods)}, not {args.method}")
    if args.combine is None:
        args.combine = "vote" if args.method in ("greedy", "cot") else "mean"
    elif args.permutations == "none":
        parser.error("--combine needs --permutations cyclic or all")
    elif args.combine == "mean" and args.method in ("greedy", "cot"):
        parser.error(f"{args.method} has no log-probabilities to average; use --combine vote")
    if args.pride is not None and args.permutations != "none":
        parser.error("--pride is for rows scored in one order; leave out --permutations")
    if args.pride is not None and not 0 < args.pride <= 1:
        parser.error("--pride must be a share above 0, at most 1")
    for name in ("samples", "max_tokens", "temperature"):
        if getattr(args, name) is not None and not 0 < getattr(args, name) < math.inf:
            parser.error(f"--{name.replace('_', '-')} must be above 0 and finite")


def method_of(args: argparse.Namespace) -> Method:
    """The method that checked arguments name."""
    if args.method == "letter":
        return Letter()
    if args.method == "option":
        return Option(args.normalise)
    if args.method == "pmi":
        return Pmi()
    form = {"greedy": "text", "cot": "json"}.get(args.method, args.reply)
    tokens = args.max_tokens or TOKENS[form]
    if args.method != "self-consistency":
        return Generated(args.method, form, tokens)
    return Generated(args.method, form, tokens, args.samples, args.temperature, args.seed)
