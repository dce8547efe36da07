"""What an engine is given and gives: types that engines, methods and runner share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Reply = tuple[list[int], bool]  # token ids without the one that ends it; whether one did


@dataclass(frozen=True)
class Decoding:
    """How replies are written: up to one of `stops`, which is one of at most `max_tokens` tokens.

    With a temperature of 0 each token is the most probable one, else it is drawn.
    """

    max_tokens: int
    stops: tuple[int, ...]
    temperature: float = 0.0
    samples: int = 1


class Engine(Protocol):
    """What scores token ids: eval/engines/vllm.py, eval/engines/hf.py, or a test's stand-in."""

    about: dict[str, Any]

    def letter_logprobs(
        self, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """For each prompt the raw log-probabilities (nats) of its letters as the next token.

        Prompts may come in any order and more than once; what they share is computed once.
        """

    def continuation_logprobs(
        self,
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[Sequence[int]]],
    ) -> list[list[list[float]]]:
        """For each prompt, for each of its continuations, the log-probability of each token (nats).

        A continuation of n tokens asks for the next token n times, once after each of its
        beginnings; those of all continuations together share the prompt's computation.
        """
        asked: dict[tuple[int, ...], dict[int, float]] = {}
        for prompt, tails in zip(prompts, continuations, strict=True):
            for tail in tails:
                for k, token in enumerate(tail):
                    asked.setdefault((*prompt, *tail[:k]), {})[token] = 0.0
        found = self.letter_logprobs(list(asked), [list(tokens) for tokens in asked.values()])
        for tokens, values in zip(asked.values(), found, strict=True):
            tokens.update(zip(list(tokens), values, strict=True))
        return [
            [[asked[(*prompt, *tail[:k])][token] for k, token in enumerate(tail)] for tail in tails]
            for prompt, tails in zip(prompts, continuations, strict=True)
        ]

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        seeds: Sequence[int],
        schemas: Sequence[dict[str, Any]] | None = None,
    ) -> list[list[Reply]]:
        """For each prompt `decoding.samples` replies.

        Sample k of a prompt is drawn with its seed + k, whatever the other prompts. Each prompt's
        schema, where there are any, is what its replies as JSON must fit as far as they reach.
        """

    def use(self, adapter: str) -> None:
        """Score with the adapter of that name, one of those it was opened with, from now on."""

    def close(self) -> None:
        """Give its memory back; the next model may need it."""


@dataclass(frozen=True)
class Setup:
    """All that opening an engine needs, for prompts and what follows them of `longest` tokens.

    `structured` where replies must fit a JSON schema. `load_in` 4bit or 8bit; None: as stored.
    """

    backend: str
    folder: Path
    dtype: str
    batch_size: int
    longest: int
    adapters: Mapping[str, Path] = field(default_factory=dict)
    tensor_parallel: int = 1
    structured: bool = False
    load_in: str | None = None
