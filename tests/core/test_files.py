"""What is written appears complete or not at all, and where it cannot, a sentence says why."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import files
from core.errors import UserError
from core.files import decoded, require_place
from core.jsonl import loads, read_json, read_objects, write_json, write_records


@pytest.fixture
def old(tmp_path: Path) -> Path:
    write_json(tmp_path / "old.json", 1)
    return tmp_path / "old.json"


def test_a_full_disk_keeps_its_own_sentence(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
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
        (folder, "is a folder; name a file to write"),
        (old / "a.json", "its folder cannot be made .File exists."),
        (folder / "link.json", "is named twice, so it would be written over"),
    ):
        with pytest.raises(UserError, match=why):
            require_place(place, old)
    assert old.read_text() == "1\n"


def test_a_repeated_key_is_refused_however_deep(tmp_path: Path) -> None:
    assert loads('[{"a": {}, "b": {"a": 1}}, {"a": 2}]') == [{"a": {}, "b": {"a": 1}}, {"a": 2}]
    twice = '{"a": [{"가": 1, "나": 2, "가": 1}]}'
    (tmp_path / "a.json").write_text(twice, encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.json: key 가 stands twice in an object; "):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_text("{}\n" + twice, encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl, line 2: key 가 stands twice in an object; "):
        list(read_objects(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("head", [b"PK\3\4", b"PAR1", b"\x1f\x8b"])
def test_a_workbook_or_an_archive_is_not_to_be_saved_as_text(head: bytes) -> None:
    with pytest.raises(UserError, match=r"rows\.xlsx: is a workbook, .*name the text file"):
        decoded(head + b"\xff\xfe", Path("rows.xlsx"))
