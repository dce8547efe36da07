"""Reading and writing JSONL: what no reader could use is refused in words, before it travels on."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.jsonl import read_json, read_objects, write_json

WRONG = [
    ("[" * 100_000, "nested too deeply"),
    ('{"a": ' + "9" * 5000 + "}", "holds a number too long to read"),
    ('{"a": "\\ud800"}', "holds half a character"),
    ('{"a": "\\uD83D가"}', "holds half a character"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_python_cannot_read_or_write(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n' + text + "\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=rf"a\.jsonl, line 2: {said}.*; correct or delete the record"
    ):
        list(read_objects(path))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        UserError, match=rf"a\.jsonl: {said}.*; correct the file or download it again"
    ):
        read_json(path)


def test_complete_pairs_and_backslashes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "\\ud83d\\ude00"}\n{"a": "C:\\\\ud800"}\n', encoding="utf-8")
    assert [value["a"] for _, value in read_objects(path)] == ["😀", "C:\\ud800"]


def test_places_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    for path, said in [
        (tmp_path, "is a folder; name a file to write"),
        (tmp_path / "file" / "a.json", "its folder cannot be made"),
        (Path("/proc/none/a.json"), "its folder cannot be made"),
    ]:
        with pytest.raises(UserError, match=said):
            write_json(path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
