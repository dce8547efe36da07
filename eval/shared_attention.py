"""Attention over a pack of sequences that share their beginnings (eval/prefixes.py).

Every linear layer sees each distinct token once and no padding; here the tokens of a sequence meet
those they continue. Scaling, soft-cap and sliding window are what transformers' eager attention
computes. Registered with transformers under `NAME`.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from eval.prefixes import Pack, Segment

NAME = "maerak_shared"
# Families whose attention is told all that bears on it by keyword; the tests hold each of them
# against its own attention. Any other is scored by its own, one sequence at a time.
FAMILIES = frozenset(
    "exaone4 gemma2 gemma3_text glm4 llama mistral phi3 qwen2 qwen3".split(),
)


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
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """(1, heads, tokens, width), of which key and value have fewer → (1, tokens, heads, width)."""
    heads, width = key.shape[1], query.shape[-1]
    result = torch.empty_like(query)
    for segment in pack.segments:
        keys, values = (_context(of[0], segment) for of in (key, value))
        new, seen = segment.stop - segment.start, keys.shape[1]
        # the query heads that share a key head become rows of one product
        asked = query[0, :, segment.start : segment.stop].reshape(heads, -1, width)
        if softcap is None:
            mask = _hidden(new, seen, sliding_window, query.device).logical_not_()
            group = query.shape[1] // heads
            found = nn.functional.scaled_dot_product_attention(
                asked, keys, values, attn_mask=mask.repeat(group, 1), scale=scaling
            )
        else:
            scores = asked @ keys.transpose(1, 2)
            scores.mul_(scaling / softcap).tanh_().mul_(softcap)
            scores = scores.view(heads, -1, new, seen)
            scores.masked_fill_(_hidden(new, seen, sliding_window, query.device), -torch.inf)
            weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
            found = weights.view(heads, -1, seen) @ values
        result[0, :, segment.start : segment.stop] = found.view(-1, new, width)
    return result.transpose(1, 2).contiguous(), None


def _context(states: torch.Tensor, segment: Segment) -> torch.Tensor:
    """Keys or values (heads, tokens, width) that a segment sees: what it continues, and its own."""
    stretches = [*segment.before, (segment.start, segment.stop)]
    return torch.cat([states[:, start:stop] for start, stop in stretches], dim=1)


def _hidden(new: int, seen: int, window: int | None, device: torch.device) -> torch.Tensor:
    """(new, seen) true where the new tokens, the last of those seen, must not look."""
    behind = torch.arange(seen - new, seen, device=device)[:, None] - torch.arange(
        seen, device=device
    )
    hidden = behind < 0
    return hidden if window is None else hidden | (behind >= window)


AttentionInterface.register(NAME, shared_attention)
