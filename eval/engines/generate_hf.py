"""Replies by transformers: greedy or drawn, held to a JSON schema where one is given."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from transformers import AutoTokenizer, DynamicCache, PreTrainedModel

from eval.engines.interface import Decoding, Reply


class Writer:
    """One reply as it grows: which token comes next, and when it ends.

    A drawn token is the greatest of logits / temperature - log E, with E exponential from the
    reply's own generator: exactly a draw from the softmax, whatever else is in the batch.
    """

    def __init__(self, decoding: Decoding, seed: int, matcher: LLMatcher | None) -> None:
        self.decoding = decoding
        self.matcher = matcher
        self.generator = torch.Generator().manual_seed(seed)
        self.ids: list[int] = []
        self.ended = False

    @property
    def done(self) -> bool:
        """Whether nothing more is written: it has ended, or is as long as it may be."""
        return self.ended or len(self.ids) == self.decoding.max_tokens

    def take(self, logits: torch.Tensor) -> int:
        """The next token after (vocabulary,) logits; nothing changes once the reply is done."""
        if self.done:
            return 0
        if self.matcher is not None:
            mask = allocate_token_bitmask(1, len(logits))
            fill_next_token_bitmask(self.matcher, mask)
            allowed = torch.from_numpy(mask).view(torch.uint8)[0, :, None] >> torch.arange(8)
            logits = logits.masked_fill((allowed & 1).flatten()[: len(logits)] == 0, -torch.inf)
        if self.decoding.temperature:
            noise = torch.empty_like(logits).exponential_(generator=self.generator)
            logits = logits / self.decoding.temperature - noise.log()
        token = int(logits.argmax())
        if token in self.decoding.stops:
            self.ended = True
            return 0
        self.ids.append(token)
        if self.matcher is not None:
            self.matcher.consume_token(token)
            # as in text, the token that would end the reply needs room of its own
            self.ended = self.matcher.is_stopped() and not self.done
        return token


@lru_cache(maxsize=1)
def grammar(folder: str, vocabulary: int, stops: tuple[int, ...]) -> LLTokenizer:
    """llguidance's view of a model's tokenizer, which its matchers need; about a second of work."""
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    # one end is enough, since a reply ends with its JSON; llguidance 1.3 takes no more
    return from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=stops[0])


def matcher(of: LLTokenizer, schema: dict[str, Any]) -> LLMatcher:
    """What holds one reply to a JSON schema."""
    return LLMatcher(of, LLMatcher.grammar_from_json_schema(schema))


@torch.inference_mode()
def write(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], writers: Sequence[Sequence[Writer]]
) -> list[list[Reply]]:
    """Write the replies of one batch: `writers` has equally many for each prompt.

    Prompts are padded on the left, where no real token sees it; the samples of one share its
    computation.
    """
    width, samples = max(map(len, prompts)), len(writers[0])
    ids = torch.tensor([[0] * (width - len(one)) + list(one) for one in prompts])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    cache = DynamicCache(config=model.config)
    logits = _next(model, ids, mask, cache)
    cache.batch_repeat_interleave(samples)
    logits, mask = (part.repeat_interleave(samples, 0) for part in (logits, mask))
    every = [writer for row in writers for writer in row]
    while True:
        tokens = [writer.take(row) for writer, row in zip(every, logits, strict=True)]
        if all(writer.done for writer in every):
            return [[(writer.ids, writer.ended) for writer in row] for row in writers]
        mask = torch.cat([mask, torch.ones(len(every), 1, dtype=mask.dtype)], 1)
        logits = _next(model, torch.tensor(tokens)[:, None], mask, cache)


def _next(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache
) -> torch.Tensor:
    """(rows, vocabulary) logits after the (rows, new) ids; `mask` is of all tokens so far."""
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    logits = model(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=positions.to(model.device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits
    return logits[:, -1].float().cpu()
