"""Signatures, what is a duplicate of what, the keep rule, and inputs that break others."""

import random
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from simhash import Simhash as Package

from bench.pairs import Maker, collection
from prep.dedup import Document, Method, MinHash, Near, Simhash, copies, duplicates, near_any
from prep.dedup import simhash as bits_of
from prep.dedup.minhash import gram_set, jaccard
from prep.dedup.ngrams import GRAM, gram_hashes, kept, kept_characters
from tests.support.texts import LONG, NEAR, OTHER, prose

METHODS = [Simhash(), Simhash(hard_negatives="remove"), MinHash()]
ODD = [
    "",
    "a",
    "네",
    " \n",
    "?!…",
    "🙂🙂🙂🙂",
    "\0\0",
    "\ud800",
    "ㅋ" * 100_000,
    "네\0네네네\ud800네",
]


def items(texts: list[str]) -> list[Document]:
    return [Document(text, 0, f"{i:06}") for i, text in enumerate(texts)]


def gone(texts: list[str], method: Method) -> dict[int, int]:
    return {i: near.kept for i, near in duplicates(items(texts), method).removed.items()}


def plain_signature(text: str) -> int:
    """The definition, one gram after another."""
    hashes = gram_hashes(kept([text]).codes).tolist()
    return sum(1 << b for b in range(64) if 2 * sum(h >> b & 1 for h in hashes) > len(hashes))


texts_of_all_kinds = st.lists(
    st.text(st.characters(codec=None) | st.sampled_from("가나다_ .1Σσİß\ud800\0"), max_size=40)
    | st.integers(3, 1200).map(lambda n: "ㅋㅋ하" * n),
    max_size=8,
)


@pytest.mark.slow
@given(texts_of_all_kinds)
@settings(max_examples=150)
def test_a_batch_is_signed_as_its_texts_alone(texts: list[str]) -> None:
    signs, grams = bits_of.sign(texts)
    part = kept(texts)
    for i, text in enumerate(texts):
        compared = "".join(map(chr, part.codes[part.starts[i] : part.ends[i]]))
        assert compared == kept_characters(text)
        assert grams[i] == max(0, len(compared) - GRAM + 1)
        assert signs[i] == (plain_signature(text) if grams[i] else 0)


def test_slabs_and_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [prose(seed, 3 * seed) for seed in range(40)] + ["네", LONG]
    together = bits_of.sign(texts)
    monkeypatch.setattr("prep.dedup.simhash.SLAB", 1)
    monkeypatch.setattr("prep.dedup.simhash.batches", lambda texts: ([text] for text in texts))
    alone = bits_of.sign(texts)
    assert together[0].tolist() == alone[0].tolist()
    assert together[1].tolist() == alone[1].tolist()


@pytest.mark.slow
def test_compatible_signatures_are_the_packages_own() -> None:
    maker = Maker(5, pool=2000)
    rng = random.Random(5)
    texts = [record.text for record in collection(300, 5)]
    texts += [maker.copy(maker.document(rng.randint(20, 300)), "marks") for _ in range(700)]
    texts += ["Ab_c ΑΣ, ΣΑΣ! ÅŠÉ 中文字符 12_34", "İstanbul'da", "ㅋ" * 258, "a\0b\ud800c1d"]
    signs, _ = bits_of.sign(texts, compatible=True)
    assert signs.tolist() == [Package(text).value for text in texts]


def test_a_signature_is_blind_to_spaces_marks_case_and_composition() -> None:
    assert kept_characters(" Ab,  다_라! \n") == "ab다라"
    loose = unicodedata.normalize("NFD", LONG.replace(" ", "  ").replace(".", "!?"))
    (a, b), _ = bits_of.sign([LONG, loose])
    assert a == b


def test_the_fixtures_are_near_and_far() -> None:
    (a, b, c), _ = bits_of.sign([LONG, NEAR, OTHER])
    assert 0 < bits_of.distance(a, b) <= 3 < 10 < bits_of.distance(a, c)
    assert 0.98 < jaccard(gram_set(LONG), gram_set(NEAR)) < 1
    assert jaccard(gram_set(LONG), gram_set(OTHER)) == 0


@pytest.mark.parametrize("method", METHODS)
def test_the_first_source_the_longer_and_the_smaller_id_stay(method: Method) -> None:
    listed = [
        Document(LONG, 1, "b"),
        Document(LONG, 1, "a"),
        Document(NEAR, 0, "z"),
        Document(OTHER, 0, "c"),
        Document(OTHER + " 꼭", 0, "d"),
        Document("네", 0, "e"),
        Document("네!", 0, "f"),
        Document("네", 0, "g"),
    ]
    result = duplicates(listed, method)
    kept_by = {i: (near.kept, near.reason) for i, near in result.removed.items()}
    assert kept_by == {
        0: (2, "near-duplicate"),
        1: (2, "near-duplicate"),
        3: (4, "near-duplicate"),
        7: (5, "exact-duplicate"),
    }
    assert result.clusters == [[4, 3], [2, 1, 0], [5, 7]] or sorted(result.clusters) == [
        [2, 1, 0],
        [4, 3],
        [5, 7],
    ]
    assert result.counts["short"] == 2


def test_what_a_removal_tells() -> None:
    assert duplicates(items([LONG, LONG, NEAR]), MinHash()).removed == {
        1: Near(0, "exact-duplicate", similarity=1.0),
        2: Near(0, "near-duplicate", similarity=jaccard(gram_set(LONG), gram_set(NEAR))),
    }
    near = duplicates(items([LONG, NEAR]), Simhash()).removed[1]
    assert near.similarity is None
    assert 0 < (near.distance or 0) <= 3


COLLECTION = [
    Document(record.text, rank % 3, f"{rank:05}") for rank, record in enumerate(collection(400, 3))
] + [Document(text, 0, f"odd-{rank}") for rank, text in enumerate(["네", "네", "네.", "", ""])]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=8)
def test_nothing_depends_on_the_order(method: Method, seed: int) -> None:
    def by_id(listed: list[Document]) -> tuple[object, ...]:
        result = duplicates(listed, method)
        removed = {
            listed[i].id: (listed[n.kept].id, n.reason, n.distance, n.similarity)
            for i, n in result.removed.items()
        }
        clusters = [[listed[i].id for i in cluster] for cluster in result.clusters]
        return removed, clusters, result.counts

    shuffled = list(COLLECTION)
    random.Random(seed).shuffle(shuffled)
    assert by_id(shuffled) == by_id(COLLECTION)


@pytest.mark.parametrize("method", METHODS)
def test_every_removed_text_stands_near_one_that_stays(method: Method) -> None:
    result = duplicates(COLLECTION, method)
    places = [i for cluster in result.clusters for i in cluster]
    assert len(set(places)) == len(places)
    assert len(result.removed) > 30
    cluster_of = {i: n for n, cluster in enumerate(result.clusters) for i in cluster}
    for i, near in result.removed.items():
        assert near.kept not in result.removed
        assert cluster_of[i] == cluster_of[near.kept]


def test_a_removed_text_removes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0 - 1 - 2 is a chain: 1 is removed because of 0, and 2, which is near to 1 alone, stays
    signs = {"a": 0b0000, "b": 0b0011, "c": 0b1111, "d": 0b0011}
    monkeypatch.setattr(
        "prep.dedup.simhash.sign",
        lambda texts, _: (
            np.array([signs[t] for t in texts], np.uint64),
            np.ones(len(texts), np.int64),
        ),
    )
    result = duplicates(items([*signs]), Simhash(bits=2, hard_negatives="remove"))
    assert {i: near.kept for i, near in result.removed.items()} == {1: 0, 3: 0}
    assert result.clusters == [[0, 1, 2, 3]]


def test_the_packages_way_finds_the_same_within_three_bits() -> None:
    texts = [item.text for item in COLLECTION]
    values = [Package(unicodedata.normalize("NFC", text)).value for text in texts]
    found = gone(texts, Simhash(compatible=True, hard_negatives="remove"))
    for i, j in found.items():
        assert (values[i] ^ values[j]).bit_count() <= 3
    stay = [i for i in range(len(texts)) if i not in found and len(kept_characters(texts[i])) > 3]
    assert all(
        (values[i] ^ values[j]).bit_count() > 3 for n, i in enumerate(stay) for j in stay[:n]
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_record_that_differs_in_a_number_alone_stays(method: Method) -> None:
    changed = (
        "  ".join([LONG, "내일 3시에 만나요", OTHER]),
        "  ".join([LONG, "내일 4시에 만나요", OTHER]),
    )
    removes = method.hard_negatives == "remove"
    result = duplicates(items(list(changed)), method)
    assert len(result.removed) == removes
    assert result.counts["refused"] == (not removes)
    spaced = [changed[0], changed[0].replace("  ", " ")]
    assert gone(spaced, method) == {1: 0}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_odd_inputs_finish_and_are_counted(method: Method) -> None:
    big = (OTHER * 5100)[:10_000_000]
    texts = [*ODD, *ODD, "ㅋ" * 300, big, unicodedata.normalize("NFD", LONG), LONG]
    result = duplicates(items(texts), method)
    seen = [i for i in range(len(ODD)) if ODD[i].strip(" \n\0")]
    exact = {i + len(ODD): i for i in seen} | dict.fromkeys((3, 6, 10, 13, 16), 0)
    assert {i: n.kept for i, n in result.removed.items()} == exact | {20: 8, 23: 22}
    assert result.counts["short"] == 6


@pytest.mark.slow
def test_a_million_identical_rows_and_many_of_one_form() -> None:
    assert len(duplicates([Document(LONG, 0, "same")] * 1_000_000, Simhash()).removed) == 999_999
    marked = [prose(4, 60) + "!" * n for n in range(3000)]
    for method in METHODS:
        found = gone(marked, method)
        assert found == dict.fromkeys(range(2999), 2999)


@pytest.mark.slow
def test_many_that_differ_in_a_number_are_not_compared_all_with_all() -> None:
    texts = [f"{prose(1, 300)} {n}번" for n in range(400)]
    result = duplicates(items([*texts, texts[123].replace(" ", "")]), MinHash())
    assert {i: near.kept for i, near in result.removed.items()} == {400: 123}
    counts = result.counts
    assert 400 < counts["refused"] == counts["verified"] <= 400 * 20
    assert counts["crowded"] > 300


def test_near_a_scored_text_a_change_is_no_excuse() -> None:
    scored = [OTHER, f"{LONG} 3시에", "음", "네"]
    asked = ["네", "네.", "응", f"{LONG} 4시에", NEAR, "네", unicodedata.normalize("NFD", OTHER)]
    for method in (Simhash(bits=4), MinHash()):
        assert near_any(asked, scored, method) == {0: 3, 3: 1, 4: 1, 5: 3, 6: 0}
        assert near_any(asked, [], method) == near_any([], scored, method) == {}
    assert copies(["네", "응", "네", "네"]) == {2: 0, 3: 0}


def test_methods_as_a_configuration_names_them() -> None:
    read = TypeAdapter(Method).validate_python
    assert read({"method": "minhash", "similarity": 0.8}) == MinHash(similarity=0.8)
    assert read({"method": "simhash", "bits": 6}).bits == 6
    for wrong in ({"method": "simhash", "bits": 8}, {"method": "minhash", "bits": 3}, {}):
        with pytest.raises(ValidationError):
            read(wrong)


def test_thresholds_by_length() -> None:
    steps = MinHash()._threshold(np.array([1, 69, 70, 249, 250, 10**7]))
    assert steps.tolist() == [0.55, 0.55, 0.7, 0.7, 0.8, 0.8]
    assert MinHash(similarity=0.9)._threshold(np.array([5]))[0] == 0.9
