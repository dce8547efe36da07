"""The machine's own speed, and its attention kernels against eager attention, as one line of JSON.

Run as: python bench/rented_gpu/gpu_checks.py, on a GPU

Shapes are Gemma-2-9B's: 16 heads of 256 on 8 keys, soft-cap 50. The truth is eager attention in
float64 on the same bfloat16 inputs; `off` is |found - true| / |true| of the output and of each
gradient. bfloat16's own rounding, eager in bfloat16 against the same truth, is given too.
"""

import json
import time
from collections.abc import Callable
from functools import partial

import torch
from torch.nn.attention.flex_attention import BlockMask

from core import prefix_tree
from core.tree_attention import TreeMasks, tree_attention

HEADS, KEYS, WIDTH, CAP, SCALE = 16, 8, 256, 50.0, 256**-0.5
LENGTHS = (517, 130, 377)  # of three rows in one pack
WINDOW = 200


def tensors(tokens: int) -> list[torch.Tensor]:
    """Query, key, value (1, heads, tokens, width) and a gradient of the output."""
    torch.manual_seed(tokens)
    shapes = [(1, n, tokens, WIDTH) for n in (HEADS, KEYS, KEYS)] + [(1, tokens, HEADS, WIDTH)]
    # so large that the cap bites
    return [3 * torch.randn(shape, device="cuda").bfloat16() for shape in shapes]


def eager(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """Soft-capped attention where `seen` (tokens, tokens) is true; (1, tokens, heads, width)."""
    key, value = (t.repeat_interleave(HEADS // KEYS, 1) for t in (key, value))
    scores = CAP * torch.tanh(query @ key.transpose(2, 3) * SCALE / CAP)
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return (weights @ value).transpose(1, 2)


def run(
    attend: Callable[..., torch.Tensor], given: list[torch.Tensor], dtype: torch.dtype
) -> list[torch.Tensor]:
    """Output and gradients of query, key and value, in float64."""
    *inputs, back = (t.to(dtype) for t in given)
    inputs = [t.clone().requires_grad_() for t in inputs]
    found = attend(*inputs)
    found.backward(back)
    return [t.double() for t in (found.detach(), *(t.grad for t in inputs))]


def off(found: list[torch.Tensor], true: list[torch.Tensor]) -> list[float]:
    """Relative distance of each tensor."""
    return [float((a - b).norm() / b.norm()) for a, b in zip(found, true, strict=True)]


def flash() -> dict[str, list[float]]:
    """FlashAttention of three rows in one pack, with Gemma-2's soft-cap, full and windowed."""
    from flash_attn import flash_attn_varlen_func

    given = tensors(sum(LENGTHS))
    starts = torch.tensor([0, *LENGTHS]).cumsum(0).int().cuda()
    row = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS)).cuda()
    place = torch.arange(len(row), device="cuda")
    found = {}
    for name, window in (("full", len(row)), ("window", WINDOW)):
        behind = place[:, None] - place
        seen = (row[:, None] == row) & (behind >= 0) & (behind < window)

        def attend(*inputs: torch.Tensor, window: int = window) -> torch.Tensor:
            query, key, value = (t.transpose(1, 2)[0] for t in inputs)
            sizes = {"max_seqlen_q": max(LENGTHS), "max_seqlen_k": max(LENGTHS)}
            return flash_attn_varlen_func(
                *(query, key, value, starts, starts),
                **sizes,
                softmax_scale=SCALE,
                causal=True,
                window_size=(window - 1, 0) if window == WINDOW else (-1, -1),
                softcap=CAP,
            )[None]

        true = run(lambda *t, seen=seen: eager(*t, seen), given, torch.float64)
        found[f"flash_{name}"] = off(run(attend, given, torch.bfloat16), true)
        found[f"eager_bf16_{name}"] = off(
            run(lambda *t, seen=seen: eager(*t, seen), given, torch.bfloat16), true
        )
    return found


def tree() -> dict[str, list[float]]:
    """The fused attention over a prefix tree that scoring and training share, compiled."""
    generator = torch.Generator().manual_seed(1)

    def some(count: int) -> list[int]:
        return torch.randint(0, 9, (count,), generator=generator).tolist()

    head, rows = some(300), []
    for _ in range(4):
        talk = [*head, *some(150)]
        rows += [[*talk, *some(110)] for _ in range(4)]
    found = {}
    for name, window in (("full", None), ("window", WINDOW)):
        for count in (len(rows), 5):  # another length, the same kernel
            pack = prefix_tree.pack(rows[:count])
            masks = TreeMasks(pack, torch.device("cuda"))
            given = tensors(len(pack.ids))
            place = torch.arange(len(pack.ids), device="cuda")
            ends, positions = (t[: len(place)] for t in (masks.ends, masks.positions))
            seen = (place <= place[:, None]) & (place[:, None] < ends)
            if window:
                seen &= positions[:, None] - positions < window

            def attend(*inputs: torch.Tensor, mask: BlockMask) -> torch.Tensor:
                return tree_attention(*inputs, mask, SCALE, CAP)

            plain = partial(eager, seen=seen)
            true = run(plain, given, torch.float64)
            mine = run(partial(attend, mask=masks(window)), given, torch.bfloat16)
            found[f"tree_{name}_{len(pack.ids)}"] = off(mine, true)
            found[f"eager_bf16_{name}_{len(pack.ids)}"] = off(
                run(plain, given, torch.bfloat16), true
            )
    return found


def timed(work: Callable[[], object], repeats: int = 10) -> float:
    """Seconds of one call, the best of some."""
    best = float("inf")
    for _ in range(repeats):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return best


def machine() -> dict[str, object]:
    """What the card is, copies and multiplies."""
    one, other = (torch.randn(8192, 8192, device="cuda").bfloat16() for _ in "ab")
    many = torch.empty(2**31, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(many)
    free, total = torch.cuda.mem_get_info()
    return {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "memory_gib": total / 2**30,
        "free_gib": free / 2**30,
        "tflops": 2 * 8192**3 / timed(lambda: one @ other) / 1e12,
        "copy_tb_a_second": 2 * 2**31 / timed(lambda: target.copy_(many)) / 1e12,
    }


if __name__ == "__main__":
    found: dict[str, object] = {}
    for check in (machine, flash, tree):
        try:
            found |= check()
        except Exception as error:  # each tells of its own
            found[check.__name__] = f"{type(error).__name__}: {error}"[:400]
        print(json.dumps(found), flush=True)
