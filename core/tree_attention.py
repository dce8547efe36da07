"""Attention over a pack of sequences that share their beginnings, as one fused kernel.

A pack (core/prefix_tree.py) is a prefix tree laid out so that all continuations of a
token follow it in one run, so one comparison a pair of tokens tells whether one sees the other.
FlexAttention compiles that mask and the soft-cap into its kernel and skips blocks in which nothing
is seen.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from core.prefix_tree import Pack

# Families whose attention gets all that bears on it by keyword; the tests hold each of them
# against its own attention. Any other is computed by its own, one sequence at a time.
FAMILIES = frozenset(
    "exaone4 gemma2 gemma3_text glm4 llama mistral phi3 qwen2 qwen3".split(),
)
# torch 2.11 cannot compile FlexAttention with a soft-cap for lengths that vary, so a pack is filled
# up to a power of two: few kernels, and blocks of filling are skipped.
compiled: Callable[..., torch.Tensor] = torch.compile(flex_attention, dynamic=False)
SHORTEST = 128  # a block of the mask


class TreeMasks:
    """The block masks of a pack, made once for each sliding window that its layers ask for."""

    def __init__(self, pack: Pack, device: torch.device) -> None:
        self.tokens = max(SHORTEST, 1 << (len(pack.ids) - 1).bit_length())
        filling = [0] * (self.tokens - len(pack.ids))
        self.ends = torch.tensor([*pack.ends, *filling], device=device)
        self.positions = torch.tensor([*pack.positions, *filling], device=device)
        self.of = cache(self._make)

    def __call__(self, window: int | None) -> BlockMask:
        """The mask of layers that look `window` tokens back, or as far as there are any."""
        return self.of(window)

    def _make(self, window: int | None) -> BlockMask:
        ends, positions = self.ends, self.positions

        def seen(
            _batch: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
        ) -> torch.Tensor:
            continued = (key <= query) & (query < ends[key])
            if window is None:
                return continued
            return continued & (positions[query] - positions[key] < window)

        return create_block_mask(seen, None, None, self.tokens, self.tokens, device=ends.device)


def tree_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: BlockMask,
    scaling: float,
    softcap: float | None,
) -> torch.Tensor:
    """(1, heads, tokens, width), of which key and value have fewer → (1, tokens, heads, width).

    Compiled on a GPU; on a CPU the same arithmetic without a kernel, which holds all scores.
    """

    def capped(score: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return softcap * torch.tanh(score / softcap)

    attend = compiled if query.device.type == "cuda" else flex_attention
    tokens, filling = query.shape[2], mask.shape[-1] - query.shape[2]
    found = attend(
        *(nn.functional.pad(states, (0, 0, 0, filling)) for states in (query, key, value)),
        score_mod=None if softcap is None else capped,
        block_mask=mask,
        scale=scaling,
        enable_gqa=True,
    )
    return found[:, :, :tokens].transpose(1, 2).contiguous()
