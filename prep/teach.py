"""Ask a teacher for training data: reasoning, hints, letters, questions of documents, instructions.

Run as: python prep/teach.py reasoning --run exam --teacher local --dry-run

--dry-run says what would be asked and what it may cost, and asks nothing. A run that is ended is
given again as it was: what was answered is not asked, or paid for, twice. The folder written holds
the lines, what was removed and why (removed.jsonl), and what made them (meta.json).
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import jsonl
from core.errors import UserError, entry
from core.files import atomic_dir, locked
from core.layout import ANSWERS
from core.records import LABELS, Question, Removed
from prep import corpus
from prep.config import Run
from prep.guards.contamination import Scored
from prep.guards.track import enforce
from prep.render import Renderer, load_prompt
from prep.retrieval import documents
from prep.teachers.answer_store import AnswerStore
from prep.teachers.client import Client, served
from prep.teachers.document_questions import DocumentQuestions, texts
from prep.teachers.instructions import Instructions, template_of
from prep.teachers.letter_tokens import letter_tokens
from prep.teachers.production import Produced, forecast, produce
from prep.teachers.roster import TEACHERS, Teacher, check_teacher, load_teacher
from prep.teachers.solved import Hints, Odds, Reasoning, teachable

TABLE = (
    "table, columns: {id: id, passage: passage, question: question, options: options, "
    "answer: answer, group: document}, answers: from 1"
)
SOURCES = {"reasoning": "messages", "hints": "messages", "magpie": "messages"}
SOURCES |= {"questions": TABLE, "letters": None}  # how a stage reads a product
MARK = "meta.json"


def scored_of(run: Run, renderer: Renderer) -> tuple[Scored, list[Question]]:
    """The dev and test questions of a run, which nothing that is asked or written may come near."""
    found = [corpus.questions_of(run, split) for split in ("dev", "test")]
    questions = [one for got in found if got for one in got.questions]
    return Scored(questions, renderer), questions


def planned(
    args: argparse.Namespace, run: Run, teacher: Teacher, model: str
) -> tuple[Any, list[Any], list[Removed]]:
    """The product, the items that it is made of, and those that are not asked about."""
    renderer = Renderer(load_prompt(run.prompt), run.answer, run.system, seed=run.seed)
    scored, questions = scored_of(run, renderer)
    by: dict[str, Any] = {"teacher": teacher.name, "model": model, "seed": args.seed}
    by["max_tokens"] = args.max_tokens
    if args.product == "magpie":
        template = template_of(teacher.tokenizer, teacher.name)
        made = Instructions(**by, template=template, scored=scored, method=run.duplicates)
        return made, made.draws(args.count or 100), []
    if args.product == "questions":
        named = args.documents or (run.retrieve.documents if run.retrieve else [])
        if not named:
            raise UserError("no documents to write questions from; name them as --documents")
        found = documents.read(documents.files(named))
        items, removed = texts(found, questions, args.count)
        return DocumentQuestions(**by, scored=scored), items, removed
    got = corpus.questions_of(run, "train")
    if got is None:
        raise UserError(f"run {args.run}: its training file is not there; name --corpus")
    asked, removed = teachable(got.questions, scored)
    asked = asked[: args.count]
    if args.product == "letters":
        letters = LABELS[: max((len(one.options) for one in asked), default=0)]
        tokens = letter_tokens(teacher, model, letters)
        return Odds(**by, renderer=renderer, tokens=tokens), asked, removed
    return {"reasoning": Reasoning, "hints": Hints}[args.product](**by), asked, removed


def write(out: Path, product: Any, teacher: Teacher, done: Produced, **facts: object) -> None:
    """Write the folder of a product, all or nothing; an earlier one of it is kept in `.stale`."""
    with atomic_dir(out, MARK) as folder:
        lines = "predictions.jsonl" if product.name == "letters" else "rows.jsonl"
        jsonl.write_records(folder / lines, done.lines)
        jsonl.write_records(folder / "removed.jsonl", done.removed)
        meta = {
            "product": product.name,
            "teacher": teacher.model_dump(include={"name", "licence", "training"}),
            "model": product.model,
            "prompt": product.prompt,
            "seed": product.seed,
            **facts,
            "kept": len(done.lines),
            "removed": done.reasons,
        }
        jsonl.write_json(folder / MARK, meta)


def main(argv: Sequence[str] | None = None) -> None:
    """Ask, verify and write; or say what that would cost."""
    args = _arguments(argv)
    run, teacher = corpus.run_of(args), load_teacher(args.teacher, args.teachers)
    for note in enforce(check_teacher(run.track, teacher)):
        print(f"note: {note}")
    if teacher.key and not args.dry_run:
        teacher.secret()
    model = served(teacher)
    product, items, left_out = planned(args, run, teacher, model)
    if not items:
        raise UserError(f"{product.name}: nothing to ask about; all {len(left_out)} are left out")
    store = AnswerStore(args.answers)
    ahead = asyncio.run(forecast(product, items, Client(teacher, model, store, dry=True)))
    print(f"{product.name}: {len(items)} items, of which {ahead.items} are not answered yet")
    print(
        f"to ask: at most {ahead.requests} requests, {ahead.prompt} tokens read, "
        f"{ahead.completion} written: {_money(teacher, ahead.prompt, ahead.completion)}"
    )
    if args.dry_run:
        return
    free = teacher.cost(1, 1) == 0
    if ahead.requests and not free and args.budget is None:
        raise UserError(f"teacher {teacher.name}: is not free; say by --budget what may be spent")
    client = Client(teacher, model, store, limit=args.limit, budget=args.budget)

    async def asked() -> Produced:
        async with client:
            return await produce(product, items, client)

    # two commands at once could pay for one answer twice
    busy = f"{args.answers}: another command is asking; wait until it is done"
    with locked(args.answers / ".lock", busy):
        try:
            done = asyncio.run(asked())
        finally:
            spent = client.spent
            print(
                f"asked: {spent.requests} requests, {spent.prompt} tokens read, "
                f"{spent.completion} written: {_money(teacher, spent.prompt, spent.completion)}"
            )
    done.removed[:0] = left_out
    out = args.out or Path(run.inputs) / "taught" / product.name
    write(out, product, teacher, done, run=args.run, read=len(items) + len(left_out))
    reasons = ", ".join(f"{count} {reason}" for reason, count in done.reasons.items())
    print(f"{out}: {len(done.lines)} kept, {len(done.removed)} removed ({reasons or 'none'})")
    if done.lines and (source := SOURCES[product.name]):
        print(f"in a stage: {{name: {product.name}, path: {out / 'rows.jsonl'}, source: {source}}}")


def _money(teacher: Teacher, prompt: int, completion: int) -> str:
    cost = teacher.cost(prompt, completion)
    return "price not known" if cost is None else f"costs {cost:.4f}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/teach.py hints --run exam --teacher local --count 100",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("product", choices=sorted(SOURCES), help="what to make (docs/teachers.md)")
    corpus.add_arguments(parser)
    add("--teacher", default="local", help="an entry of the teachers' file (local)")
    add("--teachers", type=Path, default=TEACHERS, help="the teachers' file")
    add("--documents", nargs="+", help="of questions: files and folders, instead of the run's")
    add("--count", type=int, help="ask about so many items at most; of magpie 100")
    add("--max-tokens", type=int, default=1024, help="of an answer, default %(default)s")
    add("--seed", type=int, default=42, help="of what is asked and drawn, default %(default)s")
    add("--limit", type=int, default=8, help="requests at once, default %(default)s")
    add("--budget", type=float, help="what this command may cost, in the currency of the price")
    add("--dry-run", action="store_true", help="say what it would ask and cost, and ask nothing")
    add("--answers", type=Path, default=ANSWERS, help="folder of the answers that are kept")
    add("--out", type=Path, help="folder to write, instead of INPUTS/taught/PRODUCT")
    args = parser.parse_args(argv)
    if args.limit < 1 or args.max_tokens < 1 or (args.count is not None and args.count < 1):
        parser.error("--limit, --max-tokens and --count start at 1")
    if args.budget is not None and not 0 <= args.budget < float("inf"):
        parser.error("--budget starts at 0")
    return args


if __name__ == "__main__":
    entry(main)
