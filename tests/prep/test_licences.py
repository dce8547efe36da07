"""Licences: every one of the registry has been read, and spelling changes nothing."""

import pytest

from prep.sources.licences import AGREEMENT, TERMS, terms_of
from prep.sources.registry import ENTRIES


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_licence_of_the_registry_is_known(entry) -> None:
    assert entry.licence is None or entry.licence in TERMS
    assert (entry.licence == AGREEMENT) == (entry.name in ("cci-2024", "cci-2023"))


def test_hyphens_and_blanks_are_one() -> None:
    assert terms_of("CC-BY-NC-4.0") == TERMS["CC BY-NC 4.0"]
    assert terms_of("apache 2.0") == TERMS["Apache-2.0"]


def test_what_nobody_has_read_is_not_known() -> None:
    assert terms_of(None) is terms_of("") is terms_of("EXAONE AI Model License") is None


def test_what_is_handed_out_on_request_or_forbids_changes_stays() -> None:
    kept = {name for name, terms in TERMS.items() if not terms.changed}
    assert kept == {AGREEMENT, "CC BY-ND 4.0", "CC BY-NC-ND 4.0"}
    assert {name for name, terms in TERMS.items() if terms.on_request} == {AGREEMENT}
