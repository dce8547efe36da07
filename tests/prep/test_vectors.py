"""Documents found by meaning, and by both; what is no embedder is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import BertModel

from core.errors import UserError
from core.jsonl import write_records
from prep import retrieve
from prep.card import card
from prep.retrieval.evidence import Evidence, prepared
from prep.retrieval.knowledge import index
from prep.retrieval.ranking import Hit, Wanted, ranked
from prep.retrieval.settings import Cut, Embedder, Ranking, Retrieve
from prep.retrieval.vectors import Encoder, vectors
from tests.support.cross_encoder import save_cross_encoder
from tests.support.questions import exam
from tests.support.word_vectors import TEXTS, save_embedder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of words that each have a vector, saved by sentence-transformers."""
    return save_embedder(tmp_path_factory.mktemp("embedder"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meanings")
    write_records(folder / "texts.jsonl", [{"id": k, "text": v} for k, v in TEXTS.items()])
    return folder


def evidence(place: Path, embedder: Path, method: Ranking, **settings: object) -> Evidence:
    named = {"documents": [str(place / "texts.jsonl")], "query": "question", **settings}
    said = {**named, "method": method, "embedder": {"model": str(embedder)}}
    return prepared(Retrieve.model_validate(said), place / "indexes", [], seed=1)


def test_meaning_finds_what_no_word_does_and_both_are_joined(place: Path, embedder: Path) -> None:
    dense = evidence(place, embedder, "dense")

    def found(text: str, words: list[str], method: Ranking, threshold: float = 0) -> list[Hit]:
        asked = Wanted(text, words)
        return ranked(asked, dense.knowledge, dense.vectors, method, 3, threshold)

    assert found("시계", ["시계"], "bm25") == []
    best, second = found("시계", ["시계"], "dense")
    assert (best.chunk.document, second.chunk.document) == ("clock", "well")
    assert best.score == pytest.approx(0.9999, abs=0.0005)  # a cosine
    assert found("시계", ["시계"], "dense", 0.9) == [best]
    first, other, last = found("시계 소금", ["시계", "소금"], "fusion")
    assert (first.chunk.document, first.ranks) == ("market", {"bm25": 1, "dense": 2})
    assert first.score == pytest.approx(1 / 61 + 1 / 62, abs=1e-6)
    assert (other.chunk.document, other.ranks, other.words) == ("clock", {"dense": 1}, {})
    assert (last.chunk.document, set(first.words)) == ("well", {"소금"})
    without = dense.knowledge.without(["clock"])
    [left] = ranked(Wanted("시계", []), without, dense.vectors, "dense", 3)
    assert left.chunk.document == "well"


def test_rows_and_card_say_by_which_model(place: Path, embedder: Path) -> None:
    both = evidence(place, embedder, "fusion", k=1)
    assert both(exam(question="시계", passage="")).documents == ("clock",)
    figures = both.figures()
    assert figures["vectors"]["model"] == str(embedder)
    report = {"run": "r", "stages": {}, "settings": {}, "inputs": {}, "outputs": {}, "scored": {}}
    page = card({**report, "evidence": figures})
    assert f"searched by fusion (vectors `{figures['vectors']['index']}` of" in page


def test_vectors_are_made_once_and_refused_where_they_are_anothers(
    place: Path, embedder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks, said = list(TEXTS.values()), Embedder(model=str(embedder))
    first = vectors(chunks, "of", said, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "documents", None)
        again = vectors(chunks, "of", said, tmp_path)
    assert np.array_equal(first.matrix, again.matrix)
    other = vectors(chunks, "of", said.model_copy(update={"document": "소금 "}), tmp_path)
    assert other.name != first.name
    assert not np.array_equal(first.matrix, other.matrix)
    (tmp_path / first.name / "vectors.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"differs in vectors\.npy\); move it away"):
        vectors(chunks, "of", said, tmp_path)


def test_a_language_model_is_an_embedder_too(place: Path) -> None:
    tiny = Encoder(Embedder(model="recipes/tiny/base"))
    one, other = tiny.documents(list(TEXTS.values())[:2])
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(one, other)


def test_what_is_no_embedder_is_refused_in_one_sentence(
    place: Path, embedder: Path, tmp_path: Path
) -> None:
    pickled, strange = tmp_path / "pickled", tmp_path / "strange"
    pickled.mkdir()
    (pickled / "pytorch_model.bin").write_bytes(b"")
    strange.mkdir()
    for path in embedder.iterdir():
        (strange / path.name).write_bytes(path.read_bytes())
    modules = json.loads((strange / "modules.json").read_text("utf-8"))
    (strange / "modules.json").write_text(json.dumps([{**modules[0], "type": "mine.Model"}]))
    (strange / "mine.py").write_text("raise SystemExit('code of a model was run')")
    lacking, whole = (
        save_cross_encoder(tmp_path / name, BertModel) for name in ("cut-off", "whole")
    )
    weights = load_file(whole / "model.safetensors")
    for name, file in ("embeddings.word_embeddings.weight", lacking), ("pooler.dense.bias", whole):
        kept = {key: value for key, value in weights.items() if key != name}
        save_file(kept, file / "model.safetensors", {"format": "pt"})
    Encoder(Embedder(model=str(whole)))  # what it lacks makes no vector
    cases = {
        str(lacking): r"its files lack embeddings\.word_embeddings\.weight, without which no text",
        "none": "none: no such model folder; name a folder of a model of sentence-transformers",
        "owner/name": "owner/name: no such folder; name one under `embedder`, or give",
        str(pickled): "has no weights as safetensors, and others are not read; save them so",
        str(strange): "sentence-transformers cannot load it .*mine.Model",
    }
    for model, sentence in cases.items():
        with pytest.raises(UserError, match=sentence) as caught:
            Encoder(Embedder(model=model))
        assert "\n" not in str(caught.value)
    offline = Embedder(model="owner/name", revision="0" * 40)
    with pytest.raises(
        UserError, match=r"owner/name: neither a folder here nor a model that can be downloaded"
    ):
        Encoder(offline)
    for wrong in ({"method": "dense"}, {"embedder": {"model": "m"}}):
        with pytest.raises(ValueError, match="dense and fusion need an `embedder`, and bm25 has"):
            Retrieve.model_validate({"documents": ["d"], **wrong})


def test_the_command_says_the_ranks(
    place: Path, embedder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--documents", str(place / "texts.jsonl"), "--index", str(place / "indexes")]
    retrieve.main(
        ["시계 소금", *named, "--method", "fusion", "--embedder", str(embedder), "--json"]
    )
    found = json.loads(capsys.readouterr().out)["found"]
    assert [one["ranks"] for one in found][:2] == [{"bm25": 1, "dense": 2}, {"dense": 1}]
    retrieve.main(["시계 소금", *named, "--method", "fusion", "--embedder", str(embedder)])
    assert "dense: rank 1" in capsys.readouterr().out
    with pytest.raises(UserError, match="dense and fusion need an `embedder`"):
        retrieve.main(["시계", *named, "--method", "dense"])


def test_an_index_of_words_is_the_same_with_and_without_vectors(
    place: Path, embedder: Path
) -> None:
    alone = index([str(place / "texts.jsonl")], Cut(), place / "indexes")
    assert evidence(place, embedder, "dense").knowledge.name == alone.name
