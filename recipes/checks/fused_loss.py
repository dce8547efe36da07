"""What the fused loss for large vocabularies needs, to be the loss that a recipe asks for.

Gemma-2's 256,000 words make 1 MB of float32 logits a token, several times over in the backward
pass. Liger's fused linear cross entropy takes the head and the loss together, some rows at a time,
with the soft-cap, and holds no others. Cut cross entropy does likewise; Axolotl's plugin for it
wants a fork that is in no package registry.

Both read the weight of the head and not the head. An adapter around it is passed by in silence: it
takes no part in the loss and learns nothing (tests/recipes/test_fused_loss.py). Saved whole, the
head learns.
"""

from typing import Any

from recipes.weights.lora import HEAD

FUSED = ("liger_fused_linear_cross_entropy", "cut_cross_entropy")


def unseen_head(cfg: dict[str, Any]) -> str | None:
    """A sentence where a fused loss would pass an adapter of the head by."""
    fused = [key for key in FUSED if cfg.get(key)]
    targets = cfg.get("lora_target_modules") or []
    targets = [targets] if isinstance(targets, str) else targets
    if fused and cfg.get("adapter") and any(HEAD in target for target in targets):
        return (
            f"{fused[0]} passes the adapter of {HEAD} by, which would learn nothing; take out "
            f"{fused[0]}, or move {HEAD} from lora_target_modules to lora_modules_to_save"
        )
    return None
