"""One training step on tensors without data: what it would hold in memory, found in seconds.

The model's own code runs under torch's fake tensors, which know shapes and no numbers. A storage
counts from its creation until nothing refers to it, as an allocator without rounding would count.
Where a GPU runs flash attention, a stand-in holds what that kernel documents to hold; a fused loss
is a sum that holds no logits.
"""

import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from accelerate.utils import convert_outputs_to_fp32
from axolotl.utils.schemas.enums import ATTN_IMPLS_SUPPORTING_PACKING as END_TO_END
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from recipes.checks.recipe_rules import FUSED_LOSSES

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


@dataclass(frozen=True)
class Step:
    """A dry run's account: numbers of parameters by kind, and bytes held at the peak by kind.

    `linear` are the weights that 4-bit quantisation takes, `kept` all others, `adapter` LoRA's.
    `held` is what a step adds to weights and optimizer states at its fullest moment, before the
    optimizer's turn.
    """

    linear: int
    kept: int
    adapter: int
    trained: int
    embedding: int
    largest_layer: int
    largest_linear: int
    trained_bytes: int
    held: dict[str, int]


def fused_loss(recipe: dict[str, Any]) -> bool:
    """Whether a recipe's loss never holds all logits at once; TRL's of pairs always does."""
    return not recipe.get("rl") and any(recipe.get(key) for key in FUSED_LOSSES)


def checkpointed(recipe: dict[str, Any]) -> bool:
    """Whether a layer's activations are computed again on the way back, by whichever key."""
    sharded = (recipe.get("fsdp_config") or {}).get("activation_checkpointing")
    return bool(recipe.get("gradient_checkpointing") or sharded)


def adapt(model: nn.Module, recipe: dict[str, Any]) -> nn.Module:
    """The model as the recipe trains it: as it is, or frozen below a LoRA adapter."""
    if not recipe.get("adapter"):
        return model
    targets = recipe.get("lora_target_modules")
    return get_peft_model(
        model,
        LoraConfig(
            r=recipe["lora_r"],
            lora_alpha=recipe["lora_alpha"],
            lora_dropout=recipe.get("lora_dropout") or 0.0,
            target_modules="all-linear" if recipe.get("lora_target_linear") else targets,
            use_dora=bool(recipe.get("peft_use_dora")),
            use_rslora=bool(recipe.get("peft_use_rslora")),
            modules_to_save=recipe.get("lora_modules_to_save"),
            task_type="CAUSAL_LM",
        ),
    )


def batch_of(recipe: dict[str, Any]) -> tuple[int, int]:
    """Rows and tokens of the largest batch that Axolotl gives the model at once.

    It pads to multiples of 64, and lays packs end to end where attention keeps them apart, as
    shared_prefix lays trees. Of pairs, whose longest row TRL pads to, these are the chosen answers;
    as many more are rejected.
    """
    rows, tokens = recipe["micro_batch_size"], recipe["sequence_len"]
    if recipe.get("rl"):
        return rows, tokens
    if recipe.get("shared_prefix"):
        return 1, rows * tokens
    tokens = -(-tokens // 64) * 64
    if recipe.get("sample_packing") and recipe.get("attn_implementation") in END_TO_END:
        return 1, rows * tokens
    return rows, tokens


def dry_run(config: PretrainedConfig, recipe: dict[str, Any]) -> Step:
    """Account of one optimizer step of a recipe on a backbone, before the optimizer's turn."""
    dtype = torch.bfloat16 if recipe.get("bf16") else torch.float32
    rows, tokens = batch_of(recipe)
    # trees are computed piece by piece, whatever the recipe evaluates with
    tiled = recipe.get("shared_prefix") or recipe.get("attn_implementation") not in (None, "eager")
    config._attn_implementation = TILED if tiled else "eager"
    config.use_cache = False

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        head, table = model.get_output_embeddings(), model.get_input_embeddings()
        linears = [
            module.weight.numel()
            for module in model.modules()
            if isinstance(module, nn.Linear) and module is not head
        ]
        total = sum(parameter.numel() for parameter in model.parameters())
        largest = max(
            sum(p.numel() for p in layer.parameters()) for layer in model.base_model.layers
        )
        model = adapt(model, recipe).train()
    with FakeTensorMode():
        to_fake(model)
        if checkpointed(recipe):
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        trained = [p for p in model.parameters() if p.requires_grad]
        adapter = sum(p.numel() for p in model.parameters()) - total
        ids = torch.zeros(rows, tokens, dtype=torch.long)
        places = torch.arange(tokens).expand(rows, tokens)
        cast = torch.autocast("cpu", torch.bfloat16) if recipe.get("bf16") else nullcontext()
        with Held(config.vocab_size) as held:
            for parameter in model.parameters():
                held.count(parameter, "weights")
                if parameter.requires_grad:
                    parameter.register_post_accumulate_grad_hook(
                        lambda p: held.count(p.grad, "gradients")
                    )
            held.live.clear()
            held.peak.clear()
            # from the second batch on, the first one's gradients lie there already
            for _ in range(min(2, recipe.get("gradient_accumulation_steps") or 1)):
                with cast:
                    loss = loss_of(model, recipe, ids, places)
                loss.backward()
                del loss
            peak = dict(held.peak)
    return Step(
        linear=sum(linears),
        kept=total - sum(linears),
        adapter=adapter,
        trained=sum(p.numel() for p in trained),
        embedding=table.weight.numel(),
        largest_layer=largest,
        largest_linear=max(linears),
        trained_bytes=sum(p.numel() * p.element_size() for p in trained),
        held={kind: peak.get(kind, 0) for kind in ("gradients", "activations", "logits")},
    )


def loss_of(model: nn.Module, recipe: dict[str, Any], ids: Tensor, places: Tensor) -> Tensor:
    """The loss as transformers computes it or, where it is fused, a sum that holds no logits."""
    if fused_loss(recipe):
        inner = model.get_base_model() if recipe.get("adapter") else model
        return inner.model(input_ids=ids, position_ids=places).last_hidden_state.sum()
    # as Accelerate wraps a model that computes in bfloat16
    forward = convert_outputs_to_fp32(model.forward) if recipe.get("bf16") else model
    if recipe.get("rl"):
        return pairs_loss(forward, ids)
    return forward(input_ids=ids, position_ids=places, labels=ids).loss


def pairs_loss(forward: Callable[..., Any], ids: Tensor) -> Tensor:
    """ORPO's loss by TRL's own forward pass: rows `ids`, chosen, and as many rejected at once."""
    from trl.experimental.orpo import ORPOTrainer  # seconds, and only wanted here

    trainer = SimpleNamespace(
        is_encoder_decoder=False,
        padding_value=0,
        aux_loss_enabled=False,
        accelerator=SimpleNamespace(device=ids.device),
        concatenated_inputs=ORPOTrainer.concatenated_inputs,
        get_batch_logps=ORPOTrainer.get_batch_logps,
    )
    parts = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    batch = {f"{side}_{key}": parts[key] for side in ("chosen", "rejected") for key in parts}
    chosen, rejected, *_, likelihood = ORPOTrainer.concatenated_forward(trainer, forward, batch)
    return likelihood - nn.functional.logsigmoid(chosen - rejected).mean()
