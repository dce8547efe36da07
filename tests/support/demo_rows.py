"""The demo's corpora in small, and the rows that the real command makes of them."""

import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml

from prep import build
from prep.demo import synthetic
from tests.support.paths import ROOT


def demo_run() -> dict[str, Any]:
    """The run `demo` as params.yaml has it."""
    return yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["runs"]["demo"]


def build_demo(
    folder: Path, run: dict[str, Any], sizes: dict[str, int], broad: int, chats: int
) -> None:
    """Write params.yaml with one run, `demo`, its corpora of so many dialogues, and its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({"runs": {"demo": run}}, allow_unicode=True))
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "SIZES", sizes)
        patch.setattr(synthetic, "BROAD", broad)
        patch.setattr(synthetic, "CHATS", chats)
        patch.setattr(sys, "argv", ["synthetic.py"])
        synthetic.main()
        patch.setattr(sys, "argv", ["build.py", "--run", "demo"])
        build.main()
