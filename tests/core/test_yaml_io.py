"""YAML that a person writes: every mistake in it is one sentence that names the line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.yaml_io import read_mapping

PATH = Path("p.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: {x: 1, x: 2}\n", r"line 2: key x is there twice; correct the YAML"),
        ("a: [1\n", r"line 2: expected ',' or ']'"),
        ("a: 1\nb: \x07\n", r"line 2: special characters are not allowed; correct the YAML"),
        ("a: 1\n? [x]\n: 1\n", r"line 2: found unhashable key; correct the YAML"),
        ("? {x: 1}\n: 1\n", r"line 1: found unhashable key"),
        ("a: 1\nb: 2024-13-45\n", r"line 2: month must be in 1\.\.12; correct the YAML"),
        ("a: !!int x\n", r"line 1: invalid literal for int\(\) with base 10: 'x'"),
        ("a: " + "[" * 3000, r"nested too deeply"),
        ("a: *b\n", r"line 1: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2\n", r"line 2: but found another document"),
        ("a: !!python/name:os.system\n", r"line 1: could not determine a constructor"),
        ("<<: 1\n", r"line 1: expected a mapping or list of mappings for merging"),
        ("- a\n", r"no keys; it must be a YAML mapping"),
        ("", r"no keys; it must be a YAML mapping"),
    ],
)
def test_a_mistake_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"^p\.yaml(, |: ){said}"):
        read_mapping(PATH, text)


def test_merged_keys_may_be_named_again() -> None:
    text = "a: &one {x: 1, y: 2}\nb: &two {z: 0}\nc: {<<: [*one, *two], y: 3}\n"
    assert read_mapping(PATH, text)["c"] == {"x": 1, "y": 3, "z": 0}


@given(st.text("ab:-[]{}&*!?|>#'\"0.\n\t ,<~\x00é", max_size=60))
def test_any_text_is_a_mapping_or_a_sentence(text: str) -> None:
    try:
        value = read_mapping(PATH, text)
    except UserError:
        return
    assert isinstance(value, dict)
