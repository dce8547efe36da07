"""Write the task that lets lm-evaluation-harness score the same rows, token by token the same.

Run as: python eval/lm_eval_task/make.py --model outputs/one/model --data data/cci/dev.jsonl \
    --out task
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError, entry
from core.files import atomic_file, read_text, sha256
from core.jsonl import write_records
from eval import model_files
from eval.answer_tokens import Tokenizer, load_tokenizer
from eval.lm_eval_task import after_prompt
from eval.methods.base import Asked, questions
from eval.methods.likelihood import Letter, Option
from eval.rows import read_rows

LOGITS = 4 << 30  # bytes that a batch's logits may take
METHODS = {"letter": Letter(), "option": Option()}
METRICS = {"letter": ("acc",), "option": ("acc", "acc_norm", "acc_bytes")}
EPILOG = """\
example:
  python eval/lm_eval_task/make.py --model outputs/one/model --data data/cci/dev.jsonl --out task

writes NAME.yaml and NAME.jsonl, and prints the lm_eval command that scores them with this model.
The prompts are rendered by the model's chat template: another model needs a task of its own.

what lm-eval finds is what eval/score.py does:
  letter  acc        --method letter
  option  acc        --method option
          acc_norm   --method option --normalise characters
          acc_bytes  --method option --normalise bytes
Of option, where lm-eval counts the end of the prompt with each text (it does after white space),
after_prompt.py is written too, by which it takes that away again. --method pmi has no task:
lm-eval's acc_mutual_info compares with no prompt at all, not with one around an empty turn."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, write the task and print how to run it."""
    args = _arguments(argv)
    folder = model_files.resolve(args.model)
    tokenizer = load_tokenizer(folder, args.chat_template)
    settings = model_files.config(folder)
    rows = read_rows(args.data)
    asked = questions(METHODS[args.method], tokenizer, rows, args.data, settings).asked
    try:
        items = [item(tokenizer, one, args.method) for one in asked]
    except UserError as error:
        raise UserError(f"{args.data}, {error}") from None
    suffix = "" if args.method == "letter" else f"_{args.method}"
    name = args.name or f"maerak_{args.data.stem}{suffix}"
    write(args.out, name, items, task(args.method, args.data))
    print(f"{args.out}: {len(items)} items; score them by")
    print(command(folder, args.out, name, max(one.longest for one in asked)))


def item(tokenizer: Tokenizer, asked: Asked, method: str) -> dict[str, Any]:
    """A row as lm-eval reads it: the prompt's beginning, choices, the place of the right one.

    A choice is what the beginning leaves of the prompt and an answer: a label or an option's text.
    Of texts, whose length counts, what is left is the last choice by itself, to be taken away.
    Raises `UserError` where the row has no answer, and where lm-eval would see other token ids than
    scoring does.
    """
    row, [prompt], [continuations] = asked.row, asked.prompts, asked.continuations
    if row.answer is None or row.labels is None:
        raise UserError(
            f"row {row.id}: has no answer, and lm-eval needs one; use data with answers"
        )
    answers = row.labels if method == "letter" else row.options or []
    text = tokenizer.apply_chat_template(
        [message.model_dump() for message in row.messages],
        add_generation_prompt=True,
        tokenize=False,
    )
    for answer, ids in zip(answers, continuations, strict=True):
        if _ids(tokenizer, text + answer) != [*prompt, *ids]:
            raise UserError(
                f"row {row.id}: as text, prompt and {method} {answer!r} become other tokens than "
                "those scored; this tokenizer and lm-eval cannot agree"
            )
    head, tail = split(tokenizer, text, prompt)
    found = {
        "id": row.id,
        "text": head,
        "choices": [tail + answer for answer in answers],
        "gold": row.labels.index(row.answer),
    }
    if method == "option":
        found["choices"] += [tail] if tail else []
        found["options"] = answers
    return found


def split(tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> tuple[str, str]:
    """Where to cut a prompt, so that its head alone has the tokens that it has in the prompt.

    lm-eval takes the white space at the end of a context for the beginning of each continuation
    and tokenises the context without it: so the cut stands before any. Where a token joins that
    white space to what stands before it (":\\n" in "### Response:\\n"), a cut between them would
    lose the token without a word: then it is made earlier.
    """
    for end in range(len(text), 0, -1):
        head = text[:end].rstrip()
        found = _ids(tokenizer, head)
        if found and found == list(ids[: len(found)]):
            return head, text[len(head) :]
    raise UserError(
        "the prompt has no beginning whose tokens stay the same; lm-eval cannot read it"
    )


def task(method: str, data: Path) -> dict[str, Any]:
    """What a task's YAML says whatever its name: multiple choice, nothing added to the texts."""
    return {
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "text",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "target_delimiter": "",
        "num_fewshot": 0,
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in METRICS[method]
        ],
        "metadata": {"version": 1, "data": str(data), "data_sha256": sha256(data)},
    }


def write(out: Path, name: str, items: Sequence[dict[str, Any]], settings: dict[str, Any]) -> None:
    """Write a task's items and YAML, and the function that finds its metrics if lm-eval's cannot.

    lm-eval divides a log-likelihood by the length of the complete choice: right where that is
    the option's text and no more.
    """
    held = out / f"{name}.jsonl"
    write_records(held, items)
    files = {"test": str(held.resolve())}
    config = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        **settings,
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    if any(one.get("options", one["choices"]) != one["choices"] for one in items):
        source = Path(after_prompt.__file__)
        with atomic_file(out / source.name) as file:
            file.write(read_text(source))
        text += f"process_results: !function {source.stem}.{after_prompt.choose.__name__}\n"
    with atomic_file(out / f"{name}.yaml") as file:
        file.write(text)


def command(folder: Path, out: Path, name: str, longest: int, batch: int = 16) -> str:
    """What runs the task with a model as scoring would: no BOS added, the soft-cap kept.

    lm-eval keeps the logits of all tokens of a batch, twice in float32: of rows of `longest` tokens
    it takes as many at once, at most `batch`, as leave these below `LOGITS`.
    """
    settings = {
        "pretrained": folder,
        "add_bos_token": False,
        "dtype": model_files.stored_dtype(folder),
        "softmax_dtype": "float32",
    }
    if model_files.config(folder).get("attn_logit_softcapping"):
        settings["attn_implementation"] = "eager"
    logits = 2 * 4 * longest * model_files.config(folder)["vocab_size"]
    batch = min(batch, max(1, LOGITS // logits))
    given = ",".join(f"{key}={value}" for key, value in settings.items())
    return (
        f"lm_eval --model hf --model_args {given} --include_path {out} --tasks {name} "
        f"--batch_size {batch}"
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
    add("--method", choices=tuple(METHODS), default="letter", help="default: %(default)s")
    add("--name", help="default: maerak_, the data file's name, and _option of that method")
    add("--chat-template", type=Path, help="Jinja file to use instead of the tokenizer's template")
    return parser.parse_args(argv)


if __name__ == "__main__":
    entry(main)
