"""Write the task that lets lm-evaluation-harness score the same rows, token by token the same.

Run as: python eval/lm_eval/make.py --model outputs/stage2 --data data/dev.jsonl --out outputs/task
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])

import yaml

from eval import model_files
from eval.letters import Tokenizer, encode, load_tokenizer
from eval.score import read_rows
from prep.errors import UserError, entry
from prep.jsonl import replacing, sha256, write_records
from prep.records import Row

EPILOG = """\
example:
  python eval/lm_eval/make.py --model outputs/stage2 --data data/dev.jsonl --out outputs/task

writes NAME.yaml and NAME.jsonl, and prints the lm_eval command that scores them with this model.
The prompts are rendered by the model's chat template: another model needs a task of its own."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, write the task and print how to run it."""
    args = _arguments(argv)
    folder = model_files.resolve(args.model)
    tokenizer = load_tokenizer(folder, args.chat_template)
    rows = read_rows(args.data)
    try:
        items = [item(tokenizer, row) for row in rows]
    except UserError as error:
        raise UserError(f"{args.data}, {error}") from None
    name = args.name or f"maerak_{args.data.stem}"
    held = args.out / f"{name}.jsonl"
    write_records(held, items)
    with replacing(args.out / f"{name}.yaml") as file:
        yaml.safe_dump(task(name, held, args.data), file, sort_keys=False, allow_unicode=True)
    print(f"{args.out}: {len(items)} items; score them by\n{command(folder, args.out, name)}")


def item(tokenizer: Tokenizer, row: Row) -> dict[str, Any]:
    """A row as lm-eval reads it: rendered prompt, a continuation a label, the right one's place.

    Raises `UserError` where the row has no answer, and where lm-eval would see other token ids than
    scoring does.
    """
    if row.answer is None or row.labels is None:
        raise UserError(
            f"row {row.id}: has no answer, and lm-eval needs one; use data with answers"
        )
    ids, letters = encode(tokenizer, row)
    text = tokenizer.apply_chat_template(
        [message.model_dump() for message in row.messages],
        add_generation_prompt=True,
        tokenize=False,
    )
    for label, letter in zip(row.labels, letters, strict=True):
        if _ids(tokenizer, text + label) != [*ids, letter]:
            raise UserError(
                f"row {row.id}: as text, prompt and letter {label} become other tokens than those "
                "scored; this tokenizer and lm-eval cannot agree"
            )
    head, tail = split(tokenizer, text, ids)
    return {
        "id": row.id,
        "text": head,
        "choices": [tail + label for label in row.labels],
        "gold": row.labels.index(row.answer),
    }


def split(tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> tuple[str, str]:
    """Where to cut a prompt, so that its head alone has the tokens that it has in the whole.

    lm-eval takes the white space at the end of a context for the beginning of each continuation
    and tokenises the context without it. Where a token joins that white space to what stands
    before it (":\\n" in "### Response:\\n"), its cut would fall into the token, which it would lose
    without a word: then the cut is made earlier. All choices begin with what follows the cut, which
    adds the same to the log-likelihood of each.
    """
    for end in range(len(text), 0, -1):
        head = _ids(tokenizer, text[:end].rstrip())
        if head and head == list(ids[: len(head)]):
            return text[:end], text[end:]
    raise UserError(
        "the prompt has no beginning whose tokens stay the same; lm-eval cannot read it"
    )


def task(name: str, held: Path, data: Path) -> dict[str, Any]:
    """The task's YAML: multiple choice over the items, nothing added to the texts."""
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(held.resolve())}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "text",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "target_delimiter": "",
        "num_fewshot": 0,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1, "data": str(data), "data_sha256": sha256(data)},
    }


def command(folder: Path, out: Path, name: str) -> str:
    """What runs the task with a model as scoring would: no BOS added, the soft-cap kept."""
    settings = {
        "pretrained": folder,
        "add_bos_token": False,
        "dtype": model_files.stored_dtype(folder),
        "softmax_dtype": "float32",
    }
    if model_files.config(folder).get("attn_logit_softcapping"):
        settings["attn_implementation"] = "eager"
    given = ",".join(f"{key}={value}" for key, value in settings.items())
    return (
        f"lm_eval --model hf --model_args {given} --include_path {out} --tasks {name} "
        "--batch_size 16"
    )


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write the task that lets lm-evaluation-harness score the same rows.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, help="a model folder, or a hub model as owner/name")
    add("--data", required=True, type=Path, help="rows to score, with answers")
    add("--out", required=True, type=Path, help="the folder to write the task to")
    add("--name", help="the task's name, default maerak_ and the name of the data file")
    add("--chat-template", type=Path, help="Jinja file to use instead of the tokenizer's template")
    return parser.parse_args(argv)


if __name__ == "__main__":
    entry(main)
