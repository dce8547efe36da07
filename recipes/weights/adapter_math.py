"""The arithmetic that makes one adapter's change of a weight of several adapters' changes.

| method      | result of the members' changes D = s B A with weights w                    |
|-------------|----------------------------------------------------------------------------|
| linear      | Σ w D, kept exactly: the members' pairs side by side                       |
| ties        | of each D the share `density` that is largest; for each number the sign of |
|             | their sum; the mean of w D over the members that have it (arXiv:2306.01708)|
| dare-linear | Σ w D, of each D a random share `density`, over density (arXiv:2311.03099) |
| dare-ties   | the same share, then ties' signs and means                                 |

It is PEFT's (peft.utils.merge_utils), on the members' full changes. PEFT's `add_weighted_adapter`
works on A and B apart, so that its linear holds products of one member's A and another's B; by
singular values it scales twice; and it takes the first member's rsLoRA over to an alpha that no
longer fits. tests/recipes/test_combine.py shows all three.

All but linear give changes of full rank, of which a pair keeps the largest singular values.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import torch
from peft.utils.merge_utils import dare_linear, dare_ties, task_arithmetic, ties
from torch import Tensor

from recipes.weights.lora import Adapter

METHODS: dict[str, Callable[..., Tensor]] = {
    "linear": task_arithmetic,
    "ties": ties,
    "dare-linear": dare_linear,
    "dare-ties": dare_ties,
}


def combined(changes: Sequence[Tensor], how: Callable[..., Tensor], name: str, seed: int) -> Tensor:
    """One change (out, in) of the members', with random numbers that are the weight's own."""
    drawn = hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(drawn) >> 1)
        return how(list(changes))


def factors(change: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """A (rank, in) and B (out, rank) of the product nearest to a change (Eckart-Young)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, sizes, right = torch.linalg.svd(change.to(device), full_matrices=False)
    root = sizes[:rank].sqrt()
    return (root[:, None] * right[:rank]).cpu(), (left[:, :rank] * root).cpu()


def merged_pairs(
    members: Sequence[Adapter],
    weights: Sequence[float],
    method: str,
    density: float = 1.0,
    rank: int | None = None,
    seed: int = 42,
) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """A and B by module, to be scaled by one, and the share of the squared change that they keep.

    Without `rank`, pairs have the sum of the members' ranks.
    """
    options = {} if method == "linear" else {"density": density}
    how = partial(METHODS[method], weights=torch.tensor(weights), **options)
    pairs, kept, total = {}, 0.0, 0.0
    for name in sorted(members[0].modules):
        found = [member.pair(name) for member in members]
        scales = [
            member.scale(name, len(down)) for member, (down, _) in zip(members, found, strict=True)
        ]
        if method == "linear" and rank is None:
            downs = [down for down, _ in found]
            ups = [w * s * up for w, s, (_, up) in zip(weights, scales, found, strict=True)]
            pairs[name] = torch.cat(downs), torch.cat(ups, dim=1)
            continue
        changes = [s * up @ down for s, (down, up) in zip(scales, found, strict=True)]
        change = combined(changes, how, name, seed)
        pairs[name] = down, up = factors(change, rank or sum(len(down) for down, _ in found))
        total += float(change.square().sum())
        kept += float((up @ down).square().sum())
    return pairs, kept / total if total else 1.0
