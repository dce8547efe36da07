"""Attention over a pack of sequences that share their beginnings (core/prefix_tree.py).

Every linear layer sees each distinct token once and no padding; in attention the tokens of a
sequence meet those they continue. Scaling, soft-cap and sliding window are what transformers' eager
attention computes; it is registered with transformers under `NAME`. From the last layer only the
last token of each sequence is read, so of the others it computes no more than key and value.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from core.prefix_tree import Pack, Segment
from core.tree_attention import TreeMasks, tree_attention

NAME = "maerak_shared"


def shared_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    pack: Pack,
    scaling: float,
    softcap: float | None = None,
    sliding_window: int | None = None,
    masks: TreeMasks | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """(1, heads, tokens, width), of which key and value have fewer → (1, tokens, heads, width).

    With `masks` as one kernel (core/tree_attention.py), else one segment after another.
    """
    if masks is not None:
        return tree_attention(query, key, value, masks(sliding_window), scaling, softcap), None
    heads, width = key.shape[1], query.shape[-1]
    result = torch.zeros_like(query)
    is_last = module.layer_idx == module.config.num_hidden_layers - 1
    for segment in pack.segments:
        start, stop = _read(segment, pack) if is_last else segment.start, segment.stop
        if start == stop:
            continue
        keys, values = (_context(of[0], segment) for of in (key, value))
        new, seen = stop - start, keys.shape[1]
        hidden = _hidden(new, seen, sliding_window, query.device)
        # the query heads that share a key head become rows of one product
        asked = query[0, :, start:stop].reshape(heads, -1, width)
        if softcap is None:
            mask = ~hidden.repeat(query.shape[1] // heads, 1)
            found = nn.functional.scaled_dot_product_attention(
                asked, keys, values, attn_mask=mask, scale=scaling
            )
        else:
            scores = asked @ keys.transpose(1, 2)
            scores.mul_(scaling / softcap).tanh_().mul_(softcap)
            scores = scores.view(heads, -1, new, seen).masked_fill_(hidden, -torch.inf)
            weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
            found = weights.view(heads, -1, seen) @ values
        result[0, :, start:stop] = found.view(-1, new, width)
    return result.transpose(1, 2).contiguous(), None


class Chunks(nn.Module):
    """An MLP that takes so many tokens at a time, so that what it widens them to stays in a cache.

    6 % of the time on two CPU cores (docs/scoring.md).
    """

    def __init__(self, mlp: nn.Module, tokens: int = 768) -> None:
        super().__init__()
        self.mlp, self.tokens = mlp, tokens

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(rows, tokens, width) → the same shape."""
        return torch.cat([self.mlp(part) for part in hidden.split(self.tokens, dim=1)], dim=1)


@contextmanager
def reading(model: nn.Module, pack: Pack) -> Iterator[None]:
    """Within, the last layer's queries, output and MLP are computed for `pack.last` alone.

    What the other tokens leave the layer with is not their own, and nothing reads it.
    """
    layer = model.get_decoder().layers[-1]
    read = torch.tensor(pack.last, device=model.device)

    def pick(_: nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (args[0][:, read],)

    def place(_: nn.Module, args: object, found: torch.Tensor) -> torch.Tensor:
        spread = found.new_zeros(1, len(pack.ids), found.shape[-1])
        return spread.index_copy_(1, read, found)

    with ExitStack() as hooks:
        # a family that has queries, keys and values of one matrix has no `q_proj`
        for part in (getattr(layer.self_attn, "q_proj", None), layer.self_attn.o_proj, layer.mlp):
            if part is not None:
                hooks.enter_context(part.register_forward_pre_hook(pick))
                hooks.enter_context(part.register_forward_hook(place))
        yield


def _read(segment: Segment, pack: Pack) -> int:
    """Where the first token of a segment stands that is read, or where the segment stops."""
    read = (place for place in pack.last if segment.start <= place < segment.stop)
    return min(read, default=segment.stop)


def _context(states: torch.Tensor, segment: Segment) -> torch.Tensor:
    """Keys or values (heads, tokens, width) that a segment sees: what it continues, and its own."""
    parts = [states[:, start:stop] for start, stop in segment.before]
    own = states[:, segment.start : segment.stop]
    return torch.cat([*parts, own], dim=1) if parts else own


@lru_cache(maxsize=64)  # every layer asks for those of the same segments
def _hidden(new: int, seen: int, window: int | None, device: torch.device) -> torch.Tensor:
    """(new, seen) true where the new tokens, the last of those seen, must not look."""
    behind = torch.arange(seen - new, seen, device=device)[:, None] - torch.arange(
        seen, device=device
    )
    hidden = behind < 0
    return hidden if window is None else hidden | (behind >= window)


AttentionInterface.register(NAME, shared_attention)
