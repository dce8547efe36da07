"""Write the task that lets lm-evaluation-harness generate the same texts, and measure them.

Run as: python eval/lm_eval_task/make_texts.py --model outputs/own/model \
    --data data/own/answers.jsonl --out task
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError, entry
from core.files import atomic_file, read_text, sha256
from core.jsonl import write_records
from eval import model_files
from eval.answer_tokens import Tokenizer, load_tokenizer
from eval.generate import Writing
from eval.lm_eval_task import text_measures
from eval.lm_eval_task.make import command
from eval.methods.base import Asked
from eval.metrics.answer_texts import MEASURES
from eval.rows import read_rows
from eval.written import read_references

EPILOG = """\
example:
  python eval/lm_eval_task/make_texts.py --model outputs/own/model --data data/own/answers.jsonl \\
      --out task

writes NAME.yaml, NAME.jsonl and text_measures.py, and prints the lm_eval command that generates
with this model and measures. What it finds is what eval/generate.py and eval/score_texts.py find of
texts that end within --max-tokens: lm-eval does not say which were cut off, and measures these too.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, write the task and print how to run it."""
    args = _arguments(argv)
    folder = model_files.resolve(args.model)
    tokenizer = load_tokenizer(folder, args.chat_template)
    references = args.references or args.data
    right = {one.id: one.references for one in read_references(references)}
    writing, rows = Writing(args.max_tokens), read_rows(args.data)
    asked = [writing.ask(tokenizer, row) for row in rows]
    try:
        items = [item(tokenizer, one, right) for one in asked]
    except UserError as error:
        raise UserError(f"{args.data}, {error}") from None
    name = args.name or f"maerak_{args.data.stem}_text"
    stops = sorted(frozenset().union(*(one.stops for one in asked)))
    ends = [tokenizer.decode([token], skip_special_tokens=False) for token in stops]
    write(args.out, name, items, task(args.data, ends, args.max_tokens))
    print(f"{args.out}: {len(items)} items; from this folder, let them be written and measured by")
    longest = max(one.longest for one in asked)
    # one text at a time: lm-eval lets a text run on after its end until all of a batch have ended
    print(f"PYTHONPATH=. {command(folder, args.out, name, longest, batch=1)}")


def item(tokenizer: Tokenizer, asked: Asked, right: Mapping[str, list[str]]) -> dict[str, Any]:
    """A row as lm-eval reads it: the prompt as text, and the right texts.

    Raises `UserError` where it has none, and where lm-eval would see other token ids.
    """
    row, [prompt] = asked.row, asked.prompts
    if row.record not in right:
        raise UserError(f"row {row.id}: has no right text; name a file of them by --references")
    last = row.messages[-1].role == "assistant"
    said = row.messages[:-1] if last else row.messages
    text = tokenizer.apply_chat_template(
        [message.model_dump() for message in said], add_generation_prompt=True, tokenize=False
    )
    if tokenizer.encode(text, add_special_tokens=False) != prompt:
        raise UserError(
            f"row {row.id}: as text its prompt becomes other tokens; this tokenizer and lm-eval "
            "cannot agree"
        )
    return {"id": row.record, "text": text, "references": right[row.record]}


def task(data: Path, ends: Sequence[str], max_tokens: int) -> dict[str, Any]:
    """What the task's YAML says whatever its name: the most probable text, measured as here."""
    return {
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "text",
        "doc_to_target": "references",
        "target_delimiter": "",
        "num_fewshot": 0,
        "generation_kwargs": {
            "do_sample": False,
            "max_gen_toks": max_tokens,
            "until": list(ends),
        },
        "metric_list": [
            {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in MEASURES
        ],
        "metadata": {"version": 1, "data": str(data), "data_sha256": sha256(data)},
    }


def write(out: Path, name: str, items: Sequence[dict[str, Any]], settings: dict[str, Any]) -> None:
    """Write a task's items and YAML, and the function that measures."""
    held = out / f"{name}.jsonl"
    write_records(held, items)
    config = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(held.resolve())}},
        **settings,
    }
    source = Path(text_measures.__file__)
    with atomic_file(out / source.name) as file:
        file.write(read_text(source))
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    with atomic_file(out / f"{name}.yaml") as file:
        file.write(
            f"{text}process_results: !function {source.stem}.{text_measures.measure.__name__}\n"
        )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, help="a model folder, or a hub model as owner/name")
    add("--data", required=True, type=Path, help="rows, as for eval/generate.py")
    add("--references", type=Path, help="right texts, where the rows do not end with them")
    add("--out", required=True, type=Path, help="the folder to write the task to")
    add("--max-tokens", type=int, default=256, help="of a text, default %(default)s")
    add("--name", help="default: maerak_, the data file's name, and _text")
    add("--chat-template", type=Path, help="Jinja file to use instead of the tokenizer's template")
    return parser.parse_args(argv)


if __name__ == "__main__":
    entry(main)
