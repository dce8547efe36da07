"""An entry of a mix as params.yaml gives it: what is refused, and why."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from prep.sources.registry import REGISTRY
from prep.sources.source import Source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown source": ({"source": "kmlu", "path": "x"}, "no source 'kmlu'; choose one of cci"),
    "two places": (
        {"source": "kmmlu", "path": "x", "hub": "HAERAE-HUB/KMMLU"},
        "kmmlu needs either a path or a hub name",
    ),
    "no name": ({"source": "messages", "path": "x"}, "source messages needs a name"),
    "a corpus with a name alone": ({"source": "cci-2024", "name": "x"}, "from `corpus`, or a name"),
    "a branch": (
        {"source": "kobest", "hub": "skt/kobest_v1", "revision": "main"},
        "revision main is no full commit hash",
    ),
    "a short hash": (
        {"source": "kobest", "hub": "skt/kobest_v1", "revision": COMMIT[:7]},
        "is no full commit hash",
    ),
    "no revision": ({"source": "kobest", "hub": "skt/kobest_v1"}, "its revision come together"),
    "a revision of a file": (
        {"source": "kobest", "path": "x.json", "revision": COMMIT},
        "revision and split are those of a hub set",
    ),
    "a member of no zip": (
        {"source": "kobest", "path": "x.json", "member": "y"},
        "a member is part of a .zip path",
    ),
    "no weight": ({"source": "kobest", "path": "x.json", "weight": 0.0}, "greater than 0"),
    "an endless weight": ({"source": "kobest", "path": "x", "weight": float("inf")}, "finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_entry_of_a_mix_is_refused(case: str) -> None:
    fields, sentence = REFUSED[case]
    with pytest.raises(ValidationError, match=sentence):
        Source(**fields)


def test_a_known_revision_need_not_be_given() -> None:
    source = Source(source="kmmlu", hub="HAERAE-HUB/KMMLU", subset="Law", split="test")
    assert source.pinned == REGISTRY["kmmlu"].revision
    with pytest.raises(ValidationError, match="its revision come together"):
        Source(source="kmmlu", hub="someone/KMMLU-copy")


def test_what_yaml_gives_is_taken() -> None:
    source = Source(source="proofreading", name="own", path="x.jsonl", weight=2)
    assert (source.weight, source.title, source.pinned) == (2.0, "own", None)
    own = {"licence": "CC0", "published": date(2024, 1, 2)}
    assert Source(source="kmmlu", path="x.csv", **own).published == date(2024, 1, 2)
