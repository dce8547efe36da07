"""What a GPU's driver, and the wheels made for it, lack: asked before anything is loaded."""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

from core.errors import UserError


def without_gpu() -> str:
    """Why torch finds no GPU, in its own few words; raises `UserError` for a driver too old."""
    import torch  # seconds, and most commands end without it

    try:
        torch.cuda.init()
        said = "it lists none"
    except (AssertionError, RuntimeError) as error:
        said = str(error).partition(". ")[0].strip().partition("\n")[0]
    if "too old" in said:
        raise UserError(
            f"{said}: update the driver, of which CUDA {torch.version.cuda} wants a newer one"
        )
    return said


def flash_attn_fault() -> str | None:
    """Why the flash-attn installed here does not load: built for another torch; None if it does."""
    try:
        import_module("flash_attn")
    except (ImportError, OSError) as error:
        return str(error).partition("\n")[0]
    return None


def require_bitsandbytes(wanted_by: str) -> None:
    """Raise `UserError` where bitsandbytes is not here, or has no library for this GPU's CUDA."""
    if find_spec("bitsandbytes") is None:
        raise UserError(
            f"{wanted_by} needs bitsandbytes, which is not in this environment; take the one that "
            "trains, which has it"
        )
    import torch

    if not torch.cuda.is_available():
        return
    from bitsandbytes import cextension

    # it stands in for a library that did not load, and fails at the first product
    if isinstance(cextension.lib, cextension.ErrorHandlerMockBNBNativeLibrary):
        raise UserError(
            f"{wanted_by} needs bitsandbytes, and {version('bitsandbytes')} has no library that "
            f"loads with CUDA {torch.version.cuda}; install the one that requirements.txt names, "
            "and leave BNB_CUDA_VERSION unset"
        )
