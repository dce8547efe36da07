"""Losses and gradients with and without Liger's fused linear cross entropy, as one line of JSON.

Run as: TRITON_INTERPRET=1 python fused_loss_run.py FOLDER, which holds `gemma2` and `llama`

With CUDA, and without that variable, the kernels run compiled. Triton's interpreter runs the same
kernels on the CPU; it knows no tanh of CUDA's library, so that a formula for it stands in.
"""

import json
import sys
from pathlib import Path

import torch
import triton
import triton.language as tl
from axolotl.integrations.liger import LigerPlugin
from axolotl.utils.dict import DictDefault
from liger_kernel.ops import cross_entropy
from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from recipes.plugins.labelled_head import LabelledHead

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":

    @triton.jit
    def tanh(x):
        """The hyperbolic tangent by the logistic function."""
        return 2 * tl.sigmoid(2 * x) - 1

    cross_entropy.tanh = tanh

CASES = {
    "gemma2": ("gemma2", None),
    "llama": ("llama", None),
    "full head": ("gemma2", {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
    "adapted head": ("gemma2", {"target_modules": ["q_proj", "lm_head"]}),
}


def losses(
    folder: Path, lora: dict | None, cut: bool
) -> tuple[torch.Tensor, dict[str, torch.Tensor | None]]:
    """The loss and all gradients of a model on rows whose first tokens are no answer.

    With `cut` head and loss get the labelled tokens alone, as in a training.
    """
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").to(DEVICE)
    torch.manual_seed(0)
    if lora:
        model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, **lora))
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.02 * torch.randn_like(parameter)
    if cut:
        LabelledHead(model)
    ids = torch.randint(5, 500, (2, 24)).to(DEVICE)
    labels = ids.masked_fill(torch.arange(24, device=DEVICE) < 10, -100)
    # as the trainer counts the answers' tokens over an accumulated batch
    answer = model.train()(ids, labels=labels, num_items_in_batch=torch.tensor(40))
    answer.loss.backward()
    return answer.loss.detach(), {
        name: parameter.grad for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }  # fmt: skip


def kernel(words: int, cap: float | None, dtype: torch.dtype) -> dict[str, float]:
    """The kernel alone against PyTorch in float64, with Gemma-2's vocabulary."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 16, generator=generator).to(DEVICE, dtype)
    head = (4 * torch.randn(words, 16, generator=generator)).to(DEVICE, dtype)
    target = torch.randint(0, words, (12,), generator=generator).to(DEVICE)
    target[:3] = -100
    grads, found = [], []
    for fused in (True, False):
        one, other = (t.clone().to(dtype if fused else torch.float64) for t in (rows, head))
        one.requires_grad_()
        other.requires_grad_()
        if fused:
            loss = liger_fused_linear_cross_entropy(one, other, target, softcap=cap)
        else:
            logits = one @ other.T
            logits = cap * torch.tanh(logits / cap) if cap else logits
            loss = torch.nn.functional.cross_entropy(logits, target)
        loss.backward()
        found.append(float(loss))
        grads.append([t.grad.double() for t in (one, other)])
    off = [float((a - b).norm() / b.norm()) for a, b in zip(*grads, strict=True)]
    return {"fused": found[0], "plain": found[1], "gradients_off": max(off)}


def main(place: Path) -> None:
    """Compute all cases before and after Axolotl's plugin has put the fused loss in place."""
    before = {name: losses(place / family, lora, False) for name, (family, lora) in CASES.items()}
    for family in ("gemma2", "llama"):
        cfg = {"model_config_type": family, "liger_fused_linear_cross_entropy": True}
        LigerPlugin().pre_model_load(DictDefault(cfg))
    said = {}
    for name, (family, lora) in CASES.items():
        (plain, one), (fused, other) = before[name], losses(place / family, lora, True)
        off = [
            float((other[n] - one[n]).norm() / one[n].norm()) for n in one if other[n] is not None
        ]
        said[name] = {
            "plain": float(plain),
            "fused": float(fused),
            "gradients_off": max(off),
            "untrained": [n for n in one if other[n] is None and one[n].norm() > 0],
        }
    said["256,000 words"] = kernel(256_000, 30.0, torch.float32)
    said["256,000 words, no cap"] = kernel(256_000, None, torch.float32)
    said["256,000 words, bf16"] = kernel(256_000, 30.0, torch.bfloat16)
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
