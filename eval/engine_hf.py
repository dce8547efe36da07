"""Letter log-probabilities by transformers: the reference, on a CPU or one GPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import is_flash_attn_2_available


class LastTokenHead(nn.Module):
    """A language-model head that sees only each row's last real token, in float32.

    Half-precision logits come in steps of up to 0.1, which makes ties that are none.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        # A float32 copy beside it, since the weight may be the embedding's own. A head that is
        # more than one matrix (one with an adapter) computes in its own dtype.
        weight = head.weight.detach().float() if type(head) is nn.Linear else None
        self.register_buffer("weight", weight, persistent=False)
        self.last = torch.empty(0, dtype=torch.long)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(rows, tokens, width) → (rows, 1, vocabulary)."""
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        picked = hidden[rows, self.last.to(hidden.device)].unsqueeze(1)
        if self.weight is None:
            return self.head(picked).float()
        bias = self.head.bias
        return nn.functional.linear(
            picked.float(), self.weight, None if bias is None else bias.float()
        )


class Engine:
    """A causal language model ready to score; `about` says what it runs on."""

    def __init__(
        self, folder: Path, *, dtype: str, batch_size: int, adapter: Path | None = None
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        attention = attention_for(AutoConfig.from_pretrained(folder), dtype, self.device)
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
        )
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter).get_base_model()
        self.head = LastTokenHead(model.get_output_embeddings())
        model.set_output_embeddings(self.head)
        self.model = model.to(self.device).eval()
        self.batch_size = batch_size
        self.about: dict[str, Any] = {
            "name": "hf",
            "versions": {"transformers": transformers.__version__, "torch": torch.__version__},
            "device": self.device.type,
            "dtype": dtype,
            "attention": attention,
        }

    @torch.inference_mode()
    def letter_logprobs(
        self, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """For each prompt the log-probability (nats, over the whole vocabulary) of its letters.

        Rows of like length share a batch, the longest first, so that too little memory shows at
        once; they are padded on the right, which leaves every real token's position as it is.
        """
        longest_first = sorted(range(len(prompts)), key=lambda row: (-len(prompts[row]), row))
        result: list[list[float]] = [[] for _ in prompts]
        with tqdm(total=len(prompts), unit="row", desc="scoring") as bar:
            for start in range(0, len(prompts), self.batch_size):
                batch = longest_first[start : start + self.batch_size]
                logprobs = self._next_token([prompts[row] for row in batch])
                for row, values in zip(batch, logprobs, strict=True):
                    result[row] = values[list(letters[row])].tolist()
                bar.update(len(batch))
        return result

    def close(self) -> None:
        """Let go of the weights."""
        del self.model, self.head
        torch.cuda.empty_cache()

    def _next_token(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """(rows, vocabulary) log-probabilities of the token after each prompt."""
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        ids = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        self.head.last = lengths - 1
        logits = self.model(
            input_ids=ids.to(self.device), attention_mask=mask.to(self.device), use_cache=False
        ).logits
        return logits[:, 0].float().log_softmax(-1).cpu()


def attention_for(config: transformers.PretrainedConfig, dtype: str, device: torch.device) -> str:
    """The attention that computes what the model was trained to: sdpa drops Gemma-2's soft-cap."""
    if device.type == "cuda" and dtype != "float32" and is_flash_attn_2_available():
        return "flash_attention_2"
    text = config.get_text_config()
    return "eager" if getattr(text, "attn_logit_softcapping", None) else "sdpa"
