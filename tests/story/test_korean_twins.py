"""The Korean documents: the commands of their English twins, in the words of the trade."""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TWINS = [(path, path.with_suffix(".ko.md")) for path in [ROOT / "README.md"]]
TWINS += [
    (path.with_name(path.name.replace(".ko", "")), path) for path in (ROOT / "docs").glob("*.ko.md")
]
PROGRAMS = ("python", "make", "dvc", "docker", "accelerate", "pip", "grep", "source", "export")
# what a Korean engineer would not say, and what instead
OTHER_WORDS = {
    "시연": "데모",
    "구성원": "앙상블 모델",
    "첫 걸음": "첫 스텝",
    "꺼진": "중단된",
    "대역": "대체",
    "아무도 모르는": "알 수 없는",
    "사슬": "파이프라인",
}


def commands(text: str) -> set[str]:
    """The commands of a document, in shell blocks without remarks and within its sentences."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = {re.split(r"\s+# ", line)[0].strip() for block in blocks for line in block.splitlines()}
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    inline = {one for one in re.findall(r"`([^`\n]+)`", prose) if one.split()[0] in PROGRAMS}
    return lines | inline


@pytest.mark.parametrize(("english", "korean"), TWINS, ids=lambda path: path.name)
def test_twins_have_the_same_commands(english: Path, korean: Path) -> None:
    first, second = (commands(path.read_text("utf-8")) for path in (english, korean))
    assert first == second
    assert len(first) > 10


@pytest.mark.parametrize("korean", [path for _, path in TWINS], ids=lambda path: path.name)
def test_korean_is_an_engineers(korean: Path) -> None:
    text = korean.read_text("utf-8")
    assert {word: instead for word, instead in OTHER_WORDS.items() if word in text} == {}
    # 시험 is an exam, a text of the task, and no test of the code
    assert re.findall(r"시험(?! 지문)", text) == []
