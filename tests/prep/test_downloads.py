"""The forms a downloaded set comes in, and what is wrong with files."""

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from core.errors import UserError
from prep.sources import forms
from prep.sources.source import Source, read

ROWS = [{"original": f"{k}째 글이 틀렷다.", "revised": f"{k}째 글이 틀렸다."} for k in range(3)]


def lines() -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def write_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(ROWS)


def write_zip(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, lines())


FORMS: dict[str, Callable[[Path], object]] = {
    "set.jsonl": lambda path: path.write_text(lines(), encoding="utf-8"),
    "marked.jsonl": lambda path: path.write_text(lines(), encoding="utf-8-sig"),
    "windows.jsonl": lambda path: path.write_bytes(lines().replace("\n", "\r\n").encode()),
    "blank.jsonl": lambda path: path.write_text("\n" + lines() + "\n\n", encoding="utf-8"),
    "set.json": lambda path: path.write_text(json.dumps(ROWS), encoding="utf-8"),
    "marked.json": lambda path: path.write_text(json.dumps(ROWS), encoding="utf-8-sig"),
    "unpacked.jsonl.gz": lambda path: path.write_text(lines(), encoding="utf-8"),
    "document.jsonl": lambda path: path.write_text(json.dumps({"version": "1", "data": ROWS})),
    "set.csv": write_csv,
    "set.parquet": lambda path: parquet.write_table(pa.Table.from_pylist(ROWS), path),
    "set.zip": lambda path: write_zip(path, "folder/set.jsonl", "__MACOSX/folder/._set.jsonl"),
}


def source(path: Path, member: str | None = None) -> Source:
    return Source(source="proofreading", name="made", path=str(path), member=member)


def error(path: Path, member: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        read(source(path, member))
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(str(path))


@pytest.mark.parametrize("name", FORMS)
def test_one_set_in_every_form(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FORMS[name](path)
    got = read(source(path))
    assert [chat.messages[1].content for chat in got.chats] == [row["revised"] for row in ROWS]


def test_parquet_in_a_zip(tmp_path: Path) -> None:
    FORMS["set.parquet"](tmp_path / "set.parquet")
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "set.parquet", "data/train.parquet")
    assert len(read(source(tmp_path / "set.zip")).chats) == 3


def test_a_member_is_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    write_zip(path, "train.jsonl", "test.jsonl")
    said = error(path)
    assert (
        "2 members to read; give one as `member`, or several by a pattern such as '*/train.jsonl' "
        "(there are 2: test.jsonl, train.jsonl)"
    ) in said
    assert "0 members to read named dev.jsonl" in error(path, "dev.jsonl")
    assert len(read(source(path, "test.jsonl")).chats) == 3
    write_zip(path)
    assert "holds no .json, .jsonl, .csv, .tsv, .parquet, .xlsx; name a file" in error(path)


def test_errors_name_the_member_and_its_line(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in/set.jsonl", '\n\n\n{"original": "글"}\n')
    assert error(path) == "!in/set.jsonl, line 4: field revised: Field required"


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["set.jsonl", "set.json", "set.csv"])
def test_another_encoding_is_named_with_its_remedy(
    tmp_path: Path, name: str, encoding: str
) -> None:
    path = tmp_path / name
    FORMS[name](path)
    text = path.read_text(encoding="utf-8").replace("\\u", "\\\\u")
    path.write_text(f"[{ROWS[0]['original']}{text}", encoding=encoding)
    named = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    assert f"maybe {named}; save the file as UTF-8 (iconv -f {named} -t UTF-8)" in error(path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:6652\nsize 146946961\n"
WRONG: dict[str, tuple[str, bytes, str]] = {
    "malformed JSON": ("a.json", b'[{"a": 1},\n {]', "malformed JSON at line 2, column 3"),
    "malformed line": ("a.jsonl", b'{"a": ', ", line 1: malformed JSON at column 7"),
    "no object": (
        "a.jsonl",
        b'{"original": "a", "revised": "b"}\n[]\n',
        ", line 2: a list, not an",
    ),
    "no objects": ("a.json", b"[1]", ", item number 1: a int, not an object"),
    "nested": ("a.json", b"[" * 100_000 + b"]" * 100_000, ": nested too deeply"),
    "nested line": ("a.jsonl", b'{"a":' * 100_000, ", line 1: nested too deeply"),
    "a long number": ("a.jsonl", b'{"a": ' + b"1" * 5000 + b"}", ", line 1: holds a number too"),
    "half a character": ("a.jsonl", b'{"original": "\\ud800"}', ", line 1: holds half a char"),
    "an open quote": ("a.csv", b'original,revised\n"a,b\nc,d\n', ", line 2: malformed CSV"),
    "a quote inside": ("a.csv", b'original,revised\n"a"b,c\n', ", line 2: malformed CSV"),
    "a missing cell": ("a.csv", b"original,revised\na,b\nc\n", ", line 3: 1 cells, but 2 columns"),
    "a twin column": ("a.csv", b"original,original\na,b\n", ", line 1: two columns of one name"),
    "a missing column": ("a.csv", b"original\na\n", ", line 2: field revised: Field required"),
    "no Parquet": ("a.parquet", b"PAR1 it is not", ": malformed Parquet"),
    "no zip": ("a.zip", b"PK\3\4 it is not", ": cannot be read (File is not a zip file)"),
    "an empty zip": ("a.zip", b"", ": is empty; download it again"),
    **{
        f"a pointer for {name}": (name, POINTER, ": is a Git LFS pointer, not the file it stands")
        for name in ("a.csv", "a.zip", "a.jsonl.gz", "a.parquet.gz", "a.tar.gz", "a.txt")
    },
    **{
        f"a page for {name}": (name, b"<!doctype html><html>", ": is a web page, not data")
        for name in ("a.json", "a.zip", "a.csv.gz")
    },
    "another form": (
        "a.ods",
        b"PK\3\4",
        ": is none of .json, .jsonl, .csv, .tsv, .parquet, .xlsx, .zip, also",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file(tmp_path: Path, case: str) -> None:
    name, content, sentence = WRONG[case]
    (tmp_path / name).write_bytes(content)
    assert sentence in error(tmp_path / name)


def test_a_csv_record_of_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('original,revised\n"a\nb",c\n\nd,e,f\n', encoding="utf-8")
    assert error(path).startswith(", line 5: 3 cells")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert error(tmp_path / "none.json") == ": no such file; check the path"
    (tmp_path / "folder.json").mkdir()
    assert "holds no .json, .jsonl, .csv, .tsv, .parquet" in error(tmp_path / "folder.json")


def test_what_is_read_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "RECORD", 1000)
    monkeypatch.setattr(forms, "DOCUMENT", 1000)
    monkeypatch.setattr(forms, "FILE", 1000)
    long = "가" * 400
    row = json.dumps({"original": long, "revised": "나"}, ensure_ascii=False)
    for name, content, sentence in (
        ("a.jsonl", lines() + row, ", line 4: more than 1000 bytes"),
        ("a.json", f"[{row}]", ": more than 1000 bytes in one JSON document"),
        ("a.csv", f'original,revised\na,"{long}"\n', ", line 2: more than 1000 bytes"),
        ("b.csv", 'original,revised\na,"' + f"{'나' * 100}\n" * 6, ", line 2: malformed CSV"),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert sentence in error(tmp_path / name)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", " " * 2000)
    assert bomb.stat().st_size < 200
    assert "!a.jsonl: 2000 bytes unpacked, more than the 1000" in error(bomb)
    table = pa.Table.from_pylist([{"original": str(k) * 99, "revised": "나"} for k in range(99)])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert "more than 1000 bytes unpacked" in error(tmp_path / "a.parquet")


def test_a_broken_zip(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    write_zip(path, "set.jsonl")
    data = bytearray(path.read_bytes())
    data[45:60] = bytes(15)
    path.write_bytes(data)
    assert "cannot be read" in error(path)


def test_nesting_of_every_depth_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    ended = set()
    for depth in range(400, 1100, 2):
        path.write_text('{"original":"가","revised":"나","x":' + "[" * depth + "]" * depth + "}")
        try:
            ended.add(len(read(source(path)).chats))
        except UserError as caught:
            ended.add(str(caught).removeprefix(str(path)))
    assert ended == {1, ", line 1: nested too deeply; correct or delete the record"}


def test_a_column_nested_too_deeply(tmp_path: Path) -> None:
    kind: pa.DataType = pa.int8()
    value: object = 1
    for _ in range(700):
        kind, value = pa.list_(kind), [value]
    deep = pa.array([value], kind)
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"original": ["가"], "revised": ["나"], "x": deep}), path)
    assert ": malformed Parquet (Parquet schema too deeply nested" in error(path)
