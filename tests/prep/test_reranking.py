"""A cross-encoder puts the best chunks in order, by its own scores and no other."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertForSequenceClassification, BertModel

from core.errors import UserError
from core.jsonl import write_records
from prep import retrieve
from prep.card import card
from prep.retrieval.evidence import prepared
from prep.retrieval.ranking import Wanted, ranked
from prep.retrieval.reranking import Reranker, best
from prep.retrieval.settings import Rerank, Retrieve
from tests.support.cross_encoder import WORDS, save_cross_encoder
from tests.support.questions import exam
from tests.support.word_vectors import save_embedder

TEXTS = [f"소금 {WORDS[k % 8]} {WORDS[k * 3 % 7]} {WORDS[k // 4]}" for k in range(24)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reranked")
    lines = [{"id": f"d{k}", "text": text} for k, text in enumerate(TEXTS)]
    write_records(folder / "texts.jsonl", lines)
    save_cross_encoder(folder / "model")
    return folder


def settings(place: Path, **more: object) -> Retrieve:
    named = {"documents": [str(place / "texts.jsonl")], "query": "question", "k": 4}
    named |= {"rerank": {"model": str(place / "model"), "candidates": 9}}
    return Retrieve.model_validate({**named, **more})


def direct(place: Path, asked: str, texts: list[str]) -> list[float]:
    """The scores of the pairs by transformers alone, one by one."""
    tokenizer = AutoTokenizer.from_pretrained(place / "model")
    model = BertForSequenceClassification.from_pretrained(place / "model").eval()
    with torch.no_grad():
        pairs = [tokenizer(asked, text, return_tensors="pt") for text in texts]
        return [float(model(**pair).logits[0, 0]) for pair in pairs]


def test_the_order_is_that_of_its_scores(place: Path) -> None:
    found = prepared(settings(place), place / "indexes", [], seed=1)
    asked = "소금 겨울 우물"
    wanted = Wanted(asked, asked.split())
    first = ranked(wanted, found.knowledge, None, "bm25", 9)
    scores = direct(place, asked, [hit.chunk.shown for hit in first])
    expected = sorted(zip(scores, first, strict=True), key=lambda pair: -pair[0])
    said = found.settings
    got = best(wanted, found.knowledge, None, found.reranker, said, 4)
    assert [hit.chunk.id for hit in got] == [hit.chunk.id for _, hit in expected[:4]]
    assert [hit.score for hit in got] == pytest.approx([s for s, _ in expected[:4]], abs=2e-4)
    assert [hit.ranks["bm25"] for hit in got] == [first.index(hit) + 1 for _, hit in expected[:4]]
    assert [hit.words for hit in got] == [hit.words for _, hit in expected[:4]]
    assert got != first[:4]
    # more shown than candidates, a threshold of the method, and nothing found
    assert len(best(wanted, found.knowledge, None, found.reranker, said, 12)) == 12
    strict = said.model_copy(update={"threshold": first[4].score})
    few = best(wanted, found.knowledge, None, found.reranker, strict, 9)
    assert {hit.chunk.id for hit in few} == {
        hit.chunk.id for hit in first if hit.score > first[4].score
    }
    assert best(Wanted("없음", ["없음"]), found.knowledge, None, found.reranker, said, 4) == []


def test_rows_command_and_card_say_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = prepared(settings(place), place / "indexes", [], seed=1)
    asked = exam(question="소금 겨울 우물", passage="")
    expected = tuple(hit.chunk.document for hit in found.hits(asked, 4))
    assert found(asked).documents == expected
    report = {"run": "r", "stages": {}, "settings": {}, "inputs": {}, "outputs": {}, "scored": {}}
    assert "searched by bm25, put in order by" in card({**report, "evidence": found.figures()})
    named = ["--documents", str(place / "texts.jsonl"), "--index", str(place / "indexes")]
    command = ["소금 겨울 우물", *named, "--reranker", str(place / "model"), "--k", "4", "--json"]
    retrieve.main(command)
    shown = json.loads(capsys.readouterr().out)["found"]
    assert len(shown) == 4
    assert all(one["ranks"]["bm25"] for one in shown)
    assert [one["score"] for one in shown] == sorted((one["score"] for one in shown), reverse=True)


def test_what_puts_nothing_in_order_is_refused(place: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    lacking, cut_off = (save_cross_encoder(tmp_path / name) for name in ("lacking", "cut-off"))
    weights = load_file(lacking / "model.safetensors")
    for name, file in ("classifier.weight", lacking), ("bert.pooler.dense.bias", cut_off):
        kept = {key: value for key, value in weights.items() if key != name}
        save_file(kept, file / "model.safetensors", {"format": "pt"})
    (pickled / "pytorch_model.bin").write_bytes(b"")
    cases = {
        save_cross_encoder(
            tmp_path / "headless", BertModel
        ): "a BertModel, which puts nothing in order; name a",
        save_cross_encoder(
            tmp_path / "three", labels=3
        ): "a classifier of 3 labels, which puts nothing",
        save_embedder(tmp_path / "embedder"): "a model without a head, which puts nothing in order",
        lacking: "a model whose files lack classifier.weight, which puts nothing in order",
        cut_off: "a model whose files lack bert.pooler.dense.bias, which puts nothing in order",
        Path("recipes/tiny/base"): "a model that reads no pair .*, which puts nothing in order",
        pickled: "has no weights as safetensors, and others are not read",
        Path("owner/name"): "no such folder; name one under `rerank`, or give its `revision`",
    }
    for folder, sentence in cases.items():
        with pytest.raises(UserError, match=sentence) as caught:
            Reranker(Rerank(model=str(folder)))
        assert "\n" not in str(caught.value)
