"""Attention over a batch of rows that share their beginnings, in training.

A pack (core/prefix_tree.py) holds each distinct beginning once; a token sees the tokens it
continues, as far back as the layer's window. On a GPU one kernel skips what is not seen
(core/tree_attention.py). On a CPU the pack is cut into blocks of neighbouring tokens, which have
nearly all they see in common, so that no block pays for the branches of another.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from transformers import AttentionInterface

from core.prefix_tree import Pack
from core.tree_attention import TreeMasks, tree_attention

NAME = "maerak_branches"
PIECE = 128  # tokens: longer ones compute more that is not seen, shorter ones ask more often


@dataclass(frozen=True)
class Block:
    """Tokens `start` to `stop` of a pack, and what each of them must not look at.

    They see tokens `before` the block, and those of the block. `hidden` (tokens, before + tokens)
    is true where one does not see the other.
    """

    start: int
    stop: int
    before: Tensor
    hidden: Tensor

    def seen(self, states: Tensor) -> Tensor:
        """Keys or values (heads, all tokens, width) of the tokens that the block sees."""
        return torch.cat([states[:, self.before], states[:, self.start : self.stop]], dim=1)

    def add(self, total: Tensor, part: Tensor) -> None:
        """Add gradients of what `seen` gave to those of all tokens."""
        total.index_add_(1, self.before, part[:, : len(self.before)])
        total[:, self.start : self.stop] += part[:, len(self.before) :]


class Blocks:
    """The blocks of a pack, made once for each sliding window that its layers ask for."""

    def __init__(self, pack: Pack) -> None:
        self.ends, self.positions = torch.tensor(pack.ends), torch.tensor(pack.positions)
        self.of = cache(self._make)

    def __call__(self, window: int | None) -> list[Block]:
        """The blocks for layers that look `window` tokens back, or as far as there are any."""
        return self.of(window)

    def _make(self, window: int | None) -> list[Block]:
        ends, positions, blocks = self.ends, self.positions, []
        for start in range(0, len(ends), PIECE):
            own = torch.arange(start, min(start + PIECE, len(ends)))
            # what a later token of the block continues before it, its first token continues too
            before = torch.arange(start)[ends[:start] > start]
            if window is not None:
                before = before[positions[own].min() - positions[before] < window]
            seen = torch.cat([before, own])
            shown = (seen <= own[:, None]) & (own[:, None] < ends[seen])
            if window is not None:
                shown &= positions[own][:, None] - positions[seen] < window
            blocks.append(Block(start, int(own[-1]) + 1, before, ~shown))
        return blocks


class Branches(torch.autograd.Function):
    """Attention block by block, which keeps no weights for its gradients but computes them again.

    Scaling, soft-cap and the dtype of the softmax are those of transformers' eager attention.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        blocks: list[Block],
        scaling: float,
        softcap: float | None,
    ) -> Tensor:
        """(key heads, query heads of each, tokens, width) → the same.

        `key` and `value` are (key heads, tokens, width).
        """
        result = torch.empty_like(query)
        sums = query.new_empty(query.shape[:3], dtype=torch.float32)
        for block in blocks:
            own = slice(block.start, block.stop)
            scores, _ = _scores(query[:, :, own], block, block.seen(key), scaling, softcap)
            sums[:, :, own] = total = scores.logsumexp(-1)
            weights = scores.sub_(total[..., None]).exp_().to(value.dtype)
            found = weights.flatten(1, 2) @ block.seen(value)
            result[:, :, own] = found.view_as(result[:, :, own])
        ctx.save_for_backward(query, key, value, result, sums)
        ctx.rest = blocks, scaling, softcap
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, given: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of query, key and value."""
        query, key, value, result, sums = ctx.saved_tensors
        blocks, scaling, softcap = ctx.rest
        to_query, to_key, to_value = (torch.zeros_like(one) for one in (query, key, value))
        inner = (given.float() * result.float()).sum(-1)
        for block in blocks:
            own = slice(block.start, block.stop)
            keys, values, out = block.seen(key), block.seen(value), given[:, :, own].flatten(1, 2)
            scores, bent = _scores(query[:, :, own], block, keys, scaling, softcap)
            weights = scores.sub_(sums[:, :, own, None]).exp_()
            block.add(to_value, weights.flatten(1, 2).to(out.dtype).mT @ out)
            change = (out @ values.mT).float().view_as(weights)
            change.sub_(inner[:, :, own, None]).mul_(weights).mul_(scaling)
            if bent is not None:  # the derivative of the hyperbolic tangent
                change.mul_(bent.square_().neg_().add_(1))
            change = change.flatten(1, 2).to(query.dtype)
            to_query[:, :, own] = (change @ keys).view_as(to_query[:, :, own])
            block.add(to_key, change.mT @ query[:, :, own].flatten(1, 2))
        return to_query, to_key, to_value, None, None, None


def _scores(
    query: Tensor, block: Block, keys: Tensor, scaling: float, softcap: float | None
) -> tuple[Tensor, Tensor | None]:
    """(key heads, query heads of each, tokens, seen) in float32, and the tangent of capped ones."""
    # the query heads that share a key head become rows of one product
    scores = (query.flatten(1, 2) @ keys.mT).float().mul_(scaling)
    scores, bent = scores.view(*query.shape[:3], -1), None
    if softcap is not None:
        bent = scores.div_(softcap).tanh_()
        scores = bent * softcap
    return scores.masked_fill_(block.hidden, -torch.inf), bent


def branch_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    tree: TreeMasks | Blocks,
    scaling: float,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """(1, heads, tokens, width), of which key and value have fewer → (1, tokens, heads, width)."""
    if isinstance(tree, TreeMasks):
        return tree_attention(query, key, value, tree(sliding_window), scaling, softcap), None
    grouped = query[0].unflatten(0, (key.shape[1], -1))
    found = Branches.apply(grouped, key[0], value[0], tree(sliding_window), scaling, softcap)
    return found.flatten(0, 1).transpose(0, 1)[None].contiguous(), None


def masks_of(pack: Pack, device: torch.device) -> TreeMasks | Blocks:
    """What the attention needs to know of a pack on a device."""
    return Blocks(pack) if device.type == "cpu" else TreeMasks(pack, device)


AttentionInterface.register(NAME, branch_attention)
