"""The Korean documents: the commands of their English twins, in the words of the trade."""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

NAMES = ("README", "docs/app", "docs/own-task", "docs/retrieval", "docs/scoring", "docs/voting")
TWINS = [(ROOT / f"{name}.md", ROOT / f"{name}.ko.md") for name in NAMES]
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


def options(text: str) -> set[str]:
    """The options that a document names in code."""
    code = re.findall(r"^```sh\n.*?^```|`[^`\n]+`", text, re.M | re.S)
    return {one for span in code for one in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}


@pytest.mark.parametrize(("english", "korean"), TWINS, ids=lambda path: path.name)
def test_twins_have_the_same_commands_and_options(english: Path, korean: Path) -> None:
    texts = [path.read_text("utf-8") for path in (english, korean)]
    first, second = (commands(text) for text in texts)
    assert first == second
    assert len(first) >= 4
    assert options(texts[0]) == options(texts[1]) != set()
    for text in texts:  # a command in an indented block would escape the comparison
        assert re.findall(rf"^    (?:{'|'.join(PROGRAMS)}) .*", text, re.M) == []


def test_every_korean_document_is_a_twin() -> None:
    assert {*ROOT.glob("*.ko.md"), *(ROOT / "docs").glob("*.ko.md")} == {one for _, one in TWINS}


@pytest.mark.parametrize(("english", "korean"), TWINS, ids=lambda path: path.name)
def test_twins_name_each_other_and_korean_links_to_korean(english: Path, korean: Path) -> None:
    assert f"[한국어]({korean.name})" in "".join(english.read_text("utf-8").splitlines(True)[:5])
    text = korean.read_text("utf-8")
    assert f"[English]({english.name})" in "".join(text.splitlines(True)[:5])
    linked = {(korean.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)", text)}
    assert linked & {one for one, _ in TWINS} == {english}


@pytest.mark.parametrize("korean", [path for _, path in TWINS], ids=lambda path: path.name)
def test_korean_is_an_engineers(korean: Path) -> None:
    text = korean.read_text("utf-8")
    assert {word: instead for word, instead in OTHER_WORDS.items() if word in text} == {}
    # 시험 is an exam, a text of the task, and no test of the code
    assert re.findall(r"시험(?! 지문)", text) == []
