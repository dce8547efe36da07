"""Logits and loss only where something is learnt.

Of a row's tokens a few carry a label, and the head of a large vocabulary is most of the work and of
the memory for all the others. In training the decoder's output is cut to the tokens that predict a
label before the head sees it, so that this holds for transformers' loss and for Liger's fused one
alike. In an evaluation nothing changes.
"""

from typing import Any

from axolotl.core.trainers.base import AxolotlTrainer
from peft import PeftModel
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from core.tree_attention import FAMILIES

IGNORED = -100  # the label of a token that is not learnt
# families whose loss takes labels that are shifted already; the tests hold each of them
HEADS = FAMILIES | {"glm"}


def cuts_head(cfg: Any, trainer: Any) -> bool:
    """Whether head and loss of this training may be computed for the labelled tokens alone.

    A trainer with a loss of its own reads all logits: ORPO learns prompts too. Processes that share
    out one sequence, and cut cross entropy, shift labels in their own way.
    """
    return (
        not cfg.rl
        and type(trainer).compute_loss is AxolotlTrainer.compute_loss
        and inner(trainer.model).config.model_type in HEADS
        and not cfg.cut_cross_entropy
        and (cfg.context_parallel_size or 1) == 1
    )


def inner(model: nn.Module) -> nn.Module:
    """The causal language model without the adapters around it."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


class LabelledHead:
    """Cuts what the head of a model in training computes, by hooks on the model and its decoder.

    A batch may name its places itself: `learnt_at` (1, labels), places among its tokens laid end to
    end, and `shift_labels` of the same shape, what is learnt there. Otherwise they follow from its
    `labels` (rows, tokens).
    """

    def __init__(self, model: nn.Module) -> None:
        self.places: Tensor | None = None
        # PEFT calls the causal model's forward past its hooks, but not the decoder's
        model.register_forward_pre_hook(self.find, with_kwargs=True)
        inner(model).get_decoder().register_forward_hook(self.cut)

    def find(
        self, model: nn.Module, args: tuple[Any, ...], batch: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Note where a batch learns, and hand on what it learns there."""
        places, targets = batch.pop("learnt_at", None), batch.get("shift_labels")
        labels = batch.get("labels")
        self.places = None
        if not model.training or labels is None:
            return args, batch
        if places is None:
            if targets is None:
                targets = nn.functional.pad(labels[..., 1:], (0, 1), value=IGNORED)
            places = (targets != IGNORED).flatten().nonzero().T
            if not places.numel():  # a loss of nothing still wants a place
                places = places.new_zeros(1, 1)
            targets = targets.flatten()[places]
        self.places = places[0]
        return args, {**batch, "labels": targets, "shift_labels": targets}

    def cut(
        self, decoder: nn.Module, args: tuple[Any, ...], output: BaseModelOutputWithPast
    ) -> BaseModelOutputWithPast:
        """(rows, tokens, width) → (1, labels, width)."""
        if self.places is not None:
            hidden = output.last_hidden_state
            output.last_hidden_state = hidden.flatten(0, 1)[self.places][None]
            self.places = None
        return output
