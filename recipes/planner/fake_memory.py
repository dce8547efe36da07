"""Memory without memory: torch's fake tensors, the bytes they would hold, and a fused kernel's.

A storage counts from its creation until nothing refers to it, as an allocator without rounding
would count. Where a GPU runs flash attention, a stand-in holds what that kernel documents to hold.
"""

import weakref
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

TILED = "tiled_stand_in"  # its name among the implementations of attention


def to_fake(model: nn.Module) -> None:
    """Put a fake tensor on the CPU in the place of each on the meta device; tied ones stay tied."""
    made: dict[Tensor, Tensor] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, old in tensors.items():
                if old is not None and old not in made:
                    new = torch.empty(old.shape, dtype=old.dtype)
                    if isinstance(old, nn.Parameter):
                        new = nn.Parameter(new, requires_grad=old.requires_grad)
                    made[old] = new
                tensors[name] = None if old is None else made[old]


class Held(TorchDispatchMode):
    """Counts the bytes of live storages by kind; `peak` is the fullest moment."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.vocabulary = vocabulary
        self.kinds: dict[int, str] = {}
        self.live: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run an operation and count the storages it made."""
        if function is torch.ops.aten.scatter_add.default:
            # the way back of gather works in place, but not on fake tensors
            function = torch.ops.aten.scatter_add_.default
        result = function(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                big = value.dim() > 1 and value.shape[-1] == self.vocabulary
                self.count(value, "logits" if big else "activations")
        return result

    def count(self, tensor: Tensor, kind: str) -> None:
        """Count a tensor's storage once, or move it to another kind."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        old = self.kinds.get(key)
        if old == "weights":
            return
        if old is None:
            weakref.finalize(storage, self.release, key, size)
        else:
            self.live[old] -= size
        self.kinds[key] = kind
        self.live[kind] += size
        if sum(self.live.values()) > sum(self.peak.values()):
            self.peak = self.live.copy()

    def release(self, key: int, size: int) -> None:
        """Take a storage off the account that nothing refers to any more."""
        self.live[self.kinds.pop(key)] -= size


class FlashAttention(torch.autograd.Function):
    """Holds what flash attention holds for its way back: inputs, output and a float a row and head.

    Source: Dao et al. 2022, FlashAttention, algorithm 2: softmax's statistics replace its matrix.
    """

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Tensors (row, head, token, width); returns (row, token, head, width)."""
        output = torch.empty_like(query).transpose(1, 2).contiguous()
        sums = query.new_empty(query.shape[:3], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, sums)
        return output

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of the three inputs."""
        query, key, value, _, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def tiled_stand_in(module, query, key, value, attention_mask, **_: Any) -> tuple[Tensor, None]:
    """Flash attention's account under the interface of transformers."""
    return FlashAttention.apply(query, key, value), None


ALL_ATTENTION_FUNCTIONS.register(TILED, tiled_stand_in)
