"""Axolotl plugin that computes what rows share once: the same loss, the same gradients, sooner.

Run as: accelerate launch -m axolotl.cli.train RECIPE, where RECIPE lists the plugins
recipes.plugins.guard.GuardPlugin and recipes.plugins.shared_prefix.SharedPrefixPlugin, and sets
shared_prefix: true

Rows that begin alike (questions on one dialogue, orders of one question's options) are trained in
one batch of at most micro_batch_size x sequence_len distinct tokens, or of shared_prefix_trees
dialogues. Dropout of an adapter falls on a shared token once, for all rows that go on from it.
"""

from collections.abc import Iterator
from typing import Any

from axolotl.core.trainers.base import AxolotlTrainer
from axolotl.integrations.base import BasePlugin
from axolotl.loaders.utils import load_model_config
from pydantic import BaseModel, Field
from torch import nn

from core.errors import UserError, refusing
from core.tree_attention import FAMILIES
from recipes.plugins.branch_attention import NAME, masks_of
from recipes.plugins.labelled_head import inner
from recipes.plugins.resumable import ResumableTrainer
from recipes.plugins.tree_batches import TreeBatches, collate

# what puts rows in an order, cuts them or computes on them in a way that trees have no part in
AGAINST = {
    "batch_flattening": "the tree takes its place",
    "curriculum_sampling": "rows that begin alike leave their order",
    "cut_cross_entropy": "it shifts labels in its own way; use liger_fused_linear_cross_entropy",
    "group_by_length": "rows that begin alike leave their order",
    "pretraining_dataset": "a stream of texts has no rows to sort",
    "rl": "preferences are learnt in pairs, by logits of the whole prompt",
    "sample_packing": "the tree takes its place",
    "torch_compile": "each tree has a shape of its own",
    "use_eaft": "its loss reads all logits",
}


class SharedPrefixArgs(BaseModel):
    """Keys of a recipe."""

    shared_prefix: bool | None = Field(
        default=None, description="Compute what rows share once in each batch."
    )
    shared_prefix_trees: int | None = Field(
        default=None,
        ge=1,
        description="Dialogues a batch, instead of micro_batch_size x sequence_len tokens.",
    )


class SharedPrefixPlugin(BasePlugin):
    """Trees instead of rows in training; evaluations stay as they are."""

    def get_input_args(self) -> str:
        """The keys that a recipe may set."""
        return "recipes.plugins.shared_prefix.SharedPrefixArgs"

    def register(self, cfg: dict[str, Any]) -> None:
        """Refuse a recipe whose rows cannot share what they begin with."""
        with refusing():
            refuse(cfg, recipe_problems(cfg))

    def pre_model_load(self, cfg: Any) -> None:
        """Refuse a model whose tokens cannot."""
        if cfg.shared_prefix:
            with refusing():
                refuse(cfg, model_problems(load_model_config(cfg).get_text_config()))

    def get_trainer_cls(self, cfg: Any) -> type[AxolotlTrainer] | None:
        """Axolotl's trainer with batches of trees."""
        return trainer_for(cfg) if cfg.shared_prefix else None

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Have the model take trees."""
        if cfg.shared_prefix:
            trainer.train_data_collator = trainer.data_collator = collate
            take_trees(trainer.model)


def refuse(cfg: Any, problems: Iterator[str]) -> None:
    """Raise `UserError` for the first of a recipe's problems."""
    if problem := next(problems, None):
        raise UserError(f"{cfg.get('axolotl_config_path')}: shared_prefix does not go {problem}")


def recipe_problems(cfg: Any) -> Iterator[str]:
    """What in a recipe keeps its rows from sharing."""
    if not cfg.get("shared_prefix"):
        if cfg.get("shared_prefix_trees"):
            yield "without itself: set shared_prefix: true, or take shared_prefix_trees out"
        return
    for key, why in AGAINST.items():
        if cfg.get(key):
            yield f"with {key} ({why}); take one of them out"
    if (cfg.get("context_parallel_size") or 1) > 1:
        yield "with context_parallel_size, which shares out one sequence; take one of them out"


def model_problems(config: Any) -> Iterator[str]:
    """What in a model keeps its tokens from being shared."""
    if config.model_type not in FAMILIES:
        yield (
            f"with models of the family {config.model_type}, whose attention is not known to be "
            f"that of {', '.join(sorted(FAMILIES))}; set it to false"
        )
    if getattr(config, "attention_dropout", 0):
        yield (
            "with attention_dropout, which is drawn for each row; set overrides_of_model_config: "
            "{attention_dropout: 0}"
        )
    rope = getattr(config, "rope_parameters", None) or {}
    for one in [rope, *(value for value in rope.values() if isinstance(value, dict))]:
        if one.get("rope_type") in ("dynamic", "longrope"):
            yield (
                f"with a rope_type of {one['rope_type']}, which turns with the length of a row; "
                "set it to false"
            )


def trainer_for(cfg: Any) -> type[AxolotlTrainer]:
    """A trainer whose batches are trees of the recipe's size."""

    class SharedPrefixTrainer(ResumableTrainer):
        """Axolotl's trainer with batches of rows that begin alike."""

        def _get_train_sampler(self, train_dataset: Any = None) -> TreeBatches:
            rows = self.train_dataset if train_dataset is None else train_dataset
            tokens = self.args.per_device_train_batch_size * cfg.sequence_len
            with refusing():
                return TreeBatches([*rows["input_ids"]], self.args, tokens, cfg.shared_prefix_trees)

        def get_train_dataloader(self) -> Any:
            """Each process has as many batches: accelerate, which wants equal rows, adds none."""
            even, self.accelerator.even_batches = self.accelerator.even_batches, False
            try:
                return super().get_train_dataloader()
            finally:
                self.accelerator.even_batches = even  # evaluations have batches of equal rows

    return SharedPrefixTrainer


def take_trees(model: nn.Module) -> None:
    """Have a model compute a batch that is a tree as one, and any other as it did."""
    decoder = inner(model).get_decoder()
    own, masks = decoder.config._attn_implementation, []

    def keep(_: nn.Module, args: Any, batch: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        tree = batch.pop("tree", None)
        # stays so until the next batch: gradient checkpoints are computed again on the way back
        decoder.config._attn_implementation = own if tree is None else NAME
        masks[:] = [] if tree is None else [masks_of(tree, batch["input_ids"].device)]
        return args, batch

    def give(_: nn.Module, args: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**inputs, "tree": masks[0]} if masks else inputs

    # on the outermost model and on the decoder: PEFT calls what is between past its hooks
    model.register_forward_pre_hook(keep, with_kwargs=True)
    decoder.register_forward_pre_hook(give, with_kwargs=True)
