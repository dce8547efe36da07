"""Files that are not what their name says, and names that are spelled another way."""

import csv
import gzip
import io
import json
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from prep.sources import forms
from prep.sources.downloads import records
from prep.sources.reader import Read
from prep.sources.source import Source, read


def of(name: str, path: Path, **fields: Any) -> Read:
    return read(Source(source=name, name="made", path=str(path), **fields))


def tsv(path: Path, *rows: list[str], **dialect: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", **dialect).writerows(rows)
    return path


# --- quotation marks of tab-separated text

PLAIN = [
    ['"바람과 산"은 영화인가?', "네"],
    ['"온통 따옴표다."', "네"],
    ['가운데 "하나', "네"],
    ["쉼표, 도", '""'],
]


def cells(path: Path) -> list[list[str]]:
    return [[*record.values()] for _, _, record in records(path)]


@pytest.mark.parametrize("row", PLAIN, ids=str)
def test_quotation_marks_of_plain_tab_separated_text_stay(tmp_path: Path, row: list[str]) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("\n".join("\t".join(cells) for cells in (["글", "답"], row, ["둘", "셋"])))
    assert cells(path) == [row, ["둘", "셋"]]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["a.tsv", "renamed.csv"])
def test_quoted_tab_separated_text_is_unquoted(
    tmp_path: Path, quoting: int, end: str, name: str
) -> None:
    rows = [*PLAIN, ["두\n줄", "탭\t하나"], ["둘", "셋"]]
    quoting = csv.QUOTE_ALL if end == "\r" else quoting  # the writer itself confuses its ends
    tsv(tmp_path / name, ["글", "답"], *rows, quoting=quoting, lineterminator=end)
    assert cells(tmp_path / name) == rows


@pytest.mark.parametrize("mark", [";", ","])
def test_tables_with_other_marks_and_old_line_ends(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'글{mark}답\r"하나{mark}\n둘"{mark}셋\r', newline="")
    assert cells(path) == [[f"하나{mark}\n둘", "셋"]]


# --- files under another name or form than their own

PAIRS = [{"instruction": f"{k}?", "output": "네."} for k in range(3)]
LINES = "".join(json.dumps(pair) + "\n" for pair in PAIRS)
LIST = json.dumps(PAIRS, indent=1)
MISNAMED = {
    "lines.json": LINES,
    "marked.json": "\ufeff\n" + LINES,
    "list.jsonl": LIST,
    "one-line.jsonl": json.dumps(PAIRS),
    "wrapped.json": json.dumps({"version": 1, "data": PAIRS}, indent=1),
    "wrapped.jsonl": json.dumps({"data": PAIRS}, indent=1),
}


@pytest.mark.parametrize("name", MISNAMED)
@pytest.mark.parametrize("packed", ["", "gzip", "gzip by name", "zip"])
def test_what_a_file_holds_decides_how_it_is_read(tmp_path: Path, name: str, packed: str) -> None:
    path, data = tmp_path / name, MISNAMED[name].encode()
    if packed == "gzip by name":
        path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(data) if packed.startswith("gzip") else data)
    if packed == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(path, f"in/{name}")
        path = tmp_path / "a.zip"
    assert [chat.messages[0].content for chat in of("alpaca", path).chats] == ["0?", "1?", "2?"]


def test_parquet_under_another_name(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(PAIRS), tmp_path / "a.csv")
    assert len(of("alpaca", tmp_path / "a.csv").chats) == 3


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
REFUSED = {
    "a Git LFS pointer": (POINTER.encode(), "is a Git LFS pointer, .*`git lfs pull`"),
    "a web page": (b"\n<!DOCTYPE html><html></html>", "is a web page, not data; log in"),
    "a zip file": (b"PK\3\4", "is a zip file under another name; rename it to .zip"),
    "nothing": (b"", "is empty; download it again"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("suffix", forms.SUFFIXES)
def test_what_is_no_data_is_named(tmp_path: Path, case: str, suffix: str) -> None:
    data, sentence = REFUSED[case]
    if (suffix, case) == (".xlsx", "a zip file"):  # as every workbook is one
        sentence = "no workbook that can be read .*; save it anew"
    path = tmp_path / f"made{suffix}"
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"made{suffix}: {sentence}"):
        of("alpaca", path)


def test_what_is_unpacked_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "FILE", 2**20)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 2**22))
    with pytest.raises(UserError, match="more than the 1048576 bytes unpacked"):
        of("alpaca", path)
    path.write_bytes(gzip.compress(LINES.encode())[:-9])
    with pytest.raises(UserError, match="cannot be read"):
        of("alpaca", path)


@pytest.mark.parametrize("written", ["utf-32", "utf-16", "utf-16-le", "utf-16-be", "cp949"])
def test_the_command_of_an_encoding_error_mends_the_file(tmp_path: Path, written: str) -> None:
    text = "instruction,output\n안녕?,반가워요.\n"
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(written))
    with pytest.raises(UserError, match=r"iconv -f (\S+) -t UTF-8") as caught:
        of("alpaca", path)
    named = str(caught.value).partition("iconv -f ")[2].partition(" ")[0]
    assert path.read_bytes().decode(named) == text


def test_damage_is_not_taken_for_an_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES.encode()[:-3] + b"\xff\xff\n")
    with pytest.raises(UserError, match="no Korean encoding either; it is damaged"):
        of("alpaca", path)


# --- names as macOS and Windows spell them

NAME = "자료/말뭉치.jsonl"


class Windows(zipfile.ZipInfo):
    """A member whose name is in CP949, and does not say so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp949"), self.flag_bits & ~0x800


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_found_however_its_hangul_is_composed(tmp_path: Path, form: str) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    written = tmp_path / unicodedata.normalize(form, NAME)
    written.parent.mkdir()
    written.write_text(LINES)
    assert of("alpaca", tmp_path / unicodedata.normalize(other, NAME)).records == 3
    member = unicodedata.normalize(other, "말뭉치.jsonl")
    assert of("alpaca", written.parent, member=member).records == 3


@pytest.mark.parametrize("kind", [Windows, zipfile.ZipInfo])
@pytest.mark.parametrize("member", [NAME, unicodedata.normalize("NFD", NAME), "*말뭉치*"])
def test_a_member_is_found_however_its_name_is_written(
    tmp_path: Path, kind: type[zipfile.ZipInfo], member: str
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (NAME, "자료/다른것.jsonl"):
            archive.writestr(kind(name), LINES if name == NAME else "")
    assert of("alpaca", path, member=member).records == 3
    with pytest.raises(UserError, match=r"there are 2: 자료/다른것\.jsonl, 자료/말뭉치\.jsonl"):
        of("alpaca", path)


def test_a_table_written_again_reads_the_same(tmp_path: Path) -> None:
    """What pandas and the csv library write of the same rows is one set."""
    rows = [["글", "답"], *PLAIN, ["두\n줄", "a;b\tc"]]
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        text = io.StringIO()
        csv.writer(text, delimiter=mark).writerows(rows)
        (tmp_path / name).write_bytes(text.getvalue().encode())
    assert cells(tmp_path / "a.csv") == cells(tmp_path / "a.tsv") == rows[1:]
