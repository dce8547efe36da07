"""Prediction files as columns: pyarrow gives what the strict reader gives, or nothing."""

import json
import math
import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from core.errors import UserError
from core.files import sha256
from core.jsonl import write_json
from core.records import Prediction
from ensemble import member_answers
from ensemble.member_answers import Items, MemberAnswers
from eval import predictions
from eval.options import choose

OPTIONS = (3, 2, 5, 4, 3, 3)


def made(seed: int, plain: bool = False) -> list[Prediction]:
    """Predictions of all forms that are written: tiny and great numbers, none, no answer."""
    rng = random.Random(seed)
    unlikely = [-25.5, -123456.654321, -7.0, -12.25]
    certain = [0.0, -0.0, -1e-06, -1e-05, -1e-22]
    found = []
    for number, options in enumerate(OPTIONS):
        share = rng.uniform(0.1, 0.9)
        logprobs = [rng.choice(unlikely) for _ in range(options)]
        if rng.random() < 0.5:
            logprobs[:2] = [round(math.log(one), 6) for one in (share, 1 - share)]
        else:
            logprobs[0] = rng.choice(certain)
        rng.shuffle(logprobs)
        found.append(
            Prediction(
                id=f'합성-"{number}\\',
                order=rng.sample(range(options), options),
                logprobs=None if plain or rng.random() < 0.2 else logprobs,
                choice=None if rng.random() < 0.2 else choose(logprobs),
            )
        )
    return found


def save(path: Path, given: list[Prediction]) -> Items:
    data = {"path": "test.jsonl", "sha256": "0", "rows": len(given)}
    predictions.write(path, given, {"method": "letter", "data": data})
    return Items([one.id for one in given], np.array(OPTIONS, np.int8), Path("test.json"))


def alike(one: MemberAnswers, other: MemberAnswers) -> bool:
    if (one.logprobs is None) != (other.logprobs is None):
        return False
    same = one.logprobs is None or (
        one.logprobs.tobytes() == other.logprobs.tobytes()  # also the sign of 0 and every NaN
    )
    return bool((one.choice == other.choice).all()) and same


def read_strictly(path: Path, items: Items, patch: pytest.MonkeyPatch) -> MemberAnswers:
    """As `member_answers.read`, never by pyarrow."""
    with patch.context() as only:
        only.setattr(member_answers, "columns", lambda data, items: None)
        return member_answers.read(path, items)


@pytest.mark.parametrize("plain", [False, True])
def test_pyarrow_reads_what_the_strict_reader_reads(
    tmp_path: Path, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    for seed in range(40):
        items = save(path, made(seed, plain))
        strictly = read_strictly(path, items, monkeypatch)
        assert alike(member_answers.columns(path.read_bytes(), items), strictly)
        assert alike(member_answers.read(path, items), strictly)


CHANGES = [
    ("-25.5", "-25,5"),
    ("-25.5", "-025.5"),
    ("-25.5", "-25."),
    ("-25.5", "-.5"),
    ("-25.5", "NaN"),
    ("-25.5", "-Infinity"),
    ("-25.5", "-1e400"),
    ("-25.5", "-1e999999999999999999999"),
    ("-25.5", "null"),
    ("-25.5", '"-25.5"'),
    ("-25.5", "-25.5, -9.0"),
    ("-25.5, ", ""),
    ("-25.5", "-2.0"),
    ("-25.5", "25.5"),
    ('"order": [0, 1, 2]', '"order": [0, 1, 1]'),
    ('"order": [0, 1, 2]', '"order": [0, 1]'),
    ('"order": [0, 1, 2]', '"order": [0, 1, 3]'),
    ('"order": [0, 1, 2]', '"order": null'),
    ('"choice": 0', '"choice": 2'),
    ('"choice": 0', '"choice": 3'),
    ('"choice": 0', '"choice": -1'),
    ('"choice": 0', '"choice": 0.5'),
    ('"choice": 0', '"choice": 0.0'),
    ('"choice": 0', '"choice": 256'),
    ('"choice": 0', '"choice": 0, "choice": 0'),
    ('"choice": 0', '"choice": 0, "\\u0063hoice": 0'),
    ('"order": [0, 1, 2]', '"order": [0, 1, 2], "order": [0, 1, 2]'),
    ('"order": [0, 1, 2]', '"order": [0, 1, 258]'),
    ('"order": [0, 1, 2]', '"order": [0, 1, 2.0]'),
    ('"order": [0, 1, 2]', '"order": [[0, 1, 2]]'),
    ('"order": [0, 1, 2]', '"order": [0, 1, 2,]'),
    ('"id": "q-0"', '"id": "q-0", "id": "q-0"'),
    ('"id": "q-0"', '"id": "q-1"'),
    ('"id": "q-0"', '"id": 0'),
    ('"id": "q-0"', '"id": null'),
    ('"id": "q-0"', '"id": "\\ud800"'),
    ('"choice": 0}\n', '"choice": 0} '),
    ('"choice": 0}\n', '"choice": 0}}\n'),
    ('"choice": 0}\n', '"choice":\n0}\n'),
    ('"choice": 0}\n', '"choice": 0} // of 3\n'),
    ('{"id"', 'null\n{"id"'),
    ('"choice": 0', '"choice": true'),
    ('"choice": 0}\n', '"choice": 0'),
    ('"choice": 0}', '"choice": 0, "more": 1}'),
    (', "choice": 0', ""),
    ('"id"', '"name"'),
    ("{", "[{"),
]


def one_line(path: Path, old: str = "", new: str = "") -> Items:
    """A file of two lines alike but for the id, the first with one change, and a true sidecar."""
    given = [
        Prediction(id=f"q-{n}", order=[0, 1, 2], logprobs=[-0.474077, -25.5, -0.974077], choice=0)
        for n in range(2)
    ]
    data = {"path": "test.jsonl", "sha256": "0", "rows": 2}
    predictions.write(path, given, {"method": "letter", "data": data})
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    meta = {"method": "letter", "data": data, "predictions_sha256": sha256(path)}
    write_json(path.with_suffix(".meta.json"), meta)
    return Items(["q-0", "q-1"], np.array([3, 3], np.int8), Path("test.json"))


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_is_wrong_is_refused_with_the_strict_readers_sentence(
    tmp_path: Path, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    items = one_line(path, old, new)
    with pytest.raises(UserError, match=r"a\.jsonl") as strictly:
        read_strictly(path, items, monkeypatch)
    with pytest.raises(UserError) as error:
        member_answers.read(path, items)
    assert str(error.value) == str(strictly.value)


def test_a_missing_key_is_not_made_up_for_by_an_id_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    for id_ in ("choice", '"choice":', '\\"choice":', "\n{", "}\n{"):
        given = [
            Prediction(id=name, order=[0, 1, 2], logprobs=None, choice=0) for name in ("q", id_)
        ]
        about = {"method": "greedy-text", "data": {"path": "t", "sha256": "0", "rows": 2}}
        predictions.write(path, given, about)
        items = Items(["q", id_], np.array([3, 3], np.int8), Path("test.json"))
        assert member_answers.columns(path.read_bytes(), items).choice.tolist() == [0, 0]
        path.write_text(path.read_text(encoding="utf-8").replace(', "choice": 0', "", 1), "utf-8")
        assert member_answers.columns(path.read_bytes(), items) is None
        write_json(path.with_suffix(".meta.json"), {**about, "predictions_sha256": sha256(path)})
        with pytest.raises(UserError, match="line 1: field choice: Field required"):
            member_answers.read(path, items)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", "\ufeff{"),
        ('"choice": 0}\n', '"choice": 0}\n\n'),
        ('"choice": 0}\n', '"choice": 0}\r\n'),
        ('"choice": 0}', '"choice" : 0 }'),
        ('"choice"', '"\\u0063hoice"'),
        ("{", "  {"),
    ],
)
def test_unusual_spelling_is_read_as_the_strict_reader_reads_it(
    tmp_path: Path, old: str, new: str
) -> None:
    items = one_line(tmp_path / "a.jsonl", old, new)
    found = member_answers.read(tmp_path / "a.jsonl", items)
    assert (found.choice.tolist(), found.logprobs.tolist()) == (
        [0, 0],
        [[-0.474077, -25.5, -0.974077]] * 2,
    )


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-300, 300),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(-1, 5) | st.none() | st.floats(-30, 0), max_size=5),
    st.lists(st.lists(st.integers(0, 2), max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(["id", "order", "x"]), st.integers(), max_size=2),
)


@hypothesis.given(
    st.sampled_from(["id", "order", "logprobs", "choice", "more"]), VALUES, st.booleans()
)
def test_any_value_in_any_place_is_read_alike_or_refused_alike(
    key: str, value: object, plain: bool
) -> None:
    """Where pyarrow reads a file, the strict reader reads the same."""
    sound = {"order": [0, 1, 2], "logprobs": None if plain else [-0.5, -25.5, -0.932752]}
    lines = [{"id": f"q-{n}", **sound, "choice": 0} for n in range(2)]
    lines[1][key] = value
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    items = Items(["q-0", "q-1"], np.array([3, 3], np.int8), Path("test.json"))
    found = member_answers.columns(data, items)
    if found is None or not member_answers.consistent(found, "greedy-text"):
        return
    strictly = [Prediction.model_validate(line) for line in lines]
    assert not any(map(predictions.fault_of, strictly))
    assert alike(found, MemberAnswers.of(strictly))


@pytest.mark.parametrize(
    "number", ["-25", "-12.345678901234567", "-9007199254740993.0", "-1.5e+01", "-2e2"]
)
def test_unusual_numbers_are_read_to_the_last_bit(tmp_path: Path, number: str) -> None:
    items = one_line(tmp_path / "a.jsonl", "-25.5", number)
    assert member_answers.read(tmp_path / "a.jsonl", items).logprobs[0, 1] == float(number)


def test_other_items_than_expected_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    items = one_line(path)

    def refused(match: str, ids: list[str], options: int = 3) -> None:
        others = Items(ids, np.full(len(ids), options, np.int8), items.source)
        with pytest.raises(UserError, match=match):
            member_answers.read(path, others)

    refused("no prediction for 1 of 3 ids of test.json, the first is q-2", ["q-0", "q-1", "q-2"])
    refused("1 ids are not in test.json, the first is q-1", ["q-0"])
    refused("id q-0: 3 options, but test.json has 2", ["q-0", "q-1"], options=2)
    backwards = Items(["q-1", "q-0"], items.options, items.source)
    assert member_answers.read(path, backwards).choice.tolist() == [0, 0]
    path.write_text(path.read_text(encoding="utf-8").replace("-25.5", "-26.5"), encoding="utf-8")
    with pytest.raises(UserError, match=r"not the file that .*a.meta.json describes"):
        member_answers.read(path, items)


def test_a_file_without_fault_needs_no_strict_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "read", None)
    items = one_line(tmp_path / "a.jsonl")
    assert (
        member_answers.read(tmp_path / "a.jsonl", items).logprobs.tolist()
        == [[-0.474077, -25.5, -0.974077]] * 2
    )


def test_files_are_read_in_their_order_and_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{n}.jsonl" for n in range(9)]
    opened: list[Path] = []

    def read(path: Path, items: Items) -> MemberAnswers:
        opened.append(path)
        return MemberAnswers(items.options, np.array([int(path.stem)], np.int8), None)

    monkeypatch.setattr(member_answers, "read", read)
    items = Items(["q"], np.array([3], np.int8), Path("test.json"))
    for place, found in enumerate(member_answers.read_all(paths, items)):
        assert found.choice[0] == place
        assert len(opened) <= place + 1 + member_answers.AHEAD
    assert sorted(opened) == paths
    assert [int(one.choice[0]) for one in member_answers.read_all(paths[:1], items)] == [0]
