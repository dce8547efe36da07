"""Leave out lines of libraries that are known and say nothing of a run; import it before them.

What is said before a plugin of Axolotl is loaded, at the start of a training, cannot be reached.
"""

import logging
import os
import warnings

# by the logger's name, what the line says
KNOWN = {
    "torchao": "Failed to load",  # kernels for GPUs that this machine has not, and no recipe uses
    "torch.utils._pytree": "is an Enum subclass",  # torchao registers its own with a later torch
    # bitsandbytes asks the hub for a kernel where the CPU has AVX512-BF16; its own serves
    "bitsandbytes.backends.cpu.ops": "gemm_4bit_forward",
    "axolotl.utils.data.sft": "Processing datasets during training",  # ours are small texts
}


def silence(name: str, known: str) -> None:
    """Drop a logger's lines that hold a text, and no others."""
    logging.getLogger(name).addFilter(lambda record: known not in record.getMessage())


for _name, _known in KNOWN.items():
    silence(_name, _known)
warnings.filterwarnings("ignore", "'pin_memory' argument is set as true")  # as it is on a CPU
warnings.filterwarnings("ignore", "Skipping publisher trust check")  # of that kernel
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # TRL warns of a part that Axolotl takes
