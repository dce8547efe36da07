"""Numbers that are none (NaN, infinity): a run ends at the first, before anything is saved.

The trainer itself replaces a loss that is no number by the mean of those before, trains on with NaN
weights, saves them, and may keep them as the best.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from core.errors import UserError, refusing

REMEDY = "lower learning_rate or warm up longer, and train again"


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> list[str]:
    """Names of the floating-point tensors that hold a number which is not finite."""
    return [
        name for name, tensor in tensors if tensor.is_floating_point() and not is_finite(tensor)
    ]


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor, or of this process's part of it, are finite.

    By their sum, which takes no memory next to a tensor of any size.
    """
    part = tensor.detach()
    part = part.to_local() if hasattr(part, "to_local") else part
    return math.isfinite(part.sum(dtype=torch.float32))


def weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """A model's weights by name; of a quantised one those that learn.

    Its others are bits packed into floating-point numbers, which may be none.
    """
    for name, weight in model.named_parameters():
        if weight.requires_grad or not getattr(model, "is_quantized", False):
            yield name, weight


class StayFinite(TrainerCallback):
    """Ends a run with a sentence at the first weight, loss, gradient or metric not finite."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        trainer.training_step = self.checked(trainer.training_step, "loss")
        trainer._get_grad_norm = self.checked(trainer._get_grad_norm, "norm of the gradient")
        trainer._save_checkpoint = self.before(trainer._save_checkpoint)

    def checked(self, measure: Callable[..., Any], what: str) -> Callable[..., Any]:
        """`measure`, refusing a result that is no finite number."""

        @functools.wraps(measure)
        def measuring(*args: Any, **kwargs: Any) -> Any:
            found = measure(*args, **kwargs)
            with refusing():
                if found is not None and not math.isfinite(found):
                    raise UserError(
                        f"step {self.trainer.state.global_step + 1}: the {what} is "
                        f"{float(found)}, and nothing of it is saved; {REMEDY}"
                    )
            return found

        return measuring

    def before(self, save: Callable[..., Any]) -> Callable[..., Any]:
        """`save`, of finite weights only."""

        @functools.wraps(save)
        def saving(*args: Any, **kwargs: Any) -> Any:
            self.check_weights(REMEDY)
            return save(*args, **kwargs)

        return saving

    def check_weights(self, remedy: str) -> None:
        """End the run where a weight is no number."""
        with refusing():
            if names := not_finite(weights(self.trainer.model)):
                raise UserError(
                    f"step {self.trainer.state.global_step}: {len(names)} of the model's weights "
                    f"hold numbers that are not finite, for instance {names[0]}; nothing is saved; "
                    f"{remedy}"
                )

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at the weights that training starts from."""
        self.check_weights("name another base_model, or copy it again")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at the weights that Axolotl is about to save."""
        self.check_weights(REMEDY)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        """Look at a loss before a checkpoint is chosen by it."""
        with refusing():
            loss = metrics.get("eval_loss", 0.0)
            if not math.isfinite(loss):
                raise UserError(f"step {state.global_step}: eval_loss is {loss}; {REMEDY}")
