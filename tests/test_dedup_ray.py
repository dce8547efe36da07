"""The same bytes from two workers of Ray as from this process."""

import pytest

from bench.pairs import collection
from prep.dedup import Item, MinHash, Ray, Simhash, duplicates
from prep.dedup.methods import sign

ray = pytest.importorskip("ray")

TEXTS = [record.text for record in collection(300, 9)] + ["", "네\0네네네", "\ud800가나다라", "🙂"]


@pytest.fixture(scope="module")
def two_workers(monkeypatch_module):
    monkeypatch_module.setattr("prep.dedup.on_ray.ROWS", 40)  # eight tasks
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    yield Ray(workers=2, smallest=100)
    ray.shutdown()


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield patch


@pytest.mark.parametrize("method", [Simhash(), MinHash()])
def test_two_workers_sign_as_one_process(method, two_workers):
    here, there = sign(TEXTS, method), sign(TEXTS, method, two_workers)
    assert here.values.tobytes() == there.values.tobytes()
    assert here.grams.tobytes() == there.grams.tobytes()
    assert here.values.dtype == there.values.dtype
    items = [Item(text, 0, f"{i:04}") for i, text in enumerate(TEXTS)]
    assert duplicates(items, method, two_workers) == duplicates(items, method)


def test_few_texts_stay_here(monkeypatch):
    def refuse(*_):
        raise AssertionError("started Ray")

    monkeypatch.setattr("prep.dedup.on_ray.sign", refuse)
    assert len(sign(TEXTS, Simhash(), Ray(smallest=1000)).grams) == len(TEXTS)
    with pytest.raises(AssertionError, match="started Ray"):
        sign(TEXTS, Simhash(), Ray(smallest=10))
