"""Search for a prompt: rewritten instructions, each scored on grouped folds of training questions.

Run as: python experiments/search_prompt.py --run cci --model outputs/cci-stage2/model --out found

The objective is accuracy by eval/score.py. Each fold is held out once of a complete search, whose
choice is scored on it: these answers make the interval, which no search has seen. The prompt
written is that of one more search over all folds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError, entry
from core.files import atomic_file, locked
from core.jsonl import write_json
from core.layout import ANSWERS
from experiments.pieces import alone
from experiments.prompt_bench import Bench
from experiments.prompt_search import Rewriter, Search, summary
from prep import corpus
from prep.guards.contamination import Scored
from prep.guards.group_folds import fold_numbers, near_contexts
from prep.guards.track import enforce
from prep.render import Renderer, load_prompt
from prep.teachers.answer_store import AnswerStore
from prep.teachers.client import Client, served
from prep.teachers.roster import TEACHERS, check_teacher, load_teacher
from prep.teachers.solved import teachable

EPILOG = """\
example:
  python experiments/search_prompt.py --run demo --model outputs/demo-seed1/model \\
    --prompts reference baseline --teacher local --rounds 3 --out found

Without --teacher it chooses among the prompts alone. A killed search goes on when the same command
is given again: scorings lie in outputs/ablations, the teacher's answers in data/answers.
docs/prompts.md explains what is written."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line; search, write the prompt and its history."""
    args = _arguments(argv)
    run = corpus.run_of(args)
    got = corpus.questions_of(run, "train")
    if got is None:
        raise UserError(f"run {args.run}: its training file is not there; name --corpus")
    renderer = Renderer(load_prompt(run.prompt), run.answer, run.system, seed=run.seed)
    others = [corpus.questions_of(run, split) for split in ("dev", "test")]
    scored = Scored([one for read in others if read for one in read.questions], renderer)
    questions, left_out = teachable(got.questions, scored)
    questions = questions[: args.count]
    if not questions:
        raise UserError(f"run {args.run}: all {len(left_out)} questions are left out; none is left")
    folds = fold_numbers(questions, args.folds, run.seed, near_contexts(questions, run.duplicates))
    prompts = [load_prompt(name) for name in args.prompts or [run.prompt]]
    print(
        f"{len(questions)} questions in {args.folds} folds; to score at most "
        f"{len(prompts) + args.rounds * (args.folds + 1)} prompts, "
        f"{args.rounds * (args.folds + 1)} of them to be written"
    )
    writer = None
    if args.rounds:
        teacher = load_teacher(args.teacher, args.teachers)
        for note in enforce(check_teacher(run.track, teacher)):
            print(f"note: {note}")
        if teacher.cost(1, 1) != 0 and args.budget is None and not args.dry_run:
            raise UserError(
                f"teacher {teacher.name}: is not free; say by --budget what may be spent"
            )
        client = Client(teacher, served(teacher), AnswerStore(args.answers), budget=args.budget)
        writer = Rewriter(client, args.max_tokens, args.seed)
        most = writer.most(questions, prompts, args.rounds * (args.folds + 1))
        cost = teacher.cost(*most)
        print(
            f"to ask: {most[0]} tokens read, {most[1]} written at most: "
            + ("price not known" if cost is None else f"costs {cost:.4f}")
        )
    if args.dry_run:
        return
    names = [*map(str, args.prompts or [run.prompt])]
    busy = f"{args.answers}: another command is asking; wait until it is done"
    with alone() as lock, locked(args.answers / ".lock", busy):
        scoring = {"backend": args.backend, "batch_size": args.batch_size}
        bench = Bench(args.model, questions, folds, renderer, args.out, scoring, lock)
        search = Search(bench, names, writer, args.rounds, args.seed)
        found = {fold: search.without(fold) for fold in [*range(args.folds), None]}
    made = summary(bench, found, names)
    made |= {"run": args.run, "model": str(args.model), "seed": args.seed}
    made |= {"teacher": writer.client.teacher.name if writer else None}
    chosen = found[None].best
    with atomic_file(args.out / "prompt.jinja") as file:
        file.write(bench.sources[chosen])
    write_json(args.out / "history.json", made)
    nested, first = made["nested"], made["first"]
    print(
        f"{args.out / 'prompt.jinja'}: {nested['accuracy']:.1%} on folds that no search has seen "
        f"(95 % {nested['interval95']}), {made['flattered']:.1%} on those it was chosen by; "
        f"{names[0]} has {first['accuracy']:.1%}"
    )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    corpus.add_arguments(parser)
    add("--model", type=Path, required=True, help="the model that the prompt is for")
    add("--prompts", nargs="+", help="to begin with: names, or .jinja files; default the run's")
    add("--out", type=Path, required=True, help="folder of the prompt and its history")
    add("--teacher", help="who rewrites: an entry of the teachers' file")
    add("--teachers", type=Path, default=TEACHERS, help="the teachers' file")
    add("--rounds", type=int, default=0, help="rewritten prompts a search, default %(default)s")
    add("--folds", type=int, default=5, help="of the training questions, default %(default)s")
    add("--count", type=int, help="so many training questions at most")
    add("--max-tokens", type=int, default=512, help="of an instruction, default %(default)s")
    add("--seed", type=int, default=42, help="of what is asked and shown, default %(default)s")
    add("--budget", type=float, help="what the teacher may cost, in the currency of its price")
    add("--backend", choices=("auto", "vllm", "hf"), default="auto", help="of eval/score.py")
    add("--batch-size", type=int, default=16, help="of eval/score.py")
    add("--answers", type=Path, default=ANSWERS, help="folder of the teachers' answers")
    add("--dry-run", action="store_true", help="say what it would score and ask; do neither")
    args = parser.parse_args(argv)
    if args.folds < 2 or args.rounds < 0 or args.max_tokens < 1 or args.batch_size < 1:
        parser.error("--folds starts at 2, --rounds at 0, --max-tokens and --batch-size at 1")
    if bool(args.rounds) != bool(args.teacher):
        parser.error("--teacher and --rounds come together: who rewrites, and how often")
    return args


if __name__ == "__main__":
    entry(main)
