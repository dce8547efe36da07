"""Where the checkout lies, and the other environments that tests run."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VLLM = Path(os.environ.get("MAERAK_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
DVC = ROOT / ".venv-dvc/bin/dvc"
