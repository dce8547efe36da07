"""The ledger of claims: each command that it names is one there is."""

import re

from recipes.members.tables import load_members
from tests.support.paths import ROOT

TEXT = (ROOT / "docs/claims.md").read_text("utf-8")


def test_each_command_of_the_ledger_exists() -> None:
    scripts = set(re.findall(r"(?:python |`)(\w+/\w+\.py)", TEXT))
    assert len(scripts) >= 5
    assert [name for name in sorted(scripts) if not (ROOT / name).is_file()] == []


def test_each_set_and_member_of_the_ledger_exists() -> None:
    members = load_members()
    sets = set(re.findall(r"`dvc repro \w+@([\w-]+)", TEXT)) - {"SET"}
    assert {"baseline", "malbbungchi", "nlp-13", "pohanghang", "nlp-06", "tamago"} == sets
    assert sets <= members.sets.keys()
    named = set(re.findall(r"outputs/([\w-]+)/recipe\.yml", TEXT))
    named |= set(re.findall(r"compose\.py ([\w-]+)", TEXT))
    assert named
    assert named <= members.members.keys()


def test_each_prompt_of_the_ledger_exists() -> None:
    named = re.findall(r"`prompt: ([\w-]+)`", TEXT) + re.findall(r"`(exam-\w+)`", TEXT)
    assert [name for name in named if not (ROOT / f"prep/prompts/{name}.jinja").is_file()] == []
