"""Write the text that a model answers each row with, for tasks whose answer is a text.

Run as: python eval/generate.py --model outputs/own/model --data rows.jsonl --out texts.jsonl

Each line is {"id", "text", "ended"}, for eval/score_texts.py; NAME.meta.json says what made them. A
row may end with the right text, as a training row does: the model does not see it. A killed run
continues where it stopped when the same command is given again.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import sha256
from core.jsonl import write_json, write_records
from core.records import Row, Strict, draw
from eval import runner, targets
from eval.answer_tokens import Tokenizer, split_answers
from eval.engines.interface import Engine
from eval.executor import LocalExecutor
from eval.methods.base import Asked
from eval.methods.generated import asked_for_text, decoding
from eval.methods.permutations import plan
from eval.predictions import meta_path
from eval.rows import read_rows
from eval.written import WrittenText


class Reply(Strict):
    """A text, and whether the model ended it itself."""

    text: str
    ended: bool


@dataclass(frozen=True)
class Writing:
    """The most probable text of at most `max_tokens` tokens; a drawn one at a temperature."""

    max_tokens: int
    temperature: float = 0.0
    seed: int = 42
    reads = False
    structured = False

    def ask(self, tokenizer: Tokenizer, row: Row) -> Asked:
        """The prompt, and the tokens that end a reply: EOS, and what training put after answers."""
        last = row.messages[-1].role == "assistant"
        messages = row.messages[:-1] if last else row.messages
        prompt, [tail] = split_answers(tokenizer, messages, ["답"], f"row {row.id}")
        return asked_for_text(tokenizer, row, prompt, set(tail), self.max_tokens)

    def answers(self, engine: Engine, tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Reply]:
        """The text of each row; it depends on the row, the seed and the model alone."""
        replies = engine.generate(
            [one.prompts[0] for one in asked],
            decoding(asked, self.max_tokens, self.temperature),
            seeds=[draw(self.seed, "text", one.row.id) % 2**31 for one in asked],
        )
        return [
            Reply(text=tokenizer.decode(ids, skip_special_tokens=True).strip(), ended=ended)
            for [(ids, ended)] in replies
        ]

    def meta(self) -> dict[str, Any]:
        """Everything chosen that changes the texts."""
        return {"method": "text", **vars(self)}

    def found(self, answers: Sequence[Reply]) -> dict[str, Any]:
        """How many texts the model did not end itself."""
        return {"cut_off": sum(not answer.ended for answer in answers)}


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, write the texts and what made them."""
    args = _arguments(argv)
    [model] = targets.resolve([args.model], [], args.out)
    rows = read_rows(args.data)
    method = Writing(args.max_tokens, args.temperature, args.seed)
    planned = plan(rows, args.data, permutations="none", combine="mean", share=None, seed=args.seed)
    engine = "vllm" if find_spec("vllm") else "hf"
    prepared = targets.prepare(model, engine, method, planned, args)
    [member] = prepared.members.values()
    begun = time.monotonic()
    list(runner.run(prepared.setup, prepared.ask, {None: member.partial}, LocalExecutor()))
    replies = [Reply.model_validate(value) for value in member.partial.values(len(rows))]
    texts = zip(rows, replies, strict=True)
    write_records(args.out, (WrittenText(id=row.record, **dict(reply)) for row, reply in texts))
    found = {
        **member.made_of,
        **method.found(replies),
        "seconds": round(time.monotonic() - begun, 2),
    }
    write_json(meta_path(args.out), {**found, "texts_sha256": sha256(args.out)})
    member.partial.drop()
    print(f"{args.out}: {len(rows)} texts, {found['cut_off']} cut off at {args.max_tokens} tokens")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python eval/generate.py --model outputs/own/model --data rows.jsonl "
        "--out texts.jsonl",
    )
    add = parser.add_argument
    add("--model", required=True, help="a model folder, or a hub model as owner/name")
    add("--data", required=True, type=Path, help="rows, as prep/build.py writes them")
    add("--out", required=True, type=Path, help="texts to write: NAME.jsonl")
    add("--max-tokens", type=int, default=256, help="of a text, default %(default)s")
    add("--temperature", type=float, default=0.0, help="0: the most probable text")
    add("--seed", type=int, default=42, help="of what is drawn, default %(default)s")
    add("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    add("--load-in", choices=("4bit", "8bit"), help="quantise the linear layers on loading")
    add("--batch-size", type=int, default=16, help="rows a forward pass, default %(default)s")
    add("--chat-template", type=Path, help="Jinja file instead of the tokenizer's template")
    args = parser.parse_args(argv, argparse.Namespace(tensor_parallel=1, replicas=1))
    if args.max_tokens < 1 or args.batch_size < 1 or args.temperature < 0:
        parser.error("--max-tokens and --batch-size start at 1, --temperature at 0")
    if args.out.suffix != ".jsonl":
        raise UserError(f"{args.out}: a file of texts must end in .jsonl; rename it")
    return args


if __name__ == "__main__":
    entry(main)
