"""The same bytes from two workers of Ray as from this process."""

from importlib.util import find_spec

import psutil
import pytest

from bench.pairs import collection
from core import ray_session
from core.errors import UserError
from prep.dedup import Document, MinHash, Ray, Simhash, duplicates, methods
from prep.dedup.methods import sign
from prep.retrieval import chunks
from prep.retrieval.documents import KnowledgeDocument

TEXTS = [record.text for record in collection(300, 9)] + ["", "네\0네네네", "\ud800가나다라", "🙂"]
CLEAN = [text for text in TEXTS if text.isprintable() and text]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_two_workers_sign_as_one_process(monkeypatch, tmp_path):
    monkeypatch.setattr(methods, "ROWS", 40)  # eight tasks
    monkeypatch.setattr(chunks, "TOGETHER", 70)  # five tasks of Kiwi's
    monkeypatch.chdir(tmp_path)  # workers find the code from wherever a script is started
    two = Ray(workers=2, smallest=100)
    items = [Document(text, 0, f"{i:04}") for i, text in enumerate(TEXTS)]
    before = psutil.Process().children(recursive=True)  # helpers that other tests' libraries keep
    with ray_session.session(two):
        for method in (Simhash(), MinHash()):
            here, there = sign(TEXTS, method), sign(TEXTS, method, two)
            assert here.values.tobytes() == there.values.tobytes()
            assert here.grams.tobytes() == there.grams.tobytes()
            assert here.values.dtype == there.values.dtype
            assert duplicates(items, method, two) == duplicates(items, method)
        documents = [
            KnowledgeDocument(id=f"d{i}", title="마을", text=x) for i, x in enumerate(CLEAN)
        ]
        here, there = (list(chunks.cut(documents, 100, 1, on)) for on in (None, two))
        assert here == there
        assert len(here) > len(documents)
        started = set(psutil.Process().children(recursive=True)) - set(before)
        sockets = [c for p in started for c in p.net_connections("inet") if c.status == "LISTEN"]
        assert sockets
        assert {c.laddr.ip.removeprefix("::ffff:") for c in sockets} == {"127.0.0.1"}
    assert not [p for p in started if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_few_texts_stay_here(monkeypatch):
    def refuse(*_):
        raise AssertionError("started Ray")

    monkeypatch.setattr(methods, "sign_on_ray", refuse)
    assert len(sign(TEXTS, Simhash(), Ray(smallest=1000)).grams) == len(TEXTS)
    with pytest.raises(AssertionError, match="started Ray"):
        sign(TEXTS, Simhash(), Ray(smallest=10))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_said(address):
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1: no Ray cluster answers there"):
        sign(TEXTS, Simhash(), Ray(address=address, smallest=10))
