"""Next-token log-probabilities by transformers: the reference, on a CPU or one GPU."""

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from core.errors import UserError
from core.prefix_tree import pack, parts
from core.tree_attention import TreeMasks
from eval.engines import interface, load_hf, shared_attention
from eval.engines.generate_hf import Writer, grammar, matcher, write
from eval.engines.interface import Decoding, Reply

# torch's own error on a GPU, its allocator's on a CPU, and that of the C++ library
OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|MemoryError|out of memory|not enough memory|can't allocate memory|bad_alloc"
)


class Float32Head(nn.Module):
    """A language-model head in float32.

    Half-precision logits come in steps of up to 0.1, which makes ties that are none.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        # A float32 copy of it, since the weight may be the embedding's own. A head that is float32
        # already needs none; one that is more than a matrix (with an adapter) keeps its dtype.
        narrow = type(head) is nn.Linear and head.weight.dtype != torch.float32
        weight = head.weight.detach().float() if narrow else None
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, width) → (…, vocabulary)."""
        if self.weight is None:
            return self.head(hidden).float()
        bias = self.head.bias
        return nn.functional.linear(
            hidden.float(), self.weight, None if bias is None else bias.float()
        )


class Engine(interface.Engine):
    """A causal language model ready to score; `about` says what it runs on."""

    def __init__(
        self,
        folder: Path,
        *,
        dtype: str,
        batch_size: int,
        adapters: Mapping[str, Path] | None = None,
        load_in: str | None = None,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model, attention = load_hf.load(folder, dtype, self.device, load_in)
        self.loras = load_hf.with_adapters(model, adapters) if adapters else None
        if self.loras is not None:
            model = self.loras.get_base_model()
        head = Float32Head(model.get_output_embeddings())
        model.set_output_embeddings(head)
        self.model = (model if load_in else model.to(self.device)).eval()  # quantised in place
        self.shares = attention == shared_attention.NAME
        # on a GPU a loop over segments costs more in launches than in arithmetic
        self.fused = self.device.type == "cuda"
        if self.shares and self.device.type == "cpu":
            for layer in self.model.get_decoder().layers:
                layer.mlp = shared_attention.Chunks(layer.mlp)
        self.batch_size = batch_size if self.shares else 1
        self.about: dict[str, Any] = {
            "name": "hf",
            "versions": {"transformers": transformers.__version__, "torch": torch.__version__},
            "device": self.device.type,
            "dtype": dtype,
            "load_in": load_in,
            "head_dtype": dtype if head.weight is None else "float32",
            "attention": attention,
            "batch_size": self.batch_size,
            "adapters": len(adapters or {}),
        }

    def use(self, adapter: str) -> None:
        """Score with the adapter of that name from now on."""
        self.loras.set_adapter(load_hf.module(adapter))

    def letter_logprobs(
        self, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """For each prompt the log-probability (nats, over the full vocabulary) of its letters.

        Up to `batch_size` prompts that begin alike go through the model as one pack, the largest
        first, so that too little memory shows at once.
        """
        result: list[list[float]] = [[] for _ in prompts]
        todo = sorted(
            parts(prompts, self.batch_size),
            key=lambda part: sum(len(prompts[row]) for row in part),
        )
        while todo:
            part = todo.pop()
            try:
                logprobs = self._next_token([prompts[row] for row in part])
            except (RuntimeError, MemoryError) as error:
                self._shrink(error, len(part), len(prompts[part[0]]))
                halves = parts([prompts[row] for row in part], self.batch_size)
                todo += [[part[k] for k in half] for half in halves]
                continue
            for row, values in zip(part, logprobs, strict=True):
                result[row] = values[list(letters[row])].tolist()
        return result

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        seeds: Sequence[int],
        schemas: Sequence[dict[str, Any]] | None = None,
    ) -> list[list[Reply]]:
        """For each prompt `decoding.samples` replies; the longest prompts first."""
        config = self.model.config
        vocabulary = config.get_text_config().vocab_size

        def writers(row: int) -> list[Writer]:
            matchers: list[Any] = [None] * decoding.samples
            if schemas:
                of = grammar(config.name_or_path, vocabulary, decoding.stops)
                matchers = [matcher(of, schemas[row]) for _ in matchers]
            return [Writer(decoding, seeds[row] + k, one) for k, one in enumerate(matchers)]

        result: list[list[Reply]] = [[] for _ in prompts]
        longest_first = sorted(range(len(prompts)), key=lambda row: (-len(prompts[row]), row))
        packed = config._attn_implementation
        self.model.set_attn_implementation(
            load_hf.plain_attention(config, self.about["dtype"], self.device)
        )
        while longest_first:
            size = max(1, self.batch_size // decoding.samples)
            rows = longest_first[:size]
            try:
                batch = write(self.model, [prompts[r] for r in rows], [writers(r) for r in rows])
            except (RuntimeError, MemoryError) as error:
                self._shrink(error, len(rows), len(prompts[rows[0]]), decoding.samples)
                continue
            for row, replies in zip(rows, batch, strict=True):
                result[row] = replies
            del longest_first[:size]
        self.model.set_attn_implementation(packed)
        return result

    def close(self) -> None:
        """Let go of the weights."""
        del self.model, self.loras
        torch.cuda.empty_cache()

    def _shrink(self, error: Exception, batch: int, tokens: int, samples: int = 1) -> None:
        """After a batch too large for the memory take half of it; raises any other error."""
        if not OUT_OF_MEMORY.search(f"{type(error).__name__}: {error}"):
            raise error
        torch.cuda.empty_cache()
        if batch == 1:
            raise UserError(
                f"a prompt of {tokens} tokens does not fit into the memory that the model leaves; "
                "free memory, or score on a larger machine"
            )
        self.batch_size = self.about["batch_size"] = -(-batch * samples // 2)
        print(f"out of memory: going on with a batch size of {self.batch_size}", file=sys.stderr)

    @torch.inference_mode()
    def _next_token(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """(rows, vocabulary) log-probabilities of the token after each prompt of one pack."""
        packed = pack(prompts)
        more: dict[str, Any] = {"pack": packed} if self.shares else {}
        if self.shares and self.fused:
            more["masks"] = TreeMasks(packed, self.device)
        with shared_attention.reading(self.model, packed) if self.shares else nullcontext():
            logits = self.model(
                input_ids=torch.tensor([packed.ids], device=self.device),
                position_ids=torch.tensor([packed.positions], device=self.device),
                logits_to_keep=torch.tensor(packed.last, device=self.device),
                use_cache=False,
                **more,
            ).logits
        return logits[0].float().log_softmax(-1).cpu()
