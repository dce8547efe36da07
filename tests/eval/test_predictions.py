"""Prediction files: what is refused when they are read, and what may be compared."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.files import sha256
from core.jsonl import write_json, write_records
from core.records import Prediction
from ensemble import vote
from eval import predictions, report
from eval.options import choose, option_logprobs
from eval.predictions import Meta, fault_of, read, require_comparable
from tests.support.scored_rows import save_predictions, save_rows

NAN, INF = math.nan, math.inf
Record = dict[str, Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save_rows(tmp_path / "test.jsonl", 3)
    return tmp_path / "test.jsonl"


@pytest.fixture
def scored(data: Path) -> Path:
    """Predictions of three items: options 0, 1 and 2 are chosen."""
    ids = ("합성-000", "합성-001", "합성-002")
    likely = {id_: [-2.0] * n + [-0.5] + [-2.0] * (2 - n) for n, id_ in enumerate(ids)}
    return save_predictions(data.with_name("a.jsonl"), data, likely)


def records(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rewrite(path: Path, changed: list[Record], **meta: Any) -> Path:
    """Another file in its place, and a sidecar that fits it: the content alone must be refused."""
    write_records(path, changed)
    sidecar = predictions.meta_path(path)
    stored = json.loads(sidecar.read_text(encoding="utf-8")) | meta
    write_json(sidecar, stored | {"predictions_sha256": sha256(path)})
    return path


def test_what_is_written_is_read(scored: Path) -> None:
    found, meta = read(scored)
    assert [one.choice for one in found.values()] == [0, 1, 2]
    assert meta.method == predictions.LETTERS
    assert meta.data.rows == 3


SHARES = [round(math.log(share), 6) for share in (0.1, 0.6, 0.3)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"logprobs": [NAN, -1.0, -1.0]}, r"log-probabilities \[nan, .*\] are not all finite"),
        ({"logprobs": [-INF, -0.69315, -0.69315]}, "are not all finite numbers"),
        ({"logprobs": [INF, -1.0, -1.0]}, "are not all finite numbers"),
        ({"logprobs": SHARES[:2]}, "2 log-probabilities for 3 options"),
        ({"logprobs": [*SHARES, -9.0]}, "4 log-probabilities for 3 options"),
        ({"logprobs": [-3.0, -2.0, -2.5]}, r"of log-probabilities \[.*\] do not sum to 1"),
        ({"logprobs": [1000.0, -2.0, -2.5]}, "do not sum to 1"),
        ({"choice": 3}, "choice 3 is none of its 3 options"),
        ({"choice": -1}, "choice -1 is none of its 3 options"),
        ({"order": [0, 1, 1]}, r"order \[0, 1, 1\] is no permutation"),
        ({"order": [1, 2, 3]}, r"order \[1, 2, 3\] is no permutation"),
        ({"order": [], "logprobs": [], "choice": None}, r"order \[\] is no permutation"),
    ],
)
def test_a_contradiction_names_line_and_id(scored: Path, changes: Record, said: str) -> None:
    lines = records(scored)
    lines[1] |= {"order": [0, 1, 2], "logprobs": SHARES, "choice": 1} | changes
    with pytest.raises(UserError, match=rf"a\.jsonl, line 2 \(합성-001\): .*{said}.*; score it ag"):
        read(rewrite(scored, lines))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"choice": "B"}, "line 2: field choice: .*valid integer"),  # a letter, not an option
        ({"choice": True}, "line 2: field choice: .*valid integer"),
        ({"logprobs": ["-1", -1.0, -1.0]}, r"line 2: field logprobs\.0: .*valid number"),
        ({"order": None}, "line 2: field order: .*valid list"),
        ({"letter": "D"}, "line 2: field letter: Extra inputs"),
    ],
)
def test_a_wrong_type_names_line_and_field(scored: Path, changes: Record, said: str) -> None:
    lines = records(scored)
    lines[1] |= changes
    with pytest.raises(UserError, match=f"a.jsonl, {said}.*; score it again"):
        read(rewrite(scored, lines))


def test_a_repeated_id_is_refused(scored: Path) -> None:
    lines = records(scored)
    with pytest.raises(UserError, match="id 합성-000 stands there twice; score it again"):
        read(rewrite(scored, [*lines, lines[0]]))


def test_letters_choose_the_greatest(scored: Path) -> None:
    lines = records(scored)
    lines[2]["choice"] = 0
    with pytest.raises(UserError, match="id 합성-002: choice 0 is not the greatest of"):
        read(rewrite(scored, lines))
    found, _ = read(rewrite(scored, lines, method="hard-vote"))  # a vote has a rule of its own
    assert found["합성-002"].choice == 0


def test_of_equals_either_may_be_chosen(scored: Path) -> None:
    lines = records(scored)
    lines[0] |= {"logprobs": option_logprobs([-1.0, -1.0, -3.0], [0, 1, 2]), "choice": 1}
    assert read(rewrite(scored, lines))[0]["합성-000"].choice == 1


def cut(text: str) -> str:
    return text[:-20]


def without_last_break(text: str) -> str:
    return text[:-1]


def without_last_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def nothing(text: str) -> str:
    return ""


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut, r"a\.jsonl: its last line is cut off; score it again"),
        (without_last_break, r"a\.jsonl: its last line is cut off; score it again"),
        (without_last_line, r"a\.jsonl: not the file that .*a\.meta\.json describes; score it"),
        (nothing, r"a\.jsonl: holds no prediction; score it again"),
        (lambda text: "\n" + text.replace("{", "", 1), "line 2: malformed JSON"),
        (lambda text: "[]\n" + text, "line 1: a list, not an object"),
    ],
)
def test_a_harmed_file_is_refused(scored: Path, harm: Callable[[str], str], said: str) -> None:
    scored.write_text(harm(scored.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read(scored)


def test_a_harmed_sidecar_is_refused(scored: Path, data: Path) -> None:
    sidecar = predictions.meta_path(scored)
    stored = json.loads(sidecar.read_text(encoding="utf-8"))
    for field in ("method", "data", "predictions_sha256"):
        write_json(sidecar, {key: value for key, value in stored.items() if key != field})
        with pytest.raises(UserError, match=rf"a\.meta\.json: field {field}: .*; score it again"):
            read(scored)
    write_json(sidecar, stored | {"data": {"path": "test.jsonl", "rows": 3}})
    with pytest.raises(UserError, match=r"a\.meta\.json: field data\.sha256: Field required"):
        read(scored)
    write_json(sidecar, stored | {"permutations": "some"})
    with pytest.raises(
        UserError, match="field permutations: Input should be 'none', 'cyclic' or 'all'"
    ):
        read(scored)
    mass = {"mean": math.nan, "min": 0.5, "below_half": 0.0}
    write_json(sidecar, stored | {"letter_mass": mass})
    with pytest.raises(
        UserError, match=r"field letter_mass\.mean: Input should be a finite number"
    ):
        read(scored)
    other = save_predictions(scored.with_name("b.jsonl"), data, {"합성-000": [-1.0, -1.0]})
    sidecar.write_bytes(predictions.meta_path(other).read_bytes())
    with pytest.raises(UserError, match=r"not the file that .*a\.meta\.json describes"):
        read(scored)
    sidecar.write_text("{")
    with pytest.raises(UserError, match="malformed JSON at line 1"):
        read(scored)
    sidecar.unlink()
    with pytest.raises(UserError, match=r"a\.meta\.json: missing.*; score it again"):
        read(scored)


@given(st.lists(st.floats(-80, 0), min_size=2, max_size=5), st.randoms())
def test_what_scoring_makes_is_never_refused(letters: list[float], rng: Any) -> None:
    order = rng.sample(range(len(letters)), len(letters))
    values = option_logprobs(letters, order)
    made = Prediction(id="합성", order=order, logprobs=values, choice=choose(values))
    assert fault_of(made) is None


def meta(**changes: Any) -> Meta:
    fields = {"method": predictions.LETTERS, "prompts": ["reference@1"], "predictions_sha256": "p"}
    given = {"path": "data/test.jsonl", "sha256": "one", "rows": 3}
    return Meta.model_validate(fields | {"data": given} | changes)


def test_only_the_same_rows_in_the_same_orders_are_comparable() -> None:
    first = (Path("a.jsonl"), meta())
    require_comparable([first])
    require_comparable([first, (Path("b.jsonl"), meta(method="greedy"))])
    other = {"path": "data/b/test.jsonl", "sha256": "two", "rows": 3}
    with pytest.raises(
        UserError,
        match=r"b\.jsonl: made from other data \(data/b/test\.jsonl, plain@2\) than a\.jsonl "
        r"\(data/test\.jsonl, reference@1\); score both on the same file",
    ):
        require_comparable([first, (Path("b.jsonl"), meta(data=other, prompts=["plain@2"]))])
    with pytest.raises(UserError, match=r"permutations: all\) than a\.jsonl \(none\)"):
        require_comparable([first, first, (Path("c.jsonl"), meta(permutations="all"))])


def official(path: Path, ids: list[str]) -> Path:
    """The official test file over these ids."""
    said = {"speaker": 1, "utterance": "비가 온다", "utterance_id": "d.1"}
    shown = {"conversation": [said], "reference_id": ["d.1"], "category": "원인"}
    shown |= {f"inference_{n}": f"{n}번" for n in (1, 2, 3)}
    write_json(path, [{"id": id_, "input": shown, "output": ""} for id_ in ids])
    return path


def test_vote_refuses_members_that_saw_other_prompts_or_orders(scored: Path, data: Path) -> None:
    ids = [record["id"] for record in records(scored)]
    test, out = official(data.with_name("official.json"), ids), data.with_name("out.json")
    again = data.with_name("again.jsonl")  # the same questions under another prompt
    again.write_text(data.read_text("utf-8").replace("test@1", "other@2"), encoding="utf-8")
    equal = {id_: [-1.0, -1.0, -1.0] for id_ in ids}
    other = save_predictions(data.with_name("b.jsonl"), again, equal)
    turned = save_predictions(data.with_name("c.jsonl"), data, equal)
    rewrite(turned, records(turned), permutations="cyclic")
    for member, said in ((other, "made from other data"), (turned, "in other orders")):
        with pytest.raises(UserError, match=said):
            vote.main([str(scored), str(member), "--test", str(test), "--out", str(out)])
        assert not out.exists()


def test_report_refuses_predictions_of_other_rows(scored: Path, data: Path) -> None:
    command = [str(scored), "--data", str(data)]
    report.main(command)
    lines = records(scored)
    lines[0] |= {"order": [0, 1], "logprobs": option_logprobs([-1.0, -2.0], [0, 1]), "choice": 0}
    rewrite(scored, lines)
    with pytest.raises(UserError, match=r"id 합성-000: 2 options, but .*test\.jsonl has 3; score"):
        report.main(command)
    lines[0] = lines[1] | {"id": "합성-000"}
    rewrite(scored, lines)
    report.main(command)
    data.write_text(data.read_text("utf-8").replace("test@1", "other@2"), encoding="utf-8")
    with pytest.raises(UserError, match="made from an earlier"):
        report.main(command)
