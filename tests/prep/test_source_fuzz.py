"""Bad input: every reader keeps each record, removes it with a reason, or says one sentence.

What is tried: the published records with values of other types, deep nesting, huge texts, halves of
characters, missing, doubled and foreign fields; in every form of file; intact, cut off, with bytes
changed, or in another encoding.
"""

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from core import jsonl
from core.errors import UserError
from prep.sources import downloads, forms
from prep.sources.reader import Read
from prep.sources.registry import REGISTRY
from prep.sources.source import Source, read
from tests.support.paths import ROOT

TRIES = 300  # files a reader: 3,900 in all
FIXTURES = ROOT / "tests/fixtures/sources"
DEEP, LONG = "(deep)", "(long)"  # stand for lists in lists and a number until the record is text
STEMS = ("{", "}", "[", "'", '"', "\\", "\0", "\ud800", "<보기>", "가", "\u1112\u1161", "nan", "")
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from(
        [10**20, -(10**400), 0.5, float("nan"), float("inf"), DEEP, LONG, "A", "(E)", "1"]
    )
    | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.lists(st.sampled_from(STEMS), max_size=6).map("".join)
    | st.sampled_from(["가" * 9_000, "ㅋ" * 30_000, "[" * 3_000, "-" * 3_000 + "1", "{}," * 999])
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "text", "question", "choices", "가"]), inner)
    ),
    max_leaves=4,
)


def published(name: str) -> list[dict[str, Any]]:
    [path] = [path for path in FIXTURES.iterdir() if path.stem == name]
    return [record for _, _, record in downloads.records(path)]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a record: the path to every value inside it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in inside:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


@st.composite
def wrong(draw: st.DrawFn, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records of which some are changed in one or two places."""
    changed = json.loads(
        json.dumps(draw(st.lists(st.sampled_from(records), min_size=1, max_size=4)))
    )
    for number, record in enumerate(changed):
        for field in {"id", "uuid", "guid"} & record.keys():
            record[field] = f"made-{number}"
        for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
            *path, last = draw(st.sampled_from([*places(record), ("another",)]))
            holder = record
            for key in path:
                holder = holder[key]
            action = draw(st.sampled_from(["change", "change", "delete", "literal"]))
            if action == "change" or last == "another":
                holder[last] = draw(VALUES)
            elif action == "delete":
                del holder[last]
                break  # the other places may be gone with it
            else:
                holder[last] = repr(draw(VALUES))
    return changed


def as_text(records: list[dict[str, Any]], form: str, depth: int) -> str:
    texts = [json.dumps(record, ensure_ascii="\ud800" in str(record)) for record in records]
    texts = [text.replace(f'"{DEEP}"', "[" * depth + "]" * depth) for text in texts]
    texts = [text.replace(f'"{LONG}"', "7" * 5_000) for text in texts]
    return "".join(f"{text}\n" for text in texts) if form == "jsonl" else f"[{','.join(texts)}]"


def as_csv(records: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for record in records for key in record))
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(columns)
    for record in records:
        writer.writerow([record.get(column, "") for column in columns])
    return file.getvalue()


def as_parquet(records: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    try:
        parquet.write_table(pa.Table.from_pylist(records), file)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return b"PAR1" + repr(records).encode("utf-8", "replace")  # no column has such values
    return file.getvalue()


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes cut off, changed in one place or with others put in."""
    at = draw(st.integers(0, len(data)))
    return draw(
        st.sampled_from(
            [
                data[:at],
                data[at:],
                data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :],
                data[:at] + draw(st.binary(max_size=6)) + data[at:],
            ]
        )
    )


@pytest.fixture(scope="module", autouse=True)
def small_bounds() -> Iterator[None]:
    """Bounds that the huge texts reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "RECORD", 60_000)
        patch.setattr(forms, "DOCUMENT", 100_000)
        yield


ENDED: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def tally() -> Iterator[None]:
    """Print how the tries ended (pytest -s)."""
    yield
    print(f"\n{ENDED['read'] + ENDED['one sentence']} files: {dict(ENDED)}")


def check(got: Read, records: int | None) -> None:
    """Nothing lost, all writable; `records` is how many the file has, where that is known."""
    ENDED["records kept"] += len(got.questions) + len(got.chats)
    ENDED["records removed"] += len(got.removed)
    assert got.records == len(got.questions) + len(got.chats) + len(got.removed)
    assert records in (None, got.records)
    for made in (*got.questions, *got.chats, *got.removed, *got.changed):
        jsonl.dump(made).encode()


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRY)
def test_bad_input_ends_in_rows_removals_or_one_sentence(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(name)
    records = published(name)

    @settings(
        max_examples=TRIES,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def one_try(data: st.DataObject) -> None:
        given_ = data.draw(wrong(records))
        form = data.draw(st.sampled_from(["jsonl", "jsonl", "json", "csv", "parquet"]))
        if form == "parquet":
            content = as_parquet(given_)
        else:
            depth = data.draw(st.sampled_from([2, 150, 400, 900, 985, 20_000]))
            text = as_csv(given_) if form == "csv" else as_text(given_, form, depth)
            codec = data.draw(st.sampled_from(["utf-8"] * 7 + ["utf-8-sig", "utf-16", "cp949"]))
            content = text.encode(codec, "replace" if codec == "cp949" else "surrogatepass")
        intact = data.draw(st.integers(0, 3)) > 0
        if not intact:
            content = data.draw(damaged(content))
        path = folder / f"made.{form}"
        if data.draw(st.integers(0, 4)) == 0:
            path = folder / "made.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"made.{form}", content)
            if not intact:
                path.write_bytes(data.draw(damaged(path.read_bytes())))
        else:
            path.write_bytes(content)
        try:
            got = read(Source(source=name, name="made", path=str(path)))
        except UserError as error:
            ENDED["one sentence"] += 1
            said = str(error)
        else:
            said = ""
            ENDED["read"] += 1
            check(got, len(given_) if intact else None)
        assert "\n" not in said
        assert len(said) < 600

    one_try()
