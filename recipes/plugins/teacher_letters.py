"""Axolotl plugin that learns a teacher's probabilities of the letters beside the right answer.

Run as: accelerate launch -m axolotl.cli.train RECIPE, where RECIPE lists the plugins
recipes.plugins.guard.GuardPlugin and, as the last, recipes.plugins.teacher_letters.TeacherPlugin,
and sets teacher_letters: FILE, predictions of the training questions as prep/teach.py letters or
eval/score.py write them, and teacher_weight

At an answer's letter the target is teacher_weight of the teacher's distribution over the options
and the rest of the right letter (Hinton et al. 2015, temperature 1); all else is learnt as it was.
Both targets sum to one, so that the cross entropies differ by the letters' logits alone: the sum
over letters of teacher_weight (right - teacher) logit.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel, Field
from torch import Tensor, nn

from core.errors import UserError, refusing
from core.jsonl import read_objects, read_records
from core.records import Prediction
from prep.preferences import mean_logprobs
from recipes.plugins.labelled_head import IGNORED, cuts_head
from recipes.plugins.tokenization import encode, key, tokenised

COLUMNS = ("letter_ids", "letter_weights")
# losses that never hold the logits which the letters are read from, or read them all themselves
AGAINST = ("cut_cross_entropy", "liger_fused_linear_cross_entropy", "rl", "use_eaft")


class TeacherArgs(BaseModel):
    """Keys of a recipe."""

    teacher_letters: str | None = Field(
        default=None, description="Predictions of the training questions, as eval/score.py's."
    )
    teacher_weight: float | None = Field(
        default=None, gt=0, le=1, description="The teacher's share of a letter's target."
    )


class Letters(NamedTuple):
    """What a teacher adds to a row: tokens of its letters, and right letter less teacher's share.

    The weights are those of the letters' logits in the loss, and sum to nothing.
    """

    ids: list[int]
    weights: list[float]


class TeacherPlugin(BasePlugin):
    """The teacher's share of the loss."""

    def get_input_args(self) -> str:
        """The keys that a recipe may set."""
        return "recipes.plugins.teacher_letters.TeacherArgs"

    def register(self, cfg: dict[str, Any]) -> None:
        """Refuse a recipe whose loss has no logits, or that names no file of predictions."""
        file = cfg.get("teacher_letters")
        with refusing():
            if problem := next(recipe_problems(cfg), None):
                raise UserError(f"{cfg.get('axolotl_config_path')}: {problem}")
            if file and not Path(file).is_file():
                raise UserError(f"{file}: no such file; make it by python prep/teach.py letters")

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Give the rows their letters, and the loss the teacher's share."""
        if not cfg.teacher_letters:
            return
        with refusing():
            if not cuts_head(cfg, trainer):
                raise UserError(
                    f"{cfg.axolotl_config_path}: teacher_letters reads the logits of labelled "
                    "tokens, which this model or trainer does not give alone; take it out"
                )
            paths = [Path(part["path"]) for part in cfg.datasets]
            found = letters_of(paths, Path(cfg.teacher_letters), trainer.processing_class, cfg)
            rows = [found.get(key(ids)) for ids in trainer.train_dataset["input_ids"]]
            known = sum(row is not None for row in rows)
            if not known:
                raise UserError(
                    f"{cfg.teacher_letters}: predicts none of the questions of "
                    f"{', '.join(map(str, paths))}; name the predictions of these"
                )
        print(f"{cfg.teacher_letters}: letters of {known} of {len(rows)} rows", flush=True)
        for place, column in enumerate(COLUMNS):
            values = [row[place] if row else [] for row in rows]
            trainer.train_dataset = trainer.train_dataset.add_column(column, values)
        trainer._set_signature_columns_if_needed()
        trainer._signature_columns += COLUMNS
        collate = trainer.train_data_collator
        trainer.train_data_collator = trainer.data_collator = lambda rows: with_letters(
            collate, rows
        )
        add_teacher(trainer.model)


def recipe_problems(recipe: Mapping[str, Any]) -> Iterator[str]:
    """What in a recipe keeps a teacher's letters from being learnt."""
    file, plugin = recipe.get("teacher_letters"), f"{__name__}.{TeacherPlugin.__name__}"
    if not file:
        if recipe.get("teacher_weight"):
            yield "teacher_weight without teacher_letters, the teacher's predictions; name them"
        return
    if [*(recipe.get("plugins") or [])][-1:] != [plugin]:
        yield f"teacher_letters needs {plugin} as the last plugin: it wraps their batches"
    if not recipe.get("teacher_weight"):
        yield "teacher_letters needs teacher_weight, the teacher's share of the target, up to 1"
    for name in AGAINST:
        if recipe.get(name):
            yield f"teacher_letters does not go with {name}, which leaves no logits; take one out"


def letters_of(
    paths: list[Path], predictions: Path, tokenizer: Any, cfg: Any
) -> dict[bytes, Letters]:
    """What the teacher adds to each row that it predicts, by the key of the row's token ids.

    Raises `UserError` where the predictions are of other options.
    """
    teacher = mean_logprobs(read_records(predictions, Prediction))
    found = {}
    for path in paths:
        for number, row in read_objects(path):
            logprobs = teacher.get(str(row.get("record")))
            if not row.get("labels") or logprobs is None:
                continue
            where = f"{path}, row {row.get('id', f'of line {number}')}"
            if len(logprobs) != len(row["labels"]):
                raise UserError(
                    f"{where}: has {len(row['labels'])} options, and {predictions} predicts "
                    f"{len(logprobs)}; make the predictions of these questions"
                )
            ids, start = tokenised(row, tokenizer, where)
            shares = [math.exp(logprobs[i]) for i in row["order"]]
            found[key(ids)] = Letters(
                [_token(row, label, tokenizer, start or 0) for label in row["labels"]],
                [
                    cfg.teacher_weight * ((label == row["answer"]) - share / math.fsum(shares))
                    for label, share in zip(row["labels"], shares, strict=True)
                ],
            )
    return found


def _token(row: dict[str, Any], label: str, tokenizer: Any, start: int) -> int:
    """The token of a letter where the row's own answer has its letter."""
    *asked, answer = row["messages"]
    text = label + answer["content"].removeprefix(row["answer"])
    return encode(tokenizer, [*asked, {**answer, "content": text}])[start]


def with_letters(collate: Any, rows: list[Any]) -> dict[str, Any]:
    """A batch, and in it `letters`: their places among its labels, token ids and weights.

    Labels are those that LabelledHead keeps: row by row, in the order in which they are collated.
    """
    flat = [row for one in rows for row in (one if isinstance(one, list) else [one])]
    places: list[int] = []
    ids: list[int] = []
    weights: list[float] = []
    count = 0
    for row in flat:
        own = row.pop(COLUMNS[0], []), row.pop(COLUMNS[1], [])
        places += [count] * len(own[0])
        ids += own[0]
        weights += own[1]
        count += sum(label != IGNORED for label in row["labels"][1:])
    letters = {
        "places": torch.tensor(places, dtype=torch.long),
        "ids": torch.tensor(ids, dtype=torch.long),
        "weights": torch.tensor(weights, dtype=torch.float32),
        "count": torch.tensor(count),
    }
    return {**collate(rows), "letters": letters}


def add_teacher(model: nn.Module) -> None:
    """Have a model whose head is cut add the teacher's share to the loss of a batch."""
    kept: list[tuple[dict[str, Tensor], Any]] = []

    def keep(_: nn.Module, args: Any, batch: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        letters = batch.pop("letters", None)
        kept[:] = [(letters, batch.get("num_items_in_batch"))] if letters is not None else []
        return args, batch

    def add(module: nn.Module, args: Any, output: Any) -> Any:
        if kept and module.training:
            letters, total = kept[0]
            logits = output.logits[0, letters["places"], letters["ids"]].float()
            divisor = letters["count"].clamp(min=1) if total is None else total
            output.loss = output.loss + (letters["weights"] * logits).sum() / divisor
        return output

    model.register_forward_pre_hook(keep, with_kwargs=True)
    model.register_forward_hook(add)
