"""Documents are read, cut at sentences and found by their morphemes; an index is built once."""

import gzip
import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from core.errors import UserError
from core.jsonl import write_records
from core.morphemes import kiwi, subject_words
from prep import retrieve
from prep.retrieval import documents, knowledge
from prep.retrieval.chunks import cut
from prep.retrieval.documents import KnowledgeDocument
from prep.retrieval.knowledge import Knowledge, index
from prep.retrieval.ranking import Hit, Wanted, ranked
from prep.retrieval.settings import Cut
from prep.retrieval.store import stored
from tests.support.own_documents import CABBAGE, CLOCK, save_documents


def save_pdf(path: Path, drawn: str, unicode: str = "") -> None:
    """A PDF of one page; `unicode` says what its letters mean, as in "<41> <AC00>"."""
    meant = f"1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar {unicode} endbfchar"
    page = "<</Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources 5 0 R>>"
    objects = [
        "<</Type /Catalog /Pages 2 0 R>>",
        "<</Type /Pages /Kids [3 0 R] /Count 1>>",
        page,
        f"<</Length {len(drawn)}>>\nstream\n{drawn}\nendstream",
        "<</Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R>>>>>>",
        f"<</Length {len(meant)}>>\nstream\n{meant}\nendstream",
    ]
    text, places = "%PDF-1.4\n", []
    for number, one in enumerate(objects, start=1):
        places.append(f"{len(text):010d} 00000 n \n")
        text += f"{number} 0 obj\n{one}\nendobj\n"
    table = f"xref\n0 7\n0000000000 65535 f \n{''.join(places)}"
    text += f"{table}trailer\n<</Size 7 /Root 1 0 R>>\nstartxref\n{len(text)}\n%%EOF\n"
    path.write_text(text, "ascii")


def search(found: Knowledge, text: str, k: int, threshold: float = 0.0) -> list[Hit]:
    [tokens] = kiwi().tokenize([text])
    return ranked(Wanted(text, subject_words(tokens)), found, None, "bm25", k, threshold)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_documents(tmp_path_factory.mktemp("knowledge") / "documents").parent


def test_every_form_is_read_and_doubles_are_left_out(place: Path) -> None:
    found = index([str(place / "documents")], Cut(), place / "indexes")
    assert dict(found.texts())["김치.md"] == f"김치: 김치 {CABBAGE}"
    assert [chunk.document for chunk in found.chunks] == ["clock.txt", "market", "김치.md"]
    reasons = {"empty": 1, "exact-duplicate": 1}
    assert found.counts == {"documents": 5, "left_out": reasons, "chunks": 3}
    left_out = (place / "indexes" / found.name / "left-out.jsonl").read_text("utf-8")
    assert '"old-clock", "reason": "exact-duplicate", "near": "clock.txt"' in left_out


def test_what_is_found_says_by_which_words(place: Path) -> None:
    found = index([str(place / "documents")], Cut(), place / "indexes")
    [best] = search(found, "자격루를 만든 사람은?", 5)
    assert best.chunk.document == "clock.txt"
    assert set(best.words) == {"자격루", "만들다", "사람"}
    assert best.score == pytest.approx(sum(best.words.values()), abs=0.001)
    market, cabbage = search(found, "소금 장수", 5)
    assert (market.chunk.document, cabbage.chunk.document) == ("market", "김치.md")
    assert search(found, "소금 장수", 5, cabbage.score) == [market]
    assert search(found, "장수 소금 소금", 1)[0].score == market.score
    [tied, other] = search(found, "소금", 5)
    assert (tied.score, tied.chunk.document) == (other.score, "market")
    assert search(found.without(["market"]), "소금 장수", 5) == [cabbage]
    assert search(found, "우주선", 5) == search(found, "", 5) == []


def test_an_index_is_built_once_and_refused_where_it_is_anothers(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [str(place / "documents")]
    first, again = (index(named, Cut(), tmp_path / name) for name in "ab")
    folder = tmp_path / "a" / first.name
    for path in folder.iterdir():  # same documents, same bytes
        assert path.read_bytes() == (tmp_path / "b" / again.name / path.name).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(knowledge, "build", None)
        assert index(named, Cut(), tmp_path / "a").name == first.name
    assert index(named, Cut(overlap=0), tmp_path / "a").name != first.name
    with monkeypatch.context() as patch:  # another pypdf reads another text
        patch.setattr(knowledge, "version", lambda name: "0" if name == "pypdf" else version(name))
        assert index(named, Cut(), tmp_path / "a").name != first.name
    record = json.loads((folder / "index.json").read_text("utf-8"))
    for change, what in ({"files": {}}, "files"), ({"packages": {"bm25s": "0.1"}}, "packages"):
        (folder / "index.json").write_text(json.dumps({**record, **change}), "utf-8")
        with pytest.raises(UserError, match=rf"differs in {what}\); move it away"):
            index(named, Cut(), tmp_path / "a")
    for damaged in ("", "[]", *(json.dumps(record | {key: None}) for key in ("counts", "sha256"))):
        (folder / "index.json").write_text(damaged, "utf-8")
        with pytest.raises(UserError, match=r"differs in index\.json\); move it away"):
            index(named, Cut(), tmp_path / "a")
    (folder / "index.json").write_text(json.dumps(record), "utf-8")
    (folder / "chunks.jsonl").write_text("", "utf-8")
    with pytest.raises(UserError, match=r"differs in chunks\.jsonl"):
        index(named, Cut(), tmp_path / "a")


def test_an_index_that_another_run_makes_is_left_to_it(tmp_path: Path) -> None:
    def make(part: Path, name: str) -> dict[str, int]:
        (part / "first").write_text("half")
        with pytest.raises(UserError, match="another run is making this index; wait until it"):
            stored(tmp_path, {"of": 1}, make)
        return {"files": len(list(part.iterdir()))}

    folder, counts = stored(tmp_path, {"of": 1}, make)
    assert counts == {"files": 1}
    assert stored(tmp_path, {"of": 1}, make) == (folder, counts)


def test_chunks_end_with_sentences_and_overlap() -> None:
    text = " ".join(f"{k}번 마을에는 우물이 {k}개 있다." for k in range(1, 9))
    given = [KnowledgeDocument(id="d", title="우물", text=text)]
    found = [chunk for chunk, _ in cut(given, 60, 1)]
    assert all(len(chunk.text) <= 60 and chunk.text.endswith("있다.") for chunk in found)
    assert [chunk.text[: chunk.repeated].strip() for chunk in found[1:]] == [
        chunk.text[-len("1번 마을에는 우물이 1개 있다.") :] for chunk in found[:-1]
    ]
    assert " ".join(chunk.text[chunk.repeated :] for chunk in found) == text
    assert all("우물" in said for _, said in cut(given, 60, 0))
    [long, *rest] = [c for c, _ in cut([KnowledgeDocument(id="d", text="가나 " * 99)], 50, 1)]
    assert max(len(chunk.text) for chunk in (long, *rest)) <= 50
    assert len(rest) > 4


def test_a_pdf_is_its_text_and_a_scan_is_refused(tmp_path: Path) -> None:
    save_pdf(tmp_path / "a.pdf", "BT /F 12 Tf 20 100 Td (The well of the village) Tj ET")
    [one] = documents.read(documents.files([str(tmp_path)]))
    assert (one.id, one.title, one.text) == ("a.pdf", "a", "The well of the village")
    save_pdf(tmp_path / "a.pdf", "0 0 50 50 re f")
    with pytest.raises(UserError, match=r"a\.pdf: holds no text, as of scanned pages; recognise"):
        list(documents.read(documents.files([str(tmp_path)])))
    save_pdf(tmp_path / "a.pdf", "BT /F 12 Tf 20 100 Td (BAB) Tj ET", "<41> <D83D>")
    [half] = documents.read(documents.files([str(tmp_path)]))
    assert half.text == "B\ufffdB"
    save_pdf(tmp_path / "a.pdf", "BT /F 12 Tf 20 100 Td (A) Tj ET")
    whole = (tmp_path / "a.pdf").read_bytes()
    without = (
        whole.replace(b"trailer\n", b"trailer\nnull "),
        whole.replace(b"/Length ", b"/Length /"),
    )
    for broken in (b"no pdf at all", *without):
        (tmp_path / "a.pdf").write_bytes(broken)
        with pytest.raises(UserError, match=r"a\.pdf: cannot be read as PDF"):
            list(documents.read(documents.files([str(tmp_path)])))


def test_a_dump_of_wikipedia_is_its_articles(tmp_path: Path) -> None:
    pages = [
        ("7", 0, "자격루", CLOCK),
        ("8", 1, "토론:자격루", "누가 썼나요?"),
        ("9", 0, "김치", CABBAGE),
    ]
    lines = [
        json.dumps(line, ensure_ascii=False)
        for page, space, title, text in pages
        for line in (
            {"index": {"_type": "_doc", "_id": page}},
            {"namespace": space, "title": title, "text": text, "category": []},
        )
    ]
    dump = tmp_path / "kowiki-content.json.gz"
    dump.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = list(documents.read(documents.files([str(tmp_path)])))
    assert [(one.id, one.title, one.text) for one in found] == [
        ("wiki-7", "자격루", CLOCK),
        ("wiki-9", "김치", CABBAGE),
    ]
    whole = dump.read_bytes()
    for broken in (whole[: len(whole) // 2], gzip.compress(b'{"text": "a"}\n[]'), b"{}"):
        dump.write_bytes(broken)
        with pytest.raises(UserError, match="is no dump of Wikipedia's search index, or cut off"):
            list(documents.read(documents.files([str(dump)])))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"id": "a"}\n', r"d\.jsonl, line 1: field text: Field required"),
        ('{"id": "a", "text": "가"}\n{"id": "a", "text": "나"}\n', "id a is that of a document of"),
        ('{"text": 3}\n', "line 1: field text: Input should be a valid string"),
        ('{"text": "', "line 1: malformed JSON"),
        ('{"text": "."}\n', "1 documents, and none has a word to search for"),
        ('{"text": "%s"}' % ("가" * 7_000_000), "line 1: a document of 21 MB, and one may have 20"),
    ],
    ids=["no-text", "doubled", "a-number", "cut-off", "no-word", "large"],
)
def test_what_is_no_document_is_refused_in_one_sentence(
    content: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "d.jsonl").write_text(content, "utf-8")
    with pytest.raises(UserError, match=sentence) as caught:
        index([str(tmp_path / "d.jsonl")], Cut(), tmp_path / "indexes")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "indexes").rglob("*.json*")) == []


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such file or folder; correct `documents`"):
        documents.files([str(tmp_path / "none")])
    with pytest.raises(UserError, match=r"holds no \.jsonl, \.json\.gz, \.txt, \.md, \.pdf; name"):
        documents.files([str(tmp_path)])
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "folder.md/a.txt").touch()
    assert list(documents.files([str(tmp_path)])) == ["folder.md/a.txt"]
    (tmp_path / "folder.md/b.txt").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"b\.txt: is a link to no file; correct it, or"):
        documents.files([str(tmp_path)])
    (tmp_path / "folder.md/b.txt").unlink()
    (tmp_path / "linked").symlink_to("folder.md")
    with pytest.raises(UserError, match=r"linked: is a link to a folder, which is not followed"):
        documents.files([str(tmp_path)])
    (tmp_path / "linked").unlink()
    (tmp_path / os.fsdecode(b"\xb1\xe8.txt")).touch()  # as an archive of another system leaves it
    with pytest.raises(UserError, match=r"^the name '.*udcb1.*txt': holds half a character"):
        documents.files([str(tmp_path)])
    (tmp_path / "a.docx").touch()
    with pytest.raises(UserError, match=r"a\.docx: is none of .*; convert it, or leave it out"):
        documents.files([str(tmp_path / "a.docx")])
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(UserError, match=r"huge\.txt: a document of 100 MB, and one may have 20; "):
        list(documents.read(documents.files([str(tmp_path / "huge.txt")])))


def test_the_command_shows_what_would_be_retrieved(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    named = ["--documents", str(place / "documents")]
    retrieve.main(["자격루를 만든 우주인은?", *named, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert [(one["id"], one["text"]) for one in said["found"]] == [("clock.txt~1", CLOCK)]
    assert said["words"] == ["자격루", "만들다", "우주인"]
    retrieve.main(["자격루를 만든 우주인은?", *named])
    said = capsys.readouterr().out
    assert "in no document: 우주인" in said
    assert "자격루 0." in said
    retrieve.main(["자격루", *named, "--threshold", "99"])
    assert "nothing scores above 99: the question would be shown" in capsys.readouterr().out
    write_records(tmp_path / "params.yaml", [])
    (tmp_path / "params.yaml").write_text(
        "runs: {r: {inputs: ., corpus: {train: a.json}, prompt: exam, stages: {s: []}}}"
    )
    with pytest.raises(UserError, match=r"run r: retrieves nothing; give it `retrieve`"):
        retrieve.main(["자격루", "--run", "r"])
