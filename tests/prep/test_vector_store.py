"""The same is found in a Qdrant as in the file; one that is down or another's is refused.

The client's own local mode stands for a server: none can be had here.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, PointStruct, VectorParams

from core.errors import UserError
from core.jsonl import write_records
from prep.retrieval import vector_store
from prep.retrieval.evidence import meanings, prepared
from prep.retrieval.knowledge import Knowledge, index
from prep.retrieval.ranking import Wanted, ranked
from prep.retrieval.settings import Embedder, Retrieve
from prep.retrieval.vector_store import StoredVectors
from prep.retrieval.vectors import Vectors, vectors
from tests.support.word_vectors import MEANINGS, save_embedder

WORDS = [*MEANINGS]
# many chunks are equally near: 시계 and 소리 stand in each tenth of them in one and the same way
TEXTS = [f"{WORDS[k % 7]} {WORDS[k % 5]}" for k in range(60)]
ASKED = ("시계", "소금 우물", "물 소리", "자격루 장터 소리", "없음")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    lines = [{"id": f"d{k}", "text": f"{text} {k}"} for k, text in enumerate(TEXTS)]
    write_records(folder / "texts.jsonl", lines)
    save_embedder(folder / "embedder")
    return folder


@pytest.fixture(scope="module")
def knowledge(place: Path) -> Knowledge:
    return index([str(place / "texts.jsonl")], settings(place).cut, place / "indexes")


@pytest.fixture(scope="module")
def in_file(place: Path, knowledge: Knowledge) -> Vectors:
    said = Embedder(model=str(place / "embedder"))
    shown = [chunk.shown for chunk in knowledge.chunks]
    return vectors(shown, knowledge.name, said, place / "indexes")


def settings(place: Path, **more: object) -> Retrieve:
    named = {"documents": [str(place / "texts.jsonl")], "method": "dense"}
    named |= {"embedder": {"model": str(place / "embedder")}}
    return Retrieve.model_validate({**named, **more})


def stored(client: QdrantClient, made: Vectors, knowledge: Knowledge) -> StoredVectors:
    return StoredVectors(client, "there", made, [chunk.id for chunk in knowledge.chunks])


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
def test_the_same_is_found_as_in_the_file(in_file: Vectors, knowledge: Knowledge) -> None:
    assert len(knowledge.chunks) > 20
    there = stored(QdrantClient(":memory:"), in_file, knowledge)
    guarded = knowledge.without(["d3", "d10", "d21"])
    ties = 0
    for text in ASKED:
        for some in (knowledge, guarded):
            for method in ("dense", "fusion"):
                for k in (1, 4, 50):
                    wanted = Wanted(text, text.split())
                    expected = ranked(wanted, some, in_file, method, k)
                    assert ranked(wanted, some, there, method, k) == expected
                    ties += len(expected) > len({hit.score for hit in expected})
    assert ties > 10


def test_an_upload_that_was_cut_off_goes_on(
    in_file: Vectors, knowledge: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store, "BATCH", 4)
    client, sent = QdrantClient(path=str(tmp_path)), []
    upsert = client.upsert

    def failing(name: str, points: object, **more: object) -> object:
        sent.append(points.ids)  # type: ignore[attr-defined]
        if len(sent) == 3:
            raise ConnectionResetError("Connection reset by peer")
        return upsert(name, points=points, **more)

    monkeypatch.setattr(client, "upsert", failing)
    with pytest.raises(UserError, match=r"there: no Qdrant answers .*reset by peer.*: nothing is"):
        stored(client, in_file, knowledge)
    client.close()
    client = QdrantClient(path=str(tmp_path))  # another process
    upsert = client.upsert
    monkeypatch.setattr(client, "upsert", failing)
    there = stored(client, in_file, knowledge)
    assert sent[3] == sent[2] == [8, 9, 10, 11]
    before = len(sent)
    assert np.array_equal(
        stored(client, in_file, knowledge).scores("시계", 5), there.scores("시계", 5)
    )
    assert len(sent) == before


def test_a_collection_that_is_anothers_is_refused(
    in_file: Vectors, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store, "BATCH", 4)
    name = f"maerak-{in_file.name}"
    for size, distance in ((7, Distance.DOT), (3, Distance.COSINE)):
        client = QdrantClient(":memory:")
        client.create_collection(name, vectors_config=VectorParams(size=size, distance=distance))
        with pytest.raises(UserError, match=f"{name} has vectors of another form; delete it"):
            stored(client, in_file, knowledge)
    there = stored(client := QdrantClient(":memory:"), in_file, knowledge)
    count = len(knowledge.chunks)
    extra = PointStruct(id=count + 5, vector=[9, 9, 9], payload={"chunk": "x"})
    client.upsert(name, points=[extra])
    with pytest.raises(UserError, match=f"has {count + 1} points for {count} chunks; delete it"):
        stored(client, in_file, knowledge)
    with pytest.raises(UserError, match="holds a point that is no chunk of this index"):
        there.scores("시계", 5)
    client.delete(name, points_selector=[count + 5, 0])
    with pytest.raises(UserError, match="holds fewer points than it did; delete it there"):
        there.scores("시계", count)
    with pytest.raises(UserError, match=f"has {count - 1} points for {count} chunks"):
        stored(client, in_file, knowledge)  # one of the first is gone, and an upload begins later
    client.delete_collection(name)
    with pytest.raises(UserError, match=r"there: no Qdrant answers there as one should \(.*found"):
        there.scores("시계", 5)


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers every request with this status and no more: its address."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_store_that_is_down_or_refuses_is_said_in_one_sentence(
    place: Path, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(address: str, key: str | None = None) -> None:
        named = settings(place, store={"address": address, "key": key})
        with pytest.raises(UserError) as caught:
            meanings(knowledge, named, place / "indexes")
        sentences.append(str(caught.value))

    sentences: list[str] = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    opened(closed)
    monkeypatch.setenv("QDRANT_KEY", "made-up")
    for status in (401, 500, 200):
        with answering(status) as address:
            opened(address, "QDRANT_KEY")
    opened(closed, "NO_SUCH_KEY")
    monkeypatch.setenv("ODD_KEY", "made-up\n열쇠")
    opened(closed, "ODD_KEY")
    with answering(500) as proxy:  # to which nothing of this machine goes
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        opened(closed, "QDRANT_KEY")
    assert sentences[0].startswith(f"{closed}: no Qdrant answers there as one should (")
    assert sentences[0].endswith("correct `store`: nothing is lost, the next run goes on")
    assert "401 Unauthorized); name the variable of its key" in sentences[1]
    assert "(500 Internal Server Error); start it" in sentences[2]
    assert "no Qdrant answers there" in sentences[3]
    assert sentences[4].endswith("environment variable NO_SUCH_KEY is not set")
    assert sentences[5].endswith(
        "variable ODD_KEY holds letters, or line breaks, that no key has; set it anew"
    )
    assert "Connection refused" in sentences[6]
    for one in sentences:
        assert "\n" not in one
        assert "made-up" not in one


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"address": "http://10.0.0.1:6333"}, "not of this machine; give it as https"),
        ({"address": "https://key:secret@db.example"}, "address holds a secret; name its"),
        ({"address": "db.example"}, "is no http address"),
        ({"address": "https://db example:6333"}, "is no http address"),
        ({"address": "http://localhost:66333"}, "Port out of range"),
        ({"address": "http://localhost:port"}, "Port could not be cast"),
    ],
)
def test_an_address_that_is_not_safe_is_refused(place: Path, said: dict, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        settings(place, store=said)


def test_words_need_no_store(place: Path) -> None:
    with pytest.raises(ValueError, match="store holds vectors, and bm25 has none"):
        prepared(
            settings(
                place, method="bm25", embedder=None, store={"address": "http://localhost:6333"}
            ),
            place / "indexes",
            [],
            1,
        )
