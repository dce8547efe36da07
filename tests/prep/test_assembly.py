"""What a run may ask of a build: a track, cleaning, folds, preferences, lengths."""

import csv
import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.jsonl import dump, validated
from prep.assembly import Build, build
from prep.config import Run
from tests.support.build_place import TOPICS, Place, item
from tests.support.build_place import dump as dump_json
from tests.support.paths import ROOT

SYLLABLES = [chr(code) for code in range(0xAC00, 0xD7A4)]

MIXED = {"source": "cci-2024", "name": "more", "path": "more.json", "licence": "made"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


def built(place: Place, *stages: str, **changes: Any) -> Build:
    run = validated({**place.run, "out": "data/run", **changes}, Run, "run")
    return build("made", run, stages or list(run.stages))


def lines(done: Build, name: str) -> list[str]:
    return [dump(record) for record in done.files[name]]


def test_track_ga_takes_the_corpus_alone(place: Place) -> None:
    done = built(place, "stage2", track="ga", orders="published")
    assert len(done.files["stage2.jsonl"]) == 4
    with pytest.raises(UserError, match="talks: track 가 allows no data besides the corpus"):
        built(place, track="ga", orders="published")
    with pytest.raises(UserError, match="orders all: track 가 allows no augmentation"):
        built(place, "stage2", track="ga")
    twice = {"one": [{"source": "cci-2024", "weight": 2}], "two": [{"source": "cci-2024"}]}
    with pytest.raises(UserError, match="cci-2024, weight 2: track 가 allows no augmentation"):
        built(place, track="ga", orders="published", stages=twice)
    dump_json(place.folder / "more.json", [item("more", 20, "낯선 골목길")])
    with pytest.raises(UserError, match="more: track 가 allows no data besides the corpus"):
        built(place, track="ga", orders="published", stages={"s": [MIXED]})


def test_what_nobody_has_looked_up_is_said(place: Place) -> None:
    notes = " ".join(built(place, track="na").notes)
    assert "talks: licence unknown" in notes
    mix = [{"source": "cci-2024", "licence": "made for this", "non_commercial": False}]
    done = built(place, stages={"s": mix})
    assert not [note for note in done.notes if "licence" in note]
    assert done.report["sources"]["cci-2024"]["licence"] == "made for this"


def test_cleaning_reaches_every_split_and_is_listed(place: Place) -> None:
    for split in ("train", "dev", "test"):
        file = place.folder / f"corpus/{split}.json"
        items = json.loads(file.read_text(encoding="utf-8"))
        for one in items:
            one["input"]["conversation"][1]["utterance"] = "ㅋㅋㅋㅋㅋㅋ 저도 8:30에 갈게요."
            one["input"]["conversation"][0]["utterance"] = one["input"]["inference_2"]
        dump_json(file, items)
    raw = built(place, "stage2")
    done = built(place, "stage2", clean="maerak")
    for name in ("stage2.jsonl", "dev.jsonl", "test.jsonl"):
        assert all("ㅋㅋㅋㅋㅋㅋ 저도 8:30에" in line for line in lines(raw, name))
        assert all("8:30에 갈게요" in line and "ㅋㅋㅋ" not in line for line in lines(done, name))
    changes = [change for change in done.files["changed.jsonl"] if change.reason == "laughter"]
    assert {change.split for change in changes} == {"train", "dev", "test"}
    assert len(changes) == 6 + 2 + 2  # each once, however often it is read
    assert done.report["scored"]["test"]["cleaned"] == 2
    assert done.report["settings"]["clean"] == "maerak"


def of_one_category(place: Place) -> None:
    """Enough training questions of a category to be folded."""
    train = [item("train", k, topic) for k, topic in enumerate(TOPICS)]
    for one in train:
        one["input"]["category"] = "원인"
    dump_json(place.folder / "corpus/train.json", train)


def test_folds_and_preferences_of_the_corpus(place: Place) -> None:
    of_one_category(place)
    done = built(place, folds=2, preferences=True, orders="published")
    kept = {row.id for row in done.files["stage2.jsonl"]}
    folds = [{row.id for row in done.files[f"folds/{k}/dev.jsonl"]} for k in range(2)]
    assert folds[0] | folds[1] == kept
    assert not folds[0] & folds[1]
    assert {row.id for row in done.files["folds/0/train.jsonl"]} == folds[1]
    assert {row.id for row in done.files["preferences.jsonl"]} == kept
    assert all(one.answer == "B" and one.wrong in (0, 2) for one in done.files["preferences.jsonl"])
    (place.folder / "p.jsonl").write_text(
        "".join(
            json.dumps({"id": f"train-{k}", "order": [0, 1, 2], "logprobs": v, "choice": 1}) + "\n"
            for k, v in enumerate([[-3.0, -0.1, -2.0]] * 6)
        )
    )
    hard = built(place, preferences="p.jsonl", orders="published").files["preferences.jsonl"]
    assert [one.wrong for one in hard] == [2] * len(kept)


def test_near_dialogues_stay_in_one_fold(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # every dialogue has a twin under another name, with other options
    topics = ("동네 빵집", "낡은 자전거", "겨울 바다", "주말 농장", "할머니의 편지", "새벽 시장")
    train = [item("train", k, topic) for k, topic in enumerate(topics)]
    text = json.dumps(train, ensure_ascii=False).replace("보여 주세요", "보여주세요")
    twins = json.loads(text.replace("train-", "twin-"))
    both = [*train, *twins]
    for one, (said, thought) in zip(both, product(("웃었다", "울었다"), topics), strict=True):
        one["input"]["category"] = "원인"
        one["input"]["inference_1"] = f"화자1은 {thought} 앞에서 오래 {said}."
        one["input"]["inference_3"] = f"화자2가 {said}는 소문은 {thought}까지 퍼졌다."
    dump_json(place.folder / "corpus/train.json", both)

    def in_one_fold() -> int:
        files = built(place, "stage2", folds=2, orders="published").files
        fold = {row.id: k for k in range(2) for row in files[f"folds/{k}/dev.jsonl"]}
        assert len(fold) == len(both)
        return sum(fold[f"train-{k}"] == fold[f"twin-{k}"] for k in range(len(topics)))

    assert in_one_fold() == len(topics)
    monkeypatch.setattr("prep.assembly.near_contexts", lambda questions, method: [])
    assert in_one_fold() < len(topics)  # the twins are apart where nothing holds them together


@pytest.mark.parametrize(("kind", "count"), [("cyclic", 3), ("all", 6)])
def test_scored_questions_may_be_shown_in_other_orders(place: Place, kind: str, count: int) -> None:
    of_one_category(place)
    plain = built(place, "stage2", folds=2)
    assert not [name for name in plain.files if ".orders." in name]
    done = built(place, "stage2", folds=2, scoring_orders=kind)
    for name in ("dev", "test", "folds/0/dev", "folds/1/dev"):
        assert lines(done, f"{name}.jsonl") == lines(plain, f"{name}.jsonl")
        rows = done.files[f"{name}.jsonl"]
        others = done.files[f"{name}.orders.jsonl"]
        assert [one.record for one in others] == [r.id for r in rows for _ in range(count)]
        # the first is the published order, under an id of its own
        assert [r.model_copy(update={"id": r.record}) for r in others[::count]] == rows
    assert lines(done, "stage2.jsonl") == lines(plain, "stage2.jsonl")
    for name in done.files.keys() - {"removed.jsonl", "changed.jsonl", "questions.jsonl"}:
        scored = [r for r in done.files[name] if r.messages[-1].role == "user"]
        for row in scored:
            assert row.messages[-1].content.endswith(
                "\n".join(f"{a}. {b}" for a, b in zip(row.labels, row.options, strict=True))
            )
        assert all(row.options is None for row in done.files[name] if row not in scored)
    assert done.report["settings"]["scoring_orders"] == kind


def test_rows_too_long_for_a_recipe_are_removed_and_lengths_reported(place: Place) -> None:
    recipe = place.folder / "short.yml"
    lengths = {"recipes": {"stage2": "short.yml"}, "tokenizer": str(ROOT / "recipes/tiny/base")}
    recipe.write_text("base_model: none\nchat_template: alpaca\nsequence_len: 512\n")
    *_, every = built(place, lengths=lengths).report["stages"]["stage2"]["tokens"]
    limit = every["max"] - 1
    recipe.write_text(f"base_model: none\nchat_template: alpaca\nsequence_len: {limit}\n")
    done = built(place, lengths=lengths)
    gone = [one.id for one in done.files["removed.jsonl"] if one.reason == "too-long"]
    [about] = [one for one in done.report["stages"]["stage2"]["tokens"] if one["source"] == "all"]
    assert about["max"] <= limit
    assert about["over"] == 0
    assert gone
    uncut = built(place, lengths={**lengths, "recipes": {"stage1": "short.yml"}})
    assert "tokens" not in uncut.report["stages"]["stage2"]
    assert len(uncut.files["stage2.jsonl"]) == len(done.files["stage2.jsonl"]) + 6 * len(gone)


def test_dev_may_be_held_out_of_train_by_dialogue(place: Place) -> None:
    train = [item("train", k, topic) for k, topic in enumerate(TOPICS)]
    again = [json.loads(json.dumps(one).replace('"train-', '"again-')) for one in train]
    for one in [*train, *again]:
        one["input"]["category"] = "원인"
    for one in again:
        one["input"]["inference_1"] = "화자1은 길을 잃었다."
    dump_json(place.folder / "corpus/train.json", train + again)
    corpus = {"train": "corpus/train.json", "test": "corpus/test.json", "dev_share": 0.2}
    done = built(place, "stage2", corpus=corpus, orders="published")
    dev = {row.group for row in done.files["dev.jsonl"]}
    assert dev
    assert not dev & {row.group for row in done.files["stage2.jsonl"]}
    read = done.report["stages"]["stage2"]["sources"]["cci-2024"]["read"]
    assert read + done.report["scored"]["dev"]["read"] == 10
    assert not done.files["removed.jsonl"]


@pytest.mark.parametrize("count", [10, 1])
def test_what_is_near_to_a_held_out_passage_is_held_out_too(place: Place, count: int) -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.sample(SYLLABLES, 30)) for _ in range(count)]
    rows = [
        (text, f"{k}번째 마을에서 {n}명이 살았다.")
        for k, text in enumerate(texts)
        for n in (2, 3, 4)
    ]
    with (place.folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "paragraph", "problems", "question_plus"])
        for k, (text, last) in enumerate(rows):
            problem = {"question": "누가 살았는가?", "choices": ["어부", "농부"], "answer": 1}
            table.writerow([f"train-{k}", f"{text} {last}", str(problem), ""])
    corpus = {"source": "exam", "train": "train.csv", "dev_share": 0.3}
    settings = {"corpus": corpus, "orders": "published", "prompt": "exam"}
    settings["stages"] = {"s": [{"source": "exam"}]}
    if count == 1:
        with pytest.raises(UserError, match="cannot be held out of 1 dialogues or passages"):
            built(place, **settings)
        return
    done = built(place, **settings)
    assert not done.files["removed.jsonl"]
    assert len(done.files["dev.jsonl"]) in range(6, 16)
    assert len(done.files["dev.jsonl"]) + len(done.files["s.jsonl"]) == len(rows)


def test_an_exam_may_be_the_corpus(place: Place) -> None:
    for split, answer in (("train", 2), ("test", "")):
        with (place.folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "paragraph", "problems", "question_plus"])
            for k, topic in enumerate(TOPICS):
                problem = {"question": f"{split} {topic}에 대한 설명으로 알맞은 것은?"}
                problem |= {"choices": [f"{topic} {n}" for n in range(4 + k % 2)], "answer": answer}
                text = f"{split}의 글이다. {topic}에 관하여 길게 적은 {k}째 단락이다."
                rows.writerow([f"{split}-{k}", text, str(problem), ""])
    corpus = {"source": "exam", "train": "train.csv", "test": "test.csv"}
    stages = {"s": [{"source": "exam"}]}
    done = built(place, corpus=corpus, prompt="exam", stages=stages, orders="balanced")
    assert [len(row.labels) for row in done.files["test.jsonl"]] == [4, 5, 4, 5, 4]
    assert {row.answer for row in done.files["test.jsonl"]} == {None}
    assert len(done.files["s.jsonl"]) == 5
    with pytest.raises(ValueError, match="cci-2024 needs either a path or a hub name"):
        Run.model_validate(
            {**place.run, "out": "x", "corpus": corpus, "stages": {"s": [{"source": "cci-2024"}]}}
        )
