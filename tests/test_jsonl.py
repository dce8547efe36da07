"""What is written appears whole or not at all, and where it cannot, a sentence says why."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from prep import jsonl
from prep.errors import UserError
from prep.jsonl import parsed, require_place, write_json, write_records


@pytest.fixture
def old(tmp_path: Path) -> Path:
    write_json(tmp_path / "old.json", 1)
    return tmp_path / "old.json"


def test_a_place_that_cannot_be_written_is_told(old: Path) -> None:
    folder = old.parent
    for place, why in (
        (folder, "Is a directory"),
        (old / "a.json", "File exists"),
        (old / "more" / "a.json", "Not a directory"),
        (folder / ("a" * 300), "File name too long"),
    ):
        with pytest.raises(UserError, match=f"{place}: cannot be written .{why}.; name another"):
            write_json(place, 2)
    assert [path.name for path in folder.iterdir()] == ["old.json"]
    assert old.read_text() == "1\n"


def test_a_full_disk_keeps_its_own_sentence(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(jsonl.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(old, 2)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(old, 2)
    assert old.read_text() == "1\n"
    assert [path.name for path in old.parent.iterdir()] == ["old.json"]


def test_an_interrupted_write_leaves_the_older_file(old: Path) -> None:
    def interrupted() -> Iterator[dict[str, int]]:
        yield {"half": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(old, interrupted())
    assert old.read_text() == "1\n"
    assert [path.name for path in old.parent.iterdir()] == ["old.json"]


def test_places_are_asked_for_before_work_begins(old: Path) -> None:
    folder = old.parent
    require_place(None, old)
    require_place(old, None)  # an older result may be replaced
    require_place(folder / "new" / "folder" / "a.json", old)
    (folder / "link.json").symlink_to(old)
    for place, why in (
        (folder, "is a folder; name a file in it"),
        (old / "a.json", "is a file, not a folder"),
        (folder / "link.json", "is named twice, so it would be written over"),
    ):
        with pytest.raises(UserError, match=why):
            require_place(place, old)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "at column 2"),
        ("[\n1,\n}", "at line 3, column 1"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "a number too long to read"),
        ('{"a": {"b": 1, "b": 1}}', "key b stands twice in an object"),
    ],
)
def test_json_that_cannot_be_read_is_told(text: str, why: str) -> None:
    with pytest.raises(UserError, match=f"a.json: .*{why}.*; mend it"):
        parsed(text, "a.json", "mend it", once=True)


def test_a_repeated_key_is_refused_only_where_asked() -> None:
    assert parsed('{"a": 1, "a": 2}', "a.json") == {"a": 2}
