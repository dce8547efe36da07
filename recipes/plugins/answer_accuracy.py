"""Axolotl plugin that reports answer accuracy at each evaluation, to keep the best by.

Run as: accelerate launch -m axolotl.cli.train RECIPE, where RECIPE lists the plugins
recipes.plugins.guard.GuardPlugin and recipes.plugins.answer_accuracy.AccuracyPlugin

The answers of the recipe's test_datasets are read like scoring reads them: by the probability of
each option's letter where the answer's first token is predicted. That place is found in each row's
own labels. Reported are `eval_accuracy`, `eval_accuracy/CATEGORY` and `eval_letter_mass`, the share
of the probability that falls on the letters.
"""

import functools
import inspect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from axolotl.integrations.base import BasePlugin
from torch import Tensor, nn
from transformers import EvalPrediction

from core.errors import UserError, refusing
from core.jsonl import read_objects
from core.records import LABELS
from recipes.plugins.checkpoints import StayStopped
from recipes.plugins.tokenization import key, tokenised


@dataclass(frozen=True)
class ShownQuestion:
    """A question of the evaluation: where its right answer stands, and in which order it shows."""

    category: str
    answer: int
    order: tuple[int, ...]


class AccuracyPlugin(BasePlugin):
    """Adds answer accuracy to the metrics of every evaluation; all loggers report them."""

    def register(self, cfg: dict[str, Any]) -> None:
        """Refuse recipes whose evaluation does not show one question a row."""
        recipe = cfg.get("axolotl_config_path")
        with refusing():
            if cfg.get("rl") or not cfg.get("test_datasets"):
                raise UserError(
                    f"{recipe}: no questions to measure accuracy on; set test_datasets (without "
                    "rl), or take recipes.plugins.answer_accuracy.AccuracyPlugin out"
                )
            if cfg.get("sample_packing") and cfg.get("eval_sample_packing") is not False:
                raise UserError(
                    f"{recipe}: packed rows hide where an answer begins; set eval_sample_packing: "
                    "false"
                )
        if cfg.get("use_trackio"):
            patch_trackio()

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """What Axolotl drops in silence, and what makes a resumed run stop like one never killed.

        Axolotl loads the best checkpoint only where save_steps and eval_steps are set, and then
        even unasked. A first evaluation of resumed weights would count as one without progress.
        """
        resumed = cfg.resume_from_checkpoint or any(Path(cfg.output_dir).glob("checkpoint-*"))
        return {
            "load_best_model_at_end": bool(
                cfg.load_best_model_at_end or cfg.early_stopping_patience
            ),
            "restore_callback_states_from_checkpoint": True,
            "eval_on_start": not resumed,
        }

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Have the trainer's evaluation read the letters."""
        with refusing():
            paths = [Path(part["path"]) for part in cfg.test_datasets]
            tokenizer = trainer.processing_class
            asked, letters = questions(trainer.eval_dataset["input_ids"], paths, tokenizer)
        reader = LetterReader(trainer.model.get_output_embeddings(), letters)
        trainer.preprocess_logits_for_metrics = refusing()(reader.read)
        trainer.compute_metrics = refusing()(lambda seen: metrics(seen, asked, letters))

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[StayStopped]:
        """Have a run that stopped early stay stopped when it is started again."""
        return [StayStopped(trainer)]


def questions(
    dataset: Sequence[Sequence[int]], paths: Sequence[Path], tokenizer: Any
) -> tuple[list[ShownQuestion | None], list[int]]:
    """What each tokenised row asks, None for a row without options; and the letters' token ids.

    Raises `UserError` where no row has options, or where a letter is not one token of its own.
    """
    found: dict[bytes, ShownQuestion | None] = {}
    letters: dict[str, int] = {}
    for path in paths:
        for number, row in read_objects(path):
            where = f"{path}, row {row.get('id', f'of line {number}')}"
            ids, start = tokenised(row, tokenizer, where)
            found[key(ids)] = None
            if start is None:
                continue
            labels = row["labels"]
            answer, order = labels.index(row["answer"]), tuple(row["order"])
            found[key(ids)] = ShownQuestion(row["category"] or "-", answer, order)
            for label in set(labels) - set(letters):
                letters[label] = letter(row, label, tokenizer, where)
    if not letters:
        raise UserError(
            f"{', '.join(map(str, paths))}: no question with options to measure accuracy on; "
            "point test_datasets to the dev-loss.jsonl that prep/build.py writes"
        )
    ids = [letters[label] for label in LABELS[: len(letters)]]
    return [found[key(row)] for row in dataset], ids


def letter(row: dict[str, Any], label: str, tokenizer: Any, where: str) -> int:
    """The id of the token that a row's answer begins with if `label` is the right one."""
    *prompt, answer = row["messages"]
    other = answer | {"content": label + answer["content"][len(row["answer"]) :]}
    ids, start = tokenised(row | {"messages": [*prompt, other]}, tokenizer, where)
    if tokenizer.decode([ids[start]]).strip() != label:
        raise UserError(
            f"{where}: the letter {label} is not one token of its own here (the answer begins with "
            f"{tokenizer.decode([ids[start]])!r}); use another chat_template"
        )
    return ids[start]


class LetterReader:
    """Reads the letters' logits in float32 from the input of the model's head.

    The model's own logits in bf16 lie up to 0.1 apart, which makes ties that are none. A soft-cap
    on them, as Gemma-2's, changes no order.
    """

    def __init__(self, head: nn.Module, letters: Sequence[int]):
        self.letters = list(letters)
        self.fine: Tensor | None = None
        head.register_forward_hook(self.keep)

    def keep(self, head: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep the letters' logits at all places of a batch in evaluation: few, so they are small.

        A head that is more than one matrix (one with an adapter, or quantised) is taken as it is.
        """
        if head.training:
            return
        if type(head) is not nn.Linear:
            self.fine = output[..., self.letters].float()
            return
        weight, bias = head.weight, head.bias
        with torch.autocast(output.device.type, enabled=False):
            self.fine = nn.functional.linear(
                inputs[0].float(),
                weight[self.letters].float(),
                None if bias is None else bias[self.letters].float(),
            )

    def read(self, logits: Any, labels: Tensor) -> Tensor:
        """(rows, 2, letters): logits in float32, and probabilities over all of the vocabulary.

        `logits` (rows, tokens, vocabulary) are the model's, `labels` (rows, tokens) are -100 where
        nothing is learnt. Read is what predicts the first label that is learnt.
        """
        if isinstance(logits, tuple) and logits:
            logits = logits[0]
        if self.fine is None or not isinstance(logits, Tensor):
            raise UserError(
                "this model gives no logits in an evaluation, so that accuracy cannot be measured; "
                "take recipes.plugins.answer_accuracy.AccuracyPlugin out, or the kernel that fuses "
                "head and loss"
            )
        place = first_learnt(labels) - 1
        if place.min() < 0:
            raise UserError(
                "an evaluated row learns its first token, so that nothing predicts it, or nothing; "
                "evaluate rows of prompt and answer"
            )
        rows = torch.arange(len(labels), device=labels.device)
        probabilities = logits[rows, place].float().softmax(-1)[:, self.letters]
        return torch.stack([self.fine[rows, place], probabilities], dim=1)


def first_learnt(labels: Tensor) -> Tensor:
    """(rows,): the place of each row's first label that is not -100; 0 where there is none."""
    return (labels != -100).int().argmax(-1)


def metrics(
    seen: EvalPrediction, asked: Sequence[ShownQuestion | None], letters: Sequence[int]
) -> dict[str, float]:
    """Accuracy, overall and by category, and the mean share of probability on a row's letters.

    Of equally probable options, the one published first counts, as in scoring. Raises `UserError`
    where rows are missing or stand in another order than asked, or a probability is no number.
    """
    if len(seen.label_ids) != len(asked):
        raise UserError(
            f"the evaluation saw {len(seen.label_ids)} of {len(asked)} rows; set "
            "dataloader_drop_last: false"
        )
    if not np.isfinite(seen.predictions).all():
        raise UserError(
            "the evaluation gives letters whose probability is no number, so that none can be "
            "chosen; look at base_model, and lower learning_rate"
        )
    right: dict[str, list[bool]] = defaultdict(list)
    masses = []
    for question, labels, (logits, probabilities) in zip(
        asked, seen.label_ids, seen.predictions, strict=True
    ):
        if question is None:
            continue
        if labels[labels != -100][0] != letters[question.answer]:
            raise UserError(
                "the evaluation shows its rows in another order than their file; take out what "
                "sorts them, such as group_by_length"
            )
        right[question.category].append(choice(logits, question.order) == question.answer)
        masses.append(float(probabilities[: len(question.order)].sum()))
    everything = [one for category in right.values() for one in category]
    by_category = {f"accuracy/{name}": float(np.mean(right[name])) for name in sorted(right)}
    return {
        "accuracy": float(np.mean(everything)),
        **by_category,
        "letter_mass": float(np.mean(masses)),
    }


def choice(logits: Sequence[float], order: Sequence[int]) -> int:
    """The most probable of the options as shown; of equal ones the one published first."""
    return max(range(len(order)), key=lambda shown: (logits[shown], -order[shown]))


def patch_trackio() -> None:
    """Let trackio start: transformers 5.16 names a bucket, even none, that trackio 0.19 lacks."""
    import trackio

    if "bucket_id" not in inspect.signature(trackio.init).parameters:
        init = trackio.init

        @functools.wraps(init)
        def without_bucket(*args: Any, bucket_id: str | None = None, **kwargs: Any) -> Any:
            return init(*args, **kwargs)

        trackio.init = without_bucket
