"""The demo's corpora: learnable only through the dialogue, and nothing shared between splits."""

import json
import subprocess
import sys
from collections import Counter
from itertools import combinations

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from statsmodels.stats.proportion import proportion_confint

from core.errors import UserError
from core.records import CATEGORIES
from prep.demo.exercises import CURRICULUM, exercises
from prep.demo.grammar import BORDER, BROAD, TARGET, split_of
from prep.demo.synthetic import SIZES, corpus
from prep.sources import cci


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("raw")
    subprocess.run([sys.executable, "prep/demo/synthetic.py", "--out", str(out)], check=True)
    return out


@pytest.fixture(scope="module")
def splits(folder):
    return {split: cci.read(folder / f"{split}.json", split)[0] for split in SIZES}


def things_of(question):
    known = {thing for kind in TARGET.values() for thing in kind.things}
    text = " ".join(turn.text for turn in question.turns)
    return frozenset(thing for thing in known if thing in text)


def test_reads_as_the_institutes_file_in_the_sizes_stated(splits):
    assert {split: len(found) for split, found in splits.items()} == {
        split: 2 * count for split, count in SIZES.items()
    }
    for found in splits.values():
        assert Counter(q.category for q in found) == dict.fromkeys(
            CATEGORIES, len(found) // len(CATEGORIES)
        )


def test_no_dialogue_is_shared_within_or_between_splits(splits):
    dialogues = Counter(
        tuple((turn.speaker, turn.text) for turn in q.turns)
        for found in splits.values()
        for q in found
    )
    assert set(dialogues.values()) == {2}  # the two questions of one dialogue


def test_no_pair_of_things_is_shared_between_splits(splits):
    pairs = {split: {things_of(q) for q in found} for split, found in splits.items()}
    for one, other in combinations(pairs, 2):
        assert not pairs[one] & pairs[other]
    assert all(len(pair) == 2 for found in pairs.values() for pair in found)


def test_the_things_of_target_and_broad_differ():
    target = {thing for kind in TARGET.values() for thing in kind.things}
    broad = {thing for kind in BROAD.values() for thing in kind.things}
    assert not target & broad


def test_the_right_option_names_speaker_and_thing_of_the_reference(splits):
    for question in splits["test"]:
        (focus,) = (turn for turn in question.turns if turn.id in question.focus)
        matches = [
            k
            for k, option in enumerate(question.options)
            if focus.speaker in option
            and any(t in option for t in things_of(question) if t in focus.text)
        ]
        assert matches == [question.answer]


def test_labels_are_uniform(splits):
    answers = Counter(q.answer for found in splits.values() for q in found)
    total = sum(answers.values())
    for count in answers.values():
        low, high = proportion_confint(count, total, alpha=0.01, method="wilson")
        assert low < 1 / 3 < high


def test_naive_bayes_that_sees_the_options_alone_stays_at_chance(splits):
    """Each option as a text of its own and next to the others; the most probable one is chosen."""

    def features(question):
        sets = [set(option.split()) for option in question.options]
        for k, words in enumerate(sets):
            others = sum(len(words & other) for j, other in enumerate(sets) if j != k)
            pairs = (f"{a}_{b}" for a, b in combinations(sorted(words), 2))
            yield " ".join([*words, *pairs, f"shared{others}", f"place{k}"])

    train, test = splits["train"], splits["test"] + splits["dev"]
    bag = CountVectorizer(token_pattern=r"\S+", binary=True)
    seen = bag.fit_transform([text for q in train for text in features(q)])
    model = MultinomialNB().fit(seen, [k == q.answer for q in train for k in range(3)])
    scores = model.predict_log_proba(bag.transform([t for q in test for t in features(q)]))
    margins = (scores[:, 1] - scores[:, 0]).reshape(-1, 3)
    right = int((margins.argmax(1) == [q.answer for q in test]).sum())
    low, high = proportion_confint(right, len(test), alpha=0.01, method="wilson")
    assert low < 1 / 3 < high


def test_the_same_seed_gives_the_same_bytes_and_another_other_ones(folder, tmp_path):
    for seed, same in (("2024", True), ("7", False)):
        command = [sys.executable, "prep/demo/synthetic.py", "--out", str(tmp_path), "--seed", seed]
        subprocess.run(command, check=True)
        for path in folder.iterdir():
            assert (path.read_bytes() == (tmp_path / path.name).read_bytes()) is same, path.name


def test_borders_are_in_no_file(folder):
    assert all(BORDER not in path.read_text("utf-8") for path in folder.iterdir())


def test_more_dialogues_than_the_grammar_holds_are_refused(monkeypatch):
    monkeypatch.setattr(
        "prep.demo.synthetic.PATIENCE", 2
    )  # twice in a row the same, not for minutes
    with pytest.raises(UserError, match="different target dialogues for test; ask for fewer"):
        corpus("test", 1_000_000, seed=1)


def test_exercises_show_no_held_out_pair_and_no_dialogue():
    known = {thing for kind in TARGET.values() for thing in kind.things}
    shown = set()
    for exercise in exercises(2024, 3000):
        text = json.dumps(exercise, ensure_ascii=False)
        assert "[Conversation]" not in text
        assert not any(category in text for category in CATEGORIES)
        shown |= set(combinations(sorted(t for t in known if t in text), 2))
    assert shown
    assert {split_of(frozenset(pair)) for pair in shown} == {"train"}


def test_the_curriculum_is_complete():
    assert sum(share for share, _ in CURRICULUM) == pytest.approx(1)
    assert all(sum(mix.values()) == pytest.approx(1) for _, mix in CURRICULUM)
